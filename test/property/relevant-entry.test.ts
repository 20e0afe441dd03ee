import { fc } from '../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { canonicalEntry } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { EntryReader } from '../../src/reconcile/relevant-entry.ts'
import { startedEntry, tokenIssuedEntry } from '../support/entries.ts'
import { begun, failed, loaded, made, proved } from '../support/signed-traffic.ts'

const exchanged = (index: number): Entry => ({
  kind: 'exchange.succeeded',
  atMs: 1000 + index,
  exchange: 'x',
  signature: 's',
  attempt: 'a',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  scope: 'https://eventhubs.azure.net/.default',
  traceId: `trace-${index}`,
  tokenSha256: 't',
  expiresAtSeconds: 1,
})

const written = (index: number): readonly string[] =>
  [
    begun(index),
    begun(index, { purpose: 'head', tenant: '' }),
    made(index),
    failed(index),
    failed(index, { applied: 'no', vaultRequestId: `id-${index}` }),
    proved(index),
    exchanged(index),
    loaded,
    startedEntry(String(index)),
    tokenIssuedEntry('grant', `token-${index}`),
  ].map(canonicalEntry)

const hostile = [
  '{"atMs":1,"kind":"signature.made","signature":"","vaultRequestId":"b"}',
  '{"atMs":1,"kind":"signature.made","signature":"a","vaultRequestId":""}',
  '{"atMs":1,"kind":"signature.made","signature":"a","vaultRequestId":"B"}',
  '{"atMs":2,"kind":"signature.made","signature":"c","vaultRequestId":"D"}',
  '{"atMs":1.5,"kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":"1","kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"kind":"signature.made","signature":"\\u0061","vaultRequestId":"b"}',
  '{"atMs":1,"kind":"signature.made","signature":7,"vaultRequestId":"b"}',
  '{"atMs":1,"atMs":2,"kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"in":{"kind":"x"},"kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"in":{"kind":"signature.made"},"kind":"x","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"in":{"signature":"z"},"kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"in/signature":"z","kind":"signature.made","signature":"a","vaultRequestId":"b"}',
  '{"atMs":1,"kind":"signature.made","signature":"a","vaultRequestId":"b","":{"signature":"z"}}',
  '{"kind":"signature.made"',
  '{"kind":"signature.begun"}',
  '{"kind":"nothing of it"}',
  '["kind":"signature.made"]',
  '',
]

const line = fc.oneof(
  fc.nat({ max: 4 }).chain((index) => fc.constantFrom(...written(index))),
  fc.constantFrom(...hostile),
)
const bytes = fc.constantFrom(...Array.from('"\\{}[]:,0123456789-.ekind\u0000\u00ff'))
const edited = fc
  .tuple(line, fc.nat(), fc.nat({ max: 2 }), fc.string({ unit: bytes, maxLength: 2 }))
  .map(([text, at, cut, put]) => {
    const place = text.length === 0 ? 0 : at % text.length
    return text.slice(0, place) + put + text.slice(place + cut)
  })

describe('reading the entries of a ledger', () => {
  it('comes to the same for each, whatever entries were before it', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(line, edited), { maxLength: 20 }), (lines) => {
        const reader = new EntryReader()
        const rows = lines.map((text) => Buffer.from(text, 'latin1'))
        expect(rows.map((row) => reader.read(row))).toStrictEqual(
          rows.map((row) => new EntryReader().read(row)),
        )
      }),
      { numRuns: 3000 },
    )
  })

  it('comes to the same for every pair of hostile ones', () => {
    const all = [...hostile, ...written(1), ...written(2)].map((text) => Buffer.from(text))
    for (const one of all) {
      for (const other of all) {
        const reader = new EntryReader()
        reader.read(one)
        expect(reader.read(other)).toStrictEqual(new EntryReader().read(other))
      }
    }
  })
})
