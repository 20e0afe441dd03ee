import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newAttemptId } from '../../../src/base/ids.ts'
import { createPostgresHeadTurns } from '../../../src/custody/postgres-head-turns.ts'
import { createPostgresExportCursor } from '../../../src/custody/postgres-export-cursor.ts'
import { createPostgresExchanges } from '../../../src/ledger/postgres-exchanges.ts'
import { tailOfDatabase } from '../../../src/ledger/postgres-tail.ts'
import { prepareLedger } from '../../../src/ledger/prepare-ledger.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createPostgresPolicyGenerations } from '../../../src/reload/postgres-policy-generations.ts'
import { createPostgresDataKeyStore } from '../../../src/sealing/postgres-data-key-store.ts'
import { createFleetBudgets } from '../../../src/signer/fleet-budgets.ts'
import { createPostgresUnitLender } from '../../../src/signer/postgres-unit-lender.ts'
import { createPostgresSharedTokens } from '../../../src/token-cache/postgres-shared-tokens.ts'
import { tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { keyId, tokenKey } from '../../support/cached-tokens.ts'
import { liftedEntry, revokedEntry, startedEntry } from '../../support/entries.ts'
import { grantName } from '../../support/grants.ts'
import { query, startPostgres, type TestPostgres, urlWith } from '../../support/postgres.ts'
import { sessionAt, testChannel } from '../../support/postgres-session.ts'
import { ledgerAt, openLedgerAt } from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'

/** What the guide has an operator grant to the service. */
const grants = required(
  /```sql\n(GRANT [^`]+)```/.exec(readFileSync('docs/operations.md', 'utf8'))?.[1],
)

let server: TestPostgres
let url: string
beforeAll(async () => {
  server = await startPostgres()
  url = await server.createDatabase()
  await prepareLedger(ledgerAt(url))
  for (const role of ['countersign_service', 'countersign_auditor', 'before_sharing']) {
    await query(url, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  }
})
afterAll(() => server.stop())

const openAs = (role: string) => {
  const session = sessionAt(urlWith(url, { username: role, password: 'secret' }))
  const store = createPostgresSharedTokens({ session, channel: testChannel, leaseMs: 8000 })
  const budgets = createFleetBudgets({
    lenderOf: (name, unitsMax, terms) => createPostgresUnitLender(session, name, unitsMax, terms),
    headroom: 0.8,
    clock: systemClock,
    onTrade: () => undefined,
  })
  return { session, store, budgets }
}

const openLedgerAs = (role: string) =>
  openLedgerAt(urlWith(url, { username: role, password: 'secret' }))

test('the service may do with the shared tables all that it does', async () => {
  await query(url, grants)
  const { session, store, budgets } = openAs('countersign_service')
  const key = tokenKeyText(tokenKey())
  await store.prove()
  const failed = required(await store.lead(key))
  await store.giveUp(failed, 'ENTRA_REFUSED')
  const lease = required(await store.lead(key))
  expect(await store.renew(lease)).toBe(true)
  const row = { sealed: Buffer.alloc(9), expiresAtSeconds: 1, keyId, grant: grantName('orders') }
  expect(await store.land(lease, row)).toBe(true)
  expect(await store.find(key)).toBeDefined()
  await store.drop([key])
  await store.tidy()
  expect(await store.list()).toEqual([])
  expect((await store.dropsSince(0)).epoch).toBe(1)
  const dataKey = { generation: 1, keyId, wrapped: Buffer.alloc(256), createdAtSeconds: 1 }
  expect(await createPostgresDataKeyStore(session).addNewest(dataKey, 0)).toMatchObject({
    generation: 1,
  })
  expect(await createPostgresExchanges(session)(newAttemptId())).toEqual([])
  const generations = createPostgresPolicyGenerations({
    session,
    channel: testChannel,
    kept: { texts: 1, hashes: 2 },
  })
  for (const generation of [1, 2, 3]) {
    expect(await generations.publish({ generation, sha256: 'any', files: '[]' })).toBe(true)
  }
  expect((await generations.find('any')).same).toEqual([2, 3])
  expect(await generations.read(3)).toBeDefined()
  const cursor = createPostgresExportCursor(session, 'a')
  const begun = required(await cursor.take())
  expect(await cursor.advance({ ...begun, sequence: 1 })).toBe(true)
  await cursor.release()
  expect((await tailOfDatabase(session).rowsFrom(1, 1)).length).toBe(0)
  await budgets.prove()
  const turns = createPostgresHeadTurns(session, { everySeconds: 60, everyEntries: 100 })
  expect(await turns.take('due')).toBeUndefined()
  await turns.end(1)
  await session.close()
  const ledger = await openLedgerAs('countersign_service')
  const use = { tokenId: 'a', purpose: 'deploy', usesMax: 2, expiresAtSeconds: 1 }
  for (const tokenId of ['a', 'a', 'b']) {
    const tokenUse = { ...use, tokenId }
    await ledger.append([startedEntry(tokenId)], { decidedUnder: 0, tokenUse })
  }
  await ledger.append([revokedEntry('1', 1)], { decidedUnder: 0 })
  await ledger.append([liftedEntry('1', 2)], { decidedUnder: 1 })
  await ledger.close()
})

test('a role that was granted less is refused at the start, and not when it matters', async () => {
  await query(
    url,
    `GRANT USAGE ON SCHEMA countersign TO before_sharing;
     GRANT SELECT, INSERT ON countersign.entry TO before_sharing`,
  )
  for (const role of ['before_sharing', 'countersign_auditor']) {
    const { session, store, budgets } = openAs(role)
    for (const proof of [store.prove(), budgets.prove()]) {
      await expect(proof).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN', transient: false })
    }
    await session.close()
  }
})

test('a role that may not remember uses of tokens opens no ledger, whose commits they would fail', async () => {
  await query(
    url,
    `CREATE ROLE before_uses LOGIN PASSWORD 'secret';
     ${grants.replaceAll('countersign_service', 'before_uses')};
     REVOKE DELETE ON countersign.token_use FROM before_uses`,
  )
  await expect(openLedgerAs('before_uses')).rejects.toMatchObject({ code: 'LEDGER_FORBIDDEN' })
  await query(url, 'GRANT DELETE ON countersign.token_use TO before_uses')
  await (await openLedgerAs('before_uses')).close()
})

test('a role that may use no turns of heads and export serves without them', async () => {
  await query(
    url,
    `CREATE ROLE before_turns LOGIN PASSWORD 'secret';
     ${grants.replaceAll('countersign_service', 'before_turns')};
     REVOKE ALL ON countersign.head_turn, countersign.export_cursor FROM before_turns`,
  )
  const { session, store, budgets } = openAs('before_turns')
  await store.prove()
  await budgets.prove()
  await (await openLedgerAs('before_turns')).close()
  const turns = createPostgresHeadTurns(session, { everySeconds: 60, everyEntries: 100 })
  const refusal = { code: 'DATABASE_FORBIDDEN' }
  await expect(turns.take('due')).rejects.toMatchObject(refusal)
  await expect(createPostgresExportCursor(session, 'a').take()).rejects.toMatchObject(refusal)
  await session.close()
})
