import { afterAll, beforeAll, expect, test } from 'vitest'
import { newAttemptId } from '../../../src/base/ids.ts'
import type { Entry, ExchangeSucceeded } from '../../../src/ledger/entry.ts'
import { exchangeAttempt, isExchangeSucceeded } from '../../../src/ledger/ledger-schema.ts'
import {
  createPostgresExchanges,
  type ExchangeOnRecord,
} from '../../../src/ledger/postgres-exchanges.ts'
import { query, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { createTestSessions, type TestSessions } from '../../support/postgres-session.ts'
import { openLedgerAt } from '../../support/postgres-store.ts'

let server: TestPostgres
let sessions: TestSessions
beforeAll(async () => {
  server = await startPostgres()
  sessions = await createTestSessions(server)
})
afterAll(async () => {
  await sessions.close()
  await server.stop()
})

const exchange = (changes: Partial<ExchangeSucceeded> = {}): ExchangeSucceeded => ({
  kind: 'exchange.succeeded',
  atMs: 1_790_000_000_000,
  exchange: newAttemptId(),
  signature: newAttemptId(),
  attempt: newAttemptId(),
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  scope: 'https://orders.example/.default',
  tokenSha256: 'n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg',
  expiresAtSeconds: 1_790_003_600,
  ...changes,
})

/** Of the entry, what a stored token is held to. */
const onRecord = ({
  attempt,
  application,
  tenant,
  scope,
  tokenSha256,
  expiresAtSeconds,
}: ExchangeSucceeded): ExchangeOnRecord => ({
  attempt,
  application,
  tenant,
  scope,
  tokenSha256,
  expiresAtSeconds,
})

async function append(entries: readonly Entry[]): Promise<void> {
  const ledger = await openLedgerAt(sessions.url)
  await ledger.append(entries)
  await ledger.close()
}

test('finds the exchange of each attempt, and no other', async () => {
  const [one, other] = [exchange(), exchange()]
  const failed = {
    ...exchange(),
    kind: 'exchange.failed',
    code: 'ENTRA_REFUSED',
    applied: 'no',
  } as const
  await append([one, failed, other])
  const find = createPostgresExchanges(sessions.open())
  const attempts = [one.attempt, other.attempt, failed.attempt, newAttemptId()]
  expect(await Promise.all(attempts.map(find))).toEqual([
    [onRecord(one)],
    [onRecord(other)],
    [],
    [],
  ])
})

test('is not deceived by what others put into a text, whatever it is', async () => {
  const [victim, later] = [newAttemptId(), exchange()]
  const forged = `"attempt":"${victim}","kind":"exchange.succeeded"`
  const failing = { ...exchange(), kind: 'exchange.failed', code: forged, applied: 'no' } as const
  await append([
    exchange({ uti: forged, traceId: `x${forged}` }),
    failing,
    exchange({ uti: '\u0000' }),
    later,
  ])
  const find = createPostgresExchanges(sessions.open())
  expect(await find(victim)).toEqual([])
  expect(await find(failing.attempt)).toEqual([])
  expect(await find(later.attempt)).toEqual([onRecord(later)])
})

test('counts no entry that does not say what was obtained', async () => {
  const { tokenSha256, ...rest } = exchange()
  await append([{ ...rest, tokenSha256: null } as never, exchange({ tokenSha256 })])
  expect(await createPostgresExchanges(sessions.open())(rest.attempt)).toEqual([])
})

test('asks an index', async () => {
  const plan = await query(
    sessions.url,
    `SET enable_seqscan = off;
     SET search_path = countersign;
     EXPLAIN SELECT canonical FROM entry
     WHERE ${isExchangeSucceeded} AND ${exchangeAttempt} = ANY (ARRAY['a', 'b'])`,
  )
  expect(JSON.stringify(plan)).toContain('exchange_succeeded')
})
