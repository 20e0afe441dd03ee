import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ledgerInDatabase } from '../../src/ledger/ledger-source.ts'
import type { StandingRevocations } from '../../src/ledger/standing-revocations.ts'
import { findOutstanding } from '../../src/revocation/outstanding.ts'
import { liftedEntry, revokedEntry, startedEntry, tokenIssuedEntry } from '../support/entries.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { createSqliteStore } from '../support/ledger-store.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createPostgresStore, ledgerAt, moveTo } from '../support/postgres-store.ts'
import { describeRevocations } from './revocations.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describeRevocations('revocations in postgres', () => createPostgresStore(server))

describe('revocations of several ledgers', () => {
  const tellingTo = (told: StandingRevocations[]) => (standing: StandingRevocations) =>
    void told.push(standing)

  it('reach another replica with whatever it appends, and keep what it decided before from it', async () => {
    const store = await createPostgresStore(server)
    const told: StandingRevocations[] = []
    const [one, other] = [await store.open(), await store.open(undefined, tellingTo(told))]
    const made = revokedEntry('1', 1)
    await one.append([made], { decidedUnder: 0 })
    expect(told.at(-1)?.epoch).toBe(0)
    const late = other.append([startedEntry('late')], { decidedUnder: 0 })
    await expect(late).rejects.toMatchObject({ code: 'LEDGER_OVERTAKEN' })
    expect(told.at(-1)).toEqual({ epoch: 1, made: [made] })
    await one.append([liftedEntry('1', 2)], { decidedUnder: 1 })
    await other.append([])
    expect(told.at(-1)).toEqual({ epoch: 2, made: [] })
    await Promise.all([one.close(), other.close()])
  })

  it('are answered with what another replica has issued just before, and may give to its caller just after', async () => {
    const store = await createPostgresStore(server)
    const told: StandingRevocations[] = []
    const [one, other] = [await store.open(), await store.open(undefined, tellingTo(told))]
    const issued = tokenIssuedEntry('1', 'token')
    await other.append([issued], { decidedUnder: 0 })
    const made = revokedEntry('1', 1)
    await one.append([made], { decidedUnder: 0 })
    // Nobody has told the one whose answer is on its way.
    expect(told.map(({ epoch }) => epoch)).toEqual([0])
    const { tokens, complete } = await findOutstanding(
      made.revoked,
      ledgerInDatabase(ledgerAt(store.url)),
      fixedClock(issued.atMs / 1000),
    )
    expect(tokens.map(({ tokenSha256 }) => tokenSha256)).toEqual([issued.tokenSha256])
    expect(complete).toBe(true)
    // And nothing else follows.
    const later = other.append([tokenIssuedEntry('1', 'later')], { decidedUnder: 0 })
    await expect(later).rejects.toMatchObject({ code: 'LEDGER_OVERTAKEN' })
    await Promise.all([one.close(), other.close()])
  })

  it('move with the ledger of a file', async () => {
    const file = createSqliteStore()
    const store = await createPostgresStore(server)
    const before = await file.open()
    await before.append([revokedEntry('1', 1)], { decidedUnder: 0 })
    await before.append([revokedEntry('2', 2)], { decidedUnder: 1 })
    await before.append([liftedEntry('1', 3)], { decidedUnder: 2 })
    await before.close()
    expect(await moveTo(store.url, file.file)).toMatchObject({ moved: true })
    const told: StandingRevocations[] = []
    const after = await store.open(undefined, tellingTo(told))
    expect(told).toEqual([{ epoch: 3, made: [revokedEntry('2', 2)] }])
    await after.close()
    file.remove()
  })
})
