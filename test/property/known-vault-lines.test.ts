import { fc } from '../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { parseIsoTime } from '../../src/base/clock.ts'
import { IsoTimes } from '../../src/reconcile/iso-times.ts'
import { KnownVaultLines } from '../../src/reconcile/known-vault-lines.ts'
import { RecordSplitter } from '../../src/reconcile/record-splitter.ts'
import { vaultRecordFrom } from '../../src/reconcile/vault-record.ts'
import { vaultLogShapes } from '../support/audit/vault-log-shapes.ts'
import type { AuditedRequest } from '../support/audit/vault-log-shapes.ts'
import { recordLine } from '../support/signed-traffic.ts'

/** What the lines of a log come to: each record, or what is wrong there, with its line. */
function read(splitter: RecordSplitter<unknown>, lines: readonly string[]): readonly unknown[] {
  const text = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')
  return [...splitter.push(text), ...splitter.end()].map((piece) => {
    if (piece.kind === 'problem') return piece
    return piece.kind === 'known' ? piece.record : vaultRecordFrom(piece.value)
  })
}

const slowly = (lines: readonly string[]) => read(new RecordSplitter(), lines)
const quickly = (lines: readonly string[]) => read(new RecordSplitter(new KnownVaultLines()), lines)

/** Told by the splitter alone. */
function knownIn(lines: readonly string[]): number {
  const splitter = new RecordSplitter(new KnownVaultLines())
  const pieces = splitter.push(Buffer.from(lines.map((line) => `${line}\n`).join('')))
  return pieces.filter(({ kind }) => kind === 'known').length
}

/** Bytes that mean something in JSON, or do not belong there, and some that do neither. */
const bytes = fc.constantFrom(
  ...Array.from('"\\{}[]:,/0123456789-+.eETZnutrlfas \u0000\u001f\u007f\u0080\u00c3\u00e9\u00ff'),
)

interface Edit {
  readonly at: number
  readonly cut: number
  readonly put: string
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 1000 }),
  cut: fc.nat({ max: 3 }),
  put: fc.string({ unit: bytes, maxLength: 3 }),
})

/** At the same place in every one of them, so that what one teaches meets another. */
const edited = (line: string, { at, cut, put }: Edit): string =>
  line.slice(0, at % line.length) + put + line.slice((at % line.length) + cut)

const hostile = [
  // Twice the same name: the last one counts (as `JSON.parse` has it).
  '{"time":"2026-11-22T04:00:00Z","operationName":"KeyGet","time":"2026-11-23T04:00:00Z"}',
  '{"time":"2026-11-22T04:00:01Z","operationName":"KeyGet","time":"2026-11-23T04:00:01Z"}',
  '{"t\\u0069me":"2026-11-22T04:00:00Z","operationName":"KeyGet"}',
  '{"properties/clientInfo":"a","operationName":"KeyGet","time":"2026-11-22T04:00:00Z"}',
  '{"properties/clientInfo":"b","operationName":"KeyGet","time":"2026-11-22T04:00:00Z"}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","":{"time":"2026-11-23T04:00:00Z"}}',
  '{"OperationName":"KeyGet","time":"x1","TimeGenerated":"2026-11-22T04:00:00Z"}',
  '{"OperationName":"KeyGet","time":"x2","TimeGenerated":"2026-11-22T04:00:00Z"}',
  '{"operationName":"KeyGet","time":"2026-11-22T23:00:59.9999999Z"}',
  '{"operationName":"KeyGet","time":"2026-11-22T24:00:00.0Z"}',
  '{"operationName":"KeyGet","time":"2026-11-22T24:00:01.0Z"}',
  '{"operationName":"KeyGet","time":"2026-11-31T00:00:01.0Z"}',
  '{"operationName":"KeyGet","time":"yesterday"}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00+01:00"}',
  '{"operationName":"KeyGet","time":""}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","durationMs":1}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","durationMs":01}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","durationMs":1e3}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","durationMs":-1}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"top","properties":{}}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"lid","properties":{}}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"top","properties":{"clientInfo":"in"}}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"lid","properties":{"clientInfo":""}}',
  '{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"lid","properties":{"clientInfo":"on"}}',
  `{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","clientInfo":"${'x'.repeat(400)}"}`,
  `{"operationName":"KeyGet","time":"2026-11-22T04:00:00Z","deep":${'['.repeat(5000)}${']'.repeat(5000)}}`,
  recordLine(1, { clientInfo: 'curl/8.5.0' }),
  recordLine(2, { correlationId: '' }),
  recordLine(3, { correlationId: 'ABCDEF00-0000-4000-8000-00000000000F' }),
]

const request = (index: number): AuditedRequest => ({
  time: `2026-11-22T04:${String(index % 60).padStart(2, '0')}:13.871927${index % 10}Z`,
  operationName: 'KeySign',
  correlationId: `6f0c1d8e-0000-4000-8000-${String(index).padStart(12, '0')}`,
  httpStatusCode: 200,
  id: `https://v.vault.azure.net/keys/assert/${'0a1b'.repeat(8)}`,
  requestUri: `https://v.vault.azure.net:8443/keys/assert/${'0a1b'.repeat(8)}/sign`,
  algorithm: 'PS256',
  clientInfo: `countersign/0.1.0 (signature-nonce nonce-${String(index).padStart(16, '0')})`,
  callerIpAddress: '203.0.113.9',
  claim: { oid: 'o', appid: 'a' },
})

describe('reading lines of a vault that are like others', () => {
  it('comes to what parsing them comes to, whatever was done to them', () => {
    const line = fc.oneof(
      fc.nat({ max: 5 }).map((index) => recordLine(index)),
      fc.constantFrom(...hostile),
      fc
        .tuple(fc.constantFrom(recordLine(7), ...hostile), edit)
        .map(([one, change]) => edited(one, change)),
    )
    const lines = fc.oneof(
      fc.array(line, { maxLength: 12 }),
      fc
        .tuple(fc.array(fc.nat({ max: 99 }), { minLength: 2, maxLength: 6 }), edit)
        .map(([indexes, change]) => indexes.map((index) => edited(recordLine(index), change))),
    )
    fc.assert(
      fc.property(lines, (some) => {
        expect(quickly(some)).toEqual(slowly(some))
      }),
      { numRuns: 3000 },
    )
  })

  it('comes to it for every pair of hostile lines, in both orders', () => {
    for (const one of hostile) {
      for (const other of hostile) {
        expect(quickly([one, other, one])).toEqual(slowly([one, other, one]))
      }
    }
  })

  it('knows the lines of every form of JSON Lines but the first of a kind', () => {
    const requests = Array.from({ length: 20 }, (_, index) => request(index))
    for (const [name, write] of Object.entries(vaultLogShapes)) {
      if (!/JSON Lines$|^Managed HSM/.test(name) || name.startsWith('compressed')) continue
      const lines = write(requests).toString().trimEnd().split('\n')
      // Both spellings of the object id occur, each second time.
      expect([name, knownIn(lines)]).toEqual([name, 18])
    }
  })

  it('goes on when no line is like another', () => {
    const lines = Array.from({ length: 200 }, (_, index) =>
      recordLine(index, { oid: `oid-${index}` }),
    )
    expect(quickly([...lines, ...lines])).toEqual(slowly([...lines, ...lines]))
  })
})

describe('times of the same minute in a row', () => {
  it('are what each of them is by itself', () => {
    const digits = (max: number) => fc.nat({ max }).map((number) => String(number).padStart(2, '0'))
    const time = fc
      .tuple(
        digits(25),
        digits(61),
        digits(61),
        fc.string({ unit: fc.constantFrom(...Array.from('0123456789x')), maxLength: 9 }),
      )
      .map(
        ([hour, minute, second, fraction]) => `2026-11-30T${hour}:${minute}:${second}.${fraction}Z`,
      )
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 20 }), (texts) => {
        const times = new IsoTimes()
        expect(texts.map((text) => times.parse(text))).toEqual(texts.map(parseIsoTime))
      }),
    )
  })
})
