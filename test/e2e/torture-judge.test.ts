import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { createSqliteStore, changeFile } from '../support/ledger-store.ts'
import { startedEntry } from '../support/entries.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { openLedgerAt } from '../support/postgres-store.ts'
import { reportViolations } from '../support/torture/auditor.ts'
import { clientIds, rogueObjectId } from '../support/torture/cast.ts'
import type { Heard, Outcome } from '../support/torture/clients.ts'
import { required } from '../support/required.ts'
import { entriesOf, type EntryOf, type Evidence } from '../support/torture/evidence.ts'
import { violationsIn } from '../support/torture/judge.ts'
import { owedAfterStop } from '../support/torture/judge-signatures.ts'
import { lostSince, readLedger, readLedgerAt } from '../support/torture/ledger-evidence.ts'
import {
  beganAtMs,
  elsewhere,
  exchange,
  heardAssertion,
  heardToken,
  job,
  keyId,
  record,
  sound,
} from '../support/torture/sound-evidence.ts'

/** A judge that finds nothing proves nothing, so here is everything that it must find. */

const without = (kind: Entry['kind']): Partial<Evidence> => ({
  entries: sound.entries.filter((entry) => entry.kind !== kind),
})

const ofKind = (kind: Entry['kind']) => sound.entries.filter((entry) => entry.kind === kind)

const changing = (kind: Entry['kind'], changes: object): Partial<Evidence> => ({
  entries: sound.entries.map((entry) => (entry.kind === kind ? { ...entry, ...changes } : entry)),
})

/** Of the one token that somebody was given. */
const refresh: EntryOf<'request.granted'> = {
  ...required(entriesOf(sound.entries, 'token.issued')[0]),
  kind: 'request.granted',
  attempt: 'attempt-8',
  caller: { issuer: 'countersign', subject: 'refresh' },
}

const hearing = (heard: Heard, outcome: object): Partial<Evidence> => ({
  heard: [{ ...heard, outcome: { ...heard.outcome, ...outcome } }],
})

const declined = (status: number, code: string, attempt: string): Heard => ({
  ...heardToken,
  outcome: { kind: 'declined', attempt, status, code, contractFaults: [] },
})

const recording = (changes: Partial<VaultRecord>): Partial<Evidence> => ({
  records: [...sound.records.slice(1), record('signature-1', changes)],
})

const properties = (changes: object): Partial<VaultRecord> => ({
  properties: { ...record('signature-1').properties, ...changes },
})

test('finds nothing where everything fits together', () => {
  expect(violationsIn(sound)).toEqual([])
})

test('takes it that a token in use is refreshed', () => {
  expect(violationsIn({ ...sound, entries: [...sound.entries, refresh] })).toEqual([])
})

test('takes it that nothing more could be written, when that is what the client was told', () => {
  const heard = [...sound.heard, declined(503, 'ledger_unavailable', 'attempt-3')]
  expect(violationsIn({ ...sound, heard })).toEqual([])
})

describe('finds', () => {
  test.each<readonly [string, Partial<Evidence>, RegExp]>([
    ['a signature that was never begun', without('signature.begun'), /was never begun/],
    [
      'a signature with a nonce that nobody drew',
      recording(properties({ clientInfo: 'countersign (signature-nonce 0123456789012345678901)' })),
      /was never begun/,
    ],
    [
      'the nonce of one signature with the id of another',
      recording(properties({ clientInfo: record('signature-2').properties['clientInfo'] })),
      /is one by its id and another by its nonce/,
    ],
    [
      'two signatures for one beginning',
      { records: [...sound.records, record('signature-3', { correlationId: 'again' })] },
      /signed twice for signature signature-3/,
    ],
    [
      'a signature from before its beginning',
      recording({ time: '2026-11-22T04:56:15.9990000Z' }),
      /was made before it was begun/,
    ],
    ['another key', recording(properties({ id: `${keyId}0` })), /with another key/],
    ['another algorithm', recording(properties({ algorithm: 'RS256' })), /another algorithm/],
    [
      'a signature that only the ledger knows',
      { records: sound.records.slice(1) },
      /signature-1 was made, and the vault has no record/,
    ],
    [
      'an answer that came before the end of its signature',
      { heard: [...sound.heard, declined(503, 'not_ready', 'attempt-3')] },
      /attempt-3 was answered before its signature had an end/,
    ],
    [
      'the service at the secrets',
      { records: [...sound.records, record('secret', { operationName: 'SecretGet' })] },
      /asked the vault for SecretGet/,
    ],
    ['a token that was given away unrecorded', without('token.issued'), /token.issued is missing/],
    [
      'an assertion that was given away unrecorded',
      without('assertion.issued'),
      /assertion.issued is missing/,
    ],
    ['another token than was recorded', hearing(heardToken, { sha256: 'x' }), /another token/],
    [
      'another assertion than was recorded',
      hearing(heardAssertion, { sha256: 'x' }),
      /another assertion/,
    ],
    ['a token that nobody obtained', without('exchange.succeeded'), /no exchange obtained/],
    [
      'a mistake of the service',
      { heard: [...sound.heard, declined(500, 'internal', 'attempt-9')] },
      /attempt-9 .*made a mistake/,
    ],
    [
      'a token that was asked for without a grant',
      { heard: [{ ...heardToken, caller: job }] },
      /given what no grant has for it/,
    ],
    [
      'a token of another tenant',
      hearing(heardToken, { claims: { tid: elsewhere.tenantId } }),
      /of another tenant/,
    ],
    [
      'a token of another application',
      hearing(heardToken, { claims: { appid: clientIds.deploy } }),
      /of another application/,
    ],
    [
      'a token for another resource',
      hearing(heardToken, { claims: { aud: 'https://meters.example' } }),
      /for another resource/,
    ],
    [
      'an assertion that lives too long',
      hearing(heardAssertion, { claims: { iat: 1000, exp: 1600 } }),
      /lives 600 s and not 300 s/,
    ],
    [
      'an assertion whose signature is wrong',
      hearing(heardAssertion, { compact: 'header.other.c2lnbmF0dXJl' }),
      /its signature is wrong/,
    ],
    [
      'an assertion for two clients',
      {
        heard: [
          heardAssertion,
          { ...heardAssertion, outcome: { ...heardAssertion.outcome, attempt: 'x' } as Outcome },
        ],
      },
      /assertion .* was told to two clients/,
    ],
    [
      'assertions that one caller token should not have bought',
      { heard: Array.from({ length: 11 }, () => heardAssertion) },
      /the caller token .* bought 11 assertions/,
    ],
    [
      'an entry about somebody else',
      { heard: [{ ...heardToken, callerTokenSha256: 'x' }] },
      /names another caller/,
    ],
    [
      'an answer that the contract does not know',
      hearing(heardToken, { contractFaults: ['status 418 is not documented'] }),
      /attempt-1 of workload-0: status 418/,
    ],
    [
      'a refusal of what is granted',
      { heard: [declined(403, 'not_granted', 'attempt-9')] },
      /was refused \(not_granted\) its right/,
    ],
    [
      'a failure that was not recorded',
      { heard: [declined(503, 'signing_throttled', 'attempt-9')] },
      /failure \(signing_throttled\) has no entry/,
    ],
    [
      'a refusal that was not recorded',
      { heard: [{ ...declined(403, 'not_granted', 'attempt-9'), caller: job }] },
      /refusal \(not_granted\) has no entry/,
    ],
    [
      'a token of Entra that no grant has',
      { exchanges: [exchange, { ...exchange, scope: 'https://vault.azure.net/.default' }] },
      /Entra issued a token that no grant has/,
    ],
    [
      'an exchange that Entra does not know',
      { exchanges: [] },
      /exchange-1 is not what Entra says/,
    ],
    [
      'an exchange before its signature was written',
      without('signature.made'),
      /exchange-1 used a signature before it was written/,
    ],
    [
      'an exchange with what is handed out',
      changing('exchange.succeeded', { signature: 'signature-2' }),
      /exchange-1 used a signature that was not for exchanging/,
    ],
    [
      'an exchange with a signature of another tenant',
      changing('exchange.succeeded', { tenant: elsewhere.tenantId }),
      /exchange-1 used a signature of another application or tenant/,
    ],
    [
      'an exchange of nobody',
      changing('exchange.succeeded', { attempt: 'attempt-9' }),
      /exchange-1 is of an attempt that never began/,
    ],
    [
      'a signature that was made twice',
      { entries: [...sound.entries, ...ofKind('signature.made')] },
      /signature-1 was made twice/,
    ],
    [
      'a refresh of what its grant does not have',
      { entries: [...sound.entries, { ...refresh, scope: 'https://vault.azure.net/.default' }] },
      /attempt-8 is of what its grant does not have/,
    ],
    [
      'a refresh by a grant that there is not',
      { entries: [...sound.entries, { ...refresh, grant: 'x' }] },
      /attempt-8 is of what its grant does not have/,
    ],
    [
      'a refresh of what nobody was given',
      { entries: [refresh, ...sound.entries] },
      /attempt-8 is of what nobody was given/,
    ],
    [
      'a token for somebody who proved nothing',
      changing('token.issued', { caller: refresh.caller }),
      /attempt-1 was given something and proved nothing/,
    ],
  ])('%s', (_, changes, violation) => {
    expect(violationsIn({ ...sound, ...changes }).join('\n')).toMatch(violation)
  })

  test('what a service that stopped still owes: the end of a signature, and to say so', () => {
    const started = startedEntry('1.0.0')
    const stopped: Entry = { kind: 'service.stopped', atMs: beganAtMs, unproved: 0 }
    expect(owedAfterStop([started, ...sound.entries, stopped])).toEqual([
      'the service stopped, and signature signature-3 has no end',
    ])
    // A signature of an earlier process, which was killed.
    expect(owedAfterStop([...sound.entries, started])).toEqual([
      'the service stopped, and service.started is its last entry',
    ])
  })
})

describe('of a report of reconcile', () => {
  const assumed = { kind: 'sign.assumed', record: { correlationId: 'record-signature-3' } }
  const report = { exitCode: 1, findings: [assumed], undecided: [] }
  const violations = (changes: Partial<typeof report>, records = sound.records) =>
    reportViolations({ ...report, ...changes }, sound.entries, records).join('\n')

  test('takes the signature whose answer was lost, and a rogue one', () => {
    expect(violations({})).toBe('')
    const rogue = record('rogue', { identity: { claim: { oid: rogueObjectId } } })
    const found = { kind: 'sign.unexplained', record: { correlationId: 'record-rogue' } }
    expect(violations({ findings: [assumed, found] }, [...sound.records, rogue])).toBe('')
  })

  test('takes the signature whose answer could not be used, although its id is known', () => {
    const unusable: Entry = {
      kind: 'signature.failed',
      atMs: beganAtMs + 20,
      signature: 'signature-3',
      code: 'SIGNER_WRONG_SIGNATURE',
      applied: 'unknown',
      vaultRequestId: 'record-signature-3',
    }
    expect(reportViolations(report, [...sound.entries, unusable], sound.records)).toEqual([])
  })

  test.each<readonly [string, Partial<typeof report>, RegExp]>([
    [
      'a silence',
      { findings: [], exitCode: 0 },
      /does not report sign.assumed of record-signature/,
    ],
    [
      'one of ours taken for a rogue',
      { findings: [{ ...assumed, kind: 'sign.unexplained' }] },
      /reports sign.unexplained of record-signature-3 without a reason/,
    ],
    ['a broken exit code', { exitCode: 0 }, /exits with 0/],
  ])('finds %s', (_, changes, violation) => {
    expect(violations(changes)).toMatch(violation)
  })
})

describe('of a ledger file', () => {
  const evidenceAfter = async (sql?: string) => {
    const store = createSqliteStore()
    try {
      const ledger = await store.open()
      for (const version of ['1', '2', '3']) await ledger.append([startedEntry(version)])
      await ledger.close()
      if (sql !== undefined) changeFile(store.file, sql)
      return readLedger(store.file)
    } finally {
      store.remove()
    }
  }

  test('takes what the service has written', async () => {
    const evidence = await evidenceAfter()
    expect(evidence.faults).toEqual([])
    expect(evidence.entries).toEqual(['1', '2', '3'].map(startedEntry))
    expect(lostSince({ entries: [], hashes: [], faults: [] }, evidence)).toEqual([])
  })

  test.each([
    ['a changed entry', `UPDATE entry SET canonical = replace(canonical, '2', '7')`],
    ['an entry that was taken out', 'DELETE FROM entry WHERE sequence = 2'],
    ['a changed hash', 'UPDATE entry SET hash = zeroblob(32) WHERE sequence = 3'],
  ])('finds %s', async (_, sql) => {
    expect((await evidenceAfter(sql)).faults).not.toEqual([])
  })

  test('finds that its end was cut off, by what was there before', async () => {
    const cut = await evidenceAfter('DELETE FROM entry WHERE sequence = 3')
    expect(cut.faults).toEqual([])
    expect(lostSince(await evidenceAfter(), cut)).toEqual(['entry 3 was durable and is gone'])
  })
})

describe('of a ledger in a database', () => {
  let server: TestPostgres
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  const evidenceAfter = async (sql?: string) => {
    const url = await server.createDatabase()
    const ledger = await openLedgerAt(url)
    for (const version of ['1', '2', '3']) await ledger.append([startedEntry(version)])
    await ledger.close()
    if (sql !== undefined) await query(url, sql)
    return readLedgerAt(url)
  }

  test('takes what replicas have written', async () => {
    const evidence = await evidenceAfter()
    expect(evidence.faults).toEqual([])
    expect(evidence.entries).toEqual(['1', '2', '3'].map(startedEntry))
  })

  test.each([
    ['a changed entry', `UPDATE countersign.entry SET canonical = replace(canonical, '2', '7')`],
    ['an entry that was taken out', 'DELETE FROM countersign.entry WHERE sequence = 2'],
    ['a tip that is not its end', "UPDATE countersign.tip SET hash = '\\x00'"],
  ])('finds %s', async (_, sql) => {
    expect((await evidenceAfter(sql)).faults).not.toEqual([])
  })
})
