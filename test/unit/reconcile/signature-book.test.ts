import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { SignatureBook } from '../../../src/reconcile/signature-book.ts'
import type { BegunFacts, OutcomeFacts } from '../../../src/reconcile/signature-book.ts'

const epochMs = Date.UTC(2020, 0, 1)
const idOf = (index: number) => `6f0c1d8e-0000-4000-8000-${String(index).padStart(12, '0')}`
const begunAt = (atMs: number, others: Partial<BegunFacts> = {}): BegunFacts => ({
  atMs,
  attempt: 'attempt',
  isHead: false,
  keyId: 'key',
  algorithm: 'PS256',
  nonceSha256: '',
  digest: '',
  ...others,
})
const madeAt = (atMs: number): OutcomeFacts => ({ kind: 'signature.made', atMs })

describe('the book of signatures', () => {
  it('gives back when each was begun and settled, near to others or years away', () => {
    const time = fc.oneof(
      fc.integer({ min: epochMs, max: epochMs + 2 ** 40 - 1 }),
      fc.integer({ min: 0, max: 100_000 }).map((ms) => Date.UTC(2026, 10, 20) + ms),
      // Where a difference stops being near, if the time above is the first.
      fc.constantFrom(-1, 0, 1).map((ms) => Date.UTC(2026, 10, 20) + ms + 2 ** 31),
      fc.constantFrom(-1, 0, 1).map((ms) => Date.UTC(2026, 10, 20) + ms - 2 ** 31),
    )
    const span = fc.oneof(
      fc.integer({ min: 0, max: 70_000 }),
      fc.constantFrom(0, 65_534, 65_535, 65_536, -1, 2 ** 31 - 1, -(2 ** 31)),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(time, span)), (signatures) => {
        const book = new SignatureBook()
        for (const [index, [atMs, spanMs]] of signatures.entries()) {
          expect(book.add(idOf(index), begunAt(atMs), madeAt(atMs + spanMs))).toBe(index)
        }
        for (const [ordinal, [atMs, spanMs]] of signatures.entries()) {
          expect(book.begunAtMs(ordinal)).toBe(atMs)
          expect(book.settledAtMs(ordinal)).toBe(atMs + spanMs)
        }
      }),
    )
  })

  it('takes a time that is out of reach for the nearest that is not', () => {
    const book = new SignatureBook()
    book.add(idOf(0), begunAt(0), madeAt(0))
    book.add(idOf(1), begunAt(Number.MAX_SAFE_INTEGER), madeAt(0))
    expect(book.begunAtMs(0)).toBe(epochMs)
    expect(book.begunAtMs(1)).toBe(epochMs + 2 ** 40 - 1)
    expect(book.settledAtMs(1)).toBe(epochMs + 2 ** 40 - 1 - 2 ** 31)
  })

  it('tells apart what is common and what is rare, across stretches', () => {
    const book = new SignatureBook()
    const count = 150_000
    const isRare = (index: number) => index % 70_000 === 69_999
    for (let index = 0; index < count; index += 1) {
      const rare = isRare(index) ? { keyId: 'other key', algorithm: 'RS256', isHead: true } : {}
      book.add(idOf(index), begunAt(epochMs + index, rare), madeAt(epochMs + index))
    }
    for (let index = 0; index < count; index += 1) {
      const said = [book.keyId(index), book.algorithm(index), book.isHead(index)]
      const expected = isRare(index) ? ['other key', 'RS256', true] : ['key', 'PS256', false]
      if (said.join() !== expected.join() || book.begunAtMs(index) !== epochMs + index) {
        expect.fail(`signature ${index} is told as ${said.join()}`)
      }
    }
  })
})
