import { describe, expect, it } from 'vitest'
import { chainHash, genesisHash } from '../../../src/ledger/chain.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { LedgerFileError } from '../../../src/ledger/ledger-file.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { ledgerFactsFrom, ledgerFactsOfPages } from '../../support/ledger-facts.ts'
import {
  begun,
  failed,
  keyUrl,
  loaded,
  made,
  requestIdOf,
  signatureIdOf,
} from '../../support/signed-traffic.ts'

const rows = chainedRows([startedEntry('1'), loaded, begun(0), made(0), begun(1), failed(1)])

describe('the facts of a ledger', () => {
  it('are what it says of each signature, and the keys it names', async () => {
    const facts = await ledgerFactsFrom(rows)
    expect(facts).toMatchObject({
      keys: new Set([keyUrl]),
      counts: {
        entries: 6,
        signaturesBegun: 2,
        signaturesMade: 1,
        signaturesRefused: 0,
        signaturesOpen: 1,
      },
    })
    expect(facts).not.toHaveProperty('fault')
    const { answered, lost } = facts
    const ordinal = answered.find(requestIdOf(0)) ?? -1
    expect(answered.size).toBe(1)
    expect([
      answered.ending(ordinal),
      answered.keyId(ordinal),
      answered.algorithm(ordinal),
    ]).toEqual(['made', begun(0).keyId, 'PS256'])
    expect(answered.begunAtMs(ordinal)).toBe(begun(0).atMs)
    expect(answered.settledAtMs(ordinal)).toBe(made(0).atMs)
    expect([...lost.values()]).toMatchObject([
      {
        signature: signatureIdOf(1),
        begun: { attempt: 'attempt-1' },
        outcome: { applied: 'unknown' },
      },
    ])
  })

  it('are the same when it comes in pages', async () => {
    const pages = [rows.slice(0, 2), [], rows.slice(2, 5), rows.slice(5)]
    expect(await ledgerFactsOfPages(pages)).toEqual(await ledgerFactsFrom(rows))
  })

  it('name a key that signed, although no entry says that it was loaded', async () => {
    expect((await ledgerFactsFrom(chainedRows([begun(0)]))).keys).toEqual(new Set([keyUrl]))
  })

  it('are not misled by what callers write into their own names', async () => {
    const caller = {
      issuer: 'github',
      subject: '{"kind":"signature.made","signature":"x"}',
      tokenSha256: 'sha256',
    }
    const refused = {
      kind: 'request.refused',
      atMs: 1,
      attempt: 'a',
      caller,
      reason: 'grant_missing',
      application: 'events',
      tenant: 't',
    } as const
    expect((await ledgerFactsFrom(chainedRows([refused]))).counts.signaturesMade).toBe(0)
  })
})

describe('a fault of a ledger', () => {
  it('is the first entry that was changed; what follows is read all the same', async () => {
    const changed = rows.map((row, index) =>
      index === 0 ? { ...row, canonical: Buffer.from('{}') } : row,
    )
    expect(await ledgerFactsFrom(changed)).toMatchObject({
      fault: { fault: 'hash', sequence: 1 },
      counts: { entries: 6, signaturesBegun: 2 },
    })
  })

  it('is a gap between two pages too', async () => {
    const { fault } = await ledgerFactsOfPages([rows.slice(0, 2), rows.slice(3)])
    expect(fault).toEqual({ fault: 'sequence', sequence: 4, expected: 3 })
  })

  it('is a gap, and nothing else is said of what follows it', async () => {
    expect((await ledgerFactsFrom(rows.toSpliced(1, 1))).fault).toEqual({
      fault: 'sequence',
      sequence: 3,
      expected: 2,
    })
  })

  it.each(['{"kind":"signature.made"}', '{"kind":"signature.begun",'])(
    'is an entry that says %s, although it is chained',
    async (text) => {
      const canonical = Buffer.from(text)
      const row = { sequence: 1, canonical, hash: chainHash(genesisHash, canonical) }
      expect((await ledgerFactsFrom([row])).fault).toEqual({
        fault: 'unreadable',
        sequence: 1,
        reason: 'it is no entry',
      })
    },
  )

  it('is the place from which the file cannot be read', async () => {
    function* damaged(): Generator<Row> {
      yield* rows.slice(0, 4)
      throw new Error('database disk image is malformed')
    }
    expect(await ledgerFactsFrom(damaged())).toMatchObject({
      fault: { fault: 'unreadable', sequence: 5, reason: 'database disk image is malformed' },
      counts: { entries: 4 },
    })
  })

  it('is not a ledger that cannot be opened: nothing can be said then', async () => {
    function* missing(): Generator<Row> {
      throw new LedgerFileError('LEDGER_MISSING', 'there is no file')
    }
    await expect(ledgerFactsFrom(missing())).rejects.toThrow(LedgerFileError)
  })
})
