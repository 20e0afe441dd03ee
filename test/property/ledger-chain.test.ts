import { fc } from '../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import type { Row } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { verifyChain } from '../../src/ledger/verify.ts'
import { chainedRows } from '../support/entries.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constant('service.started' as const), atMs: fc.nat(), version: text }),
  fc.record(
    {
      kind: fc.constant('service.turned-away' as const),
      atMs: fc.nat(),
      reason: text,
      issuer: text,
      count: fc.nat(),
      minuteStartMs: fc.nat(),
    },
    { requiredKeys: ['kind', 'atMs', 'reason', 'count', 'minuteStartMs'] },
  ),
)
const ledger = fc.array(entry, { minLength: 2, maxLength: 12 }).map(chainedRows)

/** A ledger and the place of one of its rows. */
const ledgerAndPlace = ledger.chain((rows) =>
  fc.record({ rows: fc.constant(rows), place: fc.nat({ max: rows.length - 1 }) }),
)

const faultOf = (rows: readonly Row[]) => {
  const verification = verifyChain(rows)
  return verification.ok ? undefined : verification.fault.sequence
}

describe('a chain of any entries', () => {
  it('verifies, and gives each entry back as it was', () => {
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const rows = chainedRows(entries)
        expect(faultOf(rows)).toBeUndefined()
        expect(
          rows.map((row) => JSON.parse(Buffer.from(row.canonical).toString()) as Entry),
        ).toEqual(entries)
      }),
    )
  })

  it('tells the entry in which any one bit was changed', () => {
    fc.assert(
      fc.property(ledgerAndPlace, fc.nat(), ({ rows, place }, bit) => {
        const changed = rows.map((row, index) => (index === place ? withBitFlipped(row, bit) : row))
        expect(faultOf(changed)).toBe(place + 1)
      }),
    )
  })

  it('is broken where any entry but the last was taken out', () => {
    fc.assert(
      fc.property(ledgerAndPlace, ({ rows, place }) => {
        fc.pre(place < rows.length - 1)
        expect(faultOf(rows.toSpliced(place, 1))).toBe(place + 2)
      }),
    )
  })

  it('still verifies without its end, which is why a hash of it has to be kept elsewhere', () => {
    fc.assert(
      fc.property(ledgerAndPlace, ({ rows, place }) => {
        expect(faultOf(rows.slice(0, place))).toBeUndefined()
      }),
    )
  })
})

function withBitFlipped(row: Row, bit: number): Row {
  const canonical = Uint8Array.from(row.canonical)
  const place = Math.floor(bit / 8) % canonical.length
  canonical[place] = (canonical[place] ?? 0) ^ (1 << (bit % 8))
  return { ...row, canonical }
}
