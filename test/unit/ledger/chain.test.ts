import { describe, expect, it } from 'vitest'
import { canonicalEntry, chainFault, chainHash, genesis } from '../../../src/ledger/chain.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { verifyChain, walkChain } from '../../../src/ledger/verify.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'

const rows = chainedRows(['1', '2', '3'].map(startedEntry))
const [first, second, third] = rows as [Row, Row, Row]
const changed = (row: Row): Row => ({ ...row, canonical: Buffer.from('{}') })

describe('the chain', () => {
  // Computed with Python's hashlib over 32 zero bytes and the canonical text below.
  it('begins with 32 zero bytes and the canonical bytes of the first entry', () => {
    expect(canonicalEntry(startedEntry('1'))).toBe(
      '{"atMs":1790000000000,"kind":"service.started","version":"1"}',
    )
    expect(Buffer.from(first.hash).toString('hex')).toBe(
      '8b0f6c5ea8fcf743201c47ade7ea2c5ab7536d4a1db6b4d410bd31a519c10091',
    )
  })

  it('goes on with the hash before and the bytes of the next', () => {
    expect(Buffer.from(second.hash).toString('hex')).toBe(
      '6eb94a8af100d462c830979fc18b5e77194460e83053d467fa7a87e6c3ca13ef',
    )
    expect(chainFault(first, second)).toBeUndefined()
  })

  it('is broken by an entry that was changed', () => {
    expect(chainFault(first, changed(second))).toEqual({ fault: 'hash', sequence: 2 })
  })

  it('is broken by an entry that was taken out, although the numbers were closed up', () => {
    expect(chainFault(first, { ...third, sequence: 2 })).toEqual({ fault: 'hash', sequence: 2 })
  })

  it('is broken by a number that is missing, and by one that comes twice', () => {
    expect(chainFault(first, third)).toEqual({ fault: 'sequence', sequence: 3, expected: 2 })
    expect(chainFault(first, first)).toEqual({ fault: 'sequence', sequence: 1, expected: 2 })
  })
})

describe('verifying a chain', () => {
  it('finds the tip of an intact one', () => {
    expect(verifyChain(rows)).toEqual({
      ok: true,
      tip: { sequence: 3, hash: third.hash },
    })
  })

  it('takes no entries for an intact chain at its genesis', () => {
    expect(verifyChain([])).toEqual({ ok: true, tip: genesis })
  })

  it('names the first entry that is not what was written, and how far all was well', () => {
    expect(verifyChain([first, changed(second), changed(third)])).toEqual({
      ok: false,
      intactUpTo: { sequence: 1, hash: first.hash },
      fault: { fault: 'hash', sequence: 2 },
    })
  })

  it('names an entry that was put in with a hash made for it', () => {
    const canonical = Buffer.from('{}')
    const forged = { sequence: 2, canonical, hash: chainHash(first.hash, canonical) }
    expect(verifyChain([first, forged, third])).toMatchObject({
      ok: false,
      fault: { fault: 'hash', sequence: 3 },
    })
  })
})

describe('walking a chain', () => {
  it('goes on behind a fault, and blames only the rows that do not follow the one before them', () => {
    const steps = [...walkChain([first, changed(second), third])]
    expect(steps.map(({ row }) => row.sequence)).toEqual([1, 2, 3])
    expect(steps.map(({ fault }) => fault)).toEqual([
      undefined,
      { fault: 'hash', sequence: 2 },
      undefined,
    ])
  })
})
