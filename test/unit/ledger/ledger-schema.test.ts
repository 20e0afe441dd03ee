import { readFileSync } from 'node:fs'
import type { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectToLedger } from '../../../src/ledger/ledger-database.ts'
import {
  assertUsable,
  ensureSchema,
  prepareSchema,
  readSchemaState,
  schemaSteps,
  type SchemaStep,
} from '../../../src/ledger/ledger-schema.ts'
import { readPages } from '../../../src/ledger/postgres-reader.ts'
import { startedEntry } from '../../support/entries.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import { ledgerAt, openLedgerAt, verifiedEntriesAt } from '../../support/postgres-store.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

let url: string
let clients: Client[]
beforeEach(async () => {
  url = await server.createDatabase()
  clients = []
})
afterEach(async () => {
  await Promise.all(clients.map((client) => client.end()))
})

async function connect(at = url): Promise<Client> {
  const waits = { connectMs: 5000, lockMs: 5000, answerMs: 5000 }
  const client = await connectToLedger(ledgerAt(at), waits)
  clients.push(client)
  return client
}

/** What a later release may add, and one that older programs cannot live with. */
const last = schemaSteps.length
const additive: SchemaStep = {
  version: last + 1,
  usableFrom: 1,
  sql: 'ALTER TABLE entry ADD COLUMN kind text',
}
const breaking: SchemaStep = {
  version: last + 2,
  usableFrom: last + 2,
  sql: 'ALTER TABLE entry RENAME COLUMN canonical TO body',
}

describe('the steps of the schema', () => {
  it('are numbered without a gap, and each says what it can be used from', () => {
    expect(schemaSteps.map(({ version }) => version)).toEqual(schemaSteps.map((_, i) => i + 1))
    for (const { version, usableFrom } of schemaSteps) {
      expect(usableFrom).toBeLessThanOrEqual(version)
    }
    // The last one counts: what one step keeps out, no later one lets in again.
    const from = schemaSteps.map(({ usableFrom }) => usableFrom)
    expect(from).toEqual(from.toSorted((a, b) => a - b))
  })

  it('are each taken once, however many programs begin at the same moment', async () => {
    const every = await Promise.all(Array.from({ length: 6 }, () => connect()))
    const steps = [...schemaSteps, additive]
    await Promise.all(every.map((client) => prepareSchema(client, ledgerAt(url), steps)))
    expect(await query(url, 'SELECT version FROM countersign.ledger_version ORDER BY 1')).toEqual(
      steps.map(({ version }) => ({ version })),
    )
  })

  it('leave nothing behind when one fails, and go on from there later', async () => {
    const client = await connect()
    const broken = { ...additive, sql: `${additive.sql}; SELECT 1 / 0` }
    await expect(
      prepareSchema(client, ledgerAt(url), [...schemaSteps, broken]),
    ).rejects.toMatchObject({ code: '22012' })
    expect(await readSchemaState(client, 'countersign')).toMatchObject({ version: last })
    await prepareSchema(client, ledgerAt(url), [...schemaSteps, additive])
    expect(await readSchemaState(client, 'countersign')).toMatchObject({ version: last + 1 })
  })

  it('go into a schema that somebody made for them', async () => {
    await query(url, 'CREATE SCHEMA countersign')
    await ensureSchema(await connect(), ledgerAt(url))
    expect(await verifiedEntriesAt(url)).toEqual([])
  })
})

describe('programs of several versions', () => {
  it('use one ledger side by side while steps only add', async () => {
    const older = await openLedgerAt(url)
    await older.append([startedEntry('older, before')])
    await prepareSchema(await connect(), ledgerAt(url), [...schemaSteps, additive])
    await older.append([startedEntry('older, after')])
    await older.close()
    const olderAgain = await openLedgerAt(url)
    await olderAgain.append([startedEntry('older, started again')])
    await olderAgain.close()
    expect(await verifiedEntriesAt(url)).toHaveLength(3)
  })

  it('refuse what they were not made for, and say which it takes', async () => {
    await prepareSchema(await connect(), ledgerAt(url), [...schemaSteps, additive, breaking])
    const refusal = {
      code: 'LEDGER_VERSION_UNKNOWN',
      message: expect.stringContaining(
        `is of version ${last + 2}, which needs a program for version ${last + 2} or later, and this one is for version ${last}`,
      ) as unknown,
    }
    await expect(openLedgerAt(url)).rejects.toMatchObject(refusal)
    await expect(verifiedEntriesAt(url)).rejects.toMatchObject(refusal)
    const state = await readSchemaState(await connect(), 'countersign')
    expect(() => {
      assertUsable(state, ledgerAt(url), [...schemaSteps, additive, breaking])
    }).not.toThrow()
  })

  it('tell a ledger from a schema without steps', async () => {
    await ensureSchema(await connect(), ledgerAt(url))
    await query(url, 'DELETE FROM countersign.ledger_version')
    await expect(openLedgerAt(url)).rejects.toMatchObject({ code: 'LEDGER_NOT_A_LEDGER' })
  })
})

describe('the roles of the guide', () => {
  const page = readFileSync('docs/operations.md', 'utf8')
  const grants = /```sql\n(GRANT [^`]+)```/.exec(page)?.[1] ?? 'the guide has no grants'
  const as = (role: string) => urlWith(url, { username: role, password: 'secret' })

  beforeAll(async () => {
    const anywhere = await server.createDatabase()
    for (const role of ['countersign_service', 'countersign_auditor', 'countersign_stranger']) {
      await query(anywhere, `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    }
  })

  it('cannot make the tables, and say who must', async () => {
    await expect(openLedgerAt(as('countersign_service'))).rejects.toMatchObject({
      code: 'LEDGER_NOT_PREPARED',
      message: expect.stringContaining('countersign ledger prepare') as unknown,
    })
  })

  it('let the service append, and neither change nor remove what it wrote', async () => {
    await ensureSchema(await connect(), ledgerAt(url))
    await query(url, grants)
    const ledger = await openLedgerAt(as('countersign_service'))
    await ledger.append([startedEntry('1')])
    await ledger.close()
    for (const sql of [
      'DELETE FROM countersign.entry',
      "UPDATE countersign.entry SET canonical = '{}'",
      'TRUNCATE countersign.entry',
      'DELETE FROM countersign.tip',
      'DROP TABLE countersign.entry',
      'CREATE TABLE countersign.other (a integer)',
      'UPDATE countersign.ledger_version SET usable_from = 9',
    ]) {
      await expect(query(as('countersign_service'), sql), sql).rejects.toMatchObject({
        code: '42501',
      })
    }
    expect(await verifiedEntriesAt(url)).toEqual([startedEntry('1')])
  })

  it('let the auditor read, and write nothing', async () => {
    await ensureSchema(await connect(), ledgerAt(url))
    await query(url, grants)
    for await (const page of readPages(ledgerAt(as('countersign_auditor'))))
      expect(page).toEqual([])
    await expect(openLedgerAt(as('countersign_auditor'))).rejects.toMatchObject({
      code: 'LEDGER_FORBIDDEN',
    })
  })

  it('let nobody else look', async () => {
    await ensureSchema(await connect(), ledgerAt(url))
    await query(url, grants)
    await expect(openLedgerAt(as('countersign_stranger'))).rejects.toMatchObject({
      code: 'LEDGER_FORBIDDEN',
      message: expect.stringContaining('grant USAGE') as unknown,
    })
  })
})
