import { isRestError } from '@azure/core-rest-pipeline'
import { LogsQueryClient, type LogsQueryResult } from '@azure/monitor-query-logs'
import { Agent, request as send } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { faultSchema } from '../../src/emulator/faults.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { vaultRecord } from '../support/vault-records.ts'
import { queryAudience, workspaceId, workspaceWorld } from '../support/workspace.ts'

/** Azure's own client, which this project did not write, against the emulated Logs Query API. */

let emulator: TestEmulator
let agent: Agent
beforeAll(async () => {
  emulator = await startTestEmulator({
    world: workspaceWorld,
    vaultLog: { lateSecondsMax: 600, duplicates: 0.5 },
    answers: { rowsMax: 40 },
  })
  agent = new Agent({ connect: { ca: emulator.ca } })
})
afterAll(async () => {
  await agent.close()
  await emulator.stop()
})
afterEach(() => {
  emulator.faults.clear()
})

const clientOf = (principal: string, resource = queryAudience) =>
  new LogsQueryClient(emulator.credential(principal, resource), {
    endpoint: `${emulator.endpoints.logsQuery}/v1`,
    tlsOptions: { ca: emulator.ca },
    retryOptions: { maxRetries: 0 },
  })

const ask = (query: string, workspace = workspaceId): Promise<LogsQueryResult> =>
  clientOf('countersign').queryWorkspace(workspace, query, { duration: 'P7D' })

/** Of a query that is answered whole. */
async function rowsOf(query: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const result = await ask(query)
  if (!('tables' in result)) throw new Error(`not answered: ${JSON.stringify(result)}`)
  const [table] = result.tables
  const rows: readonly (readonly unknown[])[] = table?.rows ?? []
  return rows.map((row) =>
    Object.fromEntries(
      row.map((cell, index) => [table?.columnDescriptors[index]?.name ?? '', cell]),
    ),
  )
}

async function refusalOf(asking: Promise<unknown>) {
  const error: unknown = await asking.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isRestError(error)) throw new Error(`not refused: ${String(error)}`)
  return { statusCode: error.statusCode, details: error.details }
}

const isoAt = (ms: number) => new Date(ms).toISOString()
const now = () => emulator.clock.nowMs()

describe('a table to which nothing has come', () => {
  test('is none, also while rows are on their way to it', async () => {
    emulator.workspaceTables.vaultRecord(vaultRecord({ time: isoAt(now()) }))
    expect(emulator.workspaceTables.heldBack()).toBeGreaterThan(0)
    expect(await refusalOf(ask('AZKVAuditLogs | take 1'))).toMatchObject({
      statusCode: 400,
      details: {
        error: {
          code: 'BadArgumentError',
          innererror: {
            code: 'SemanticError',
            innererror: {
              code: 'SEM0100',
              message:
                "'take' operator: Failed to resolve table or column expression named 'AZKVAuditLogs'",
            },
          },
        },
      },
    })
  })
})

describe('rows that have come', () => {
  beforeEach(() => {
    emulator.workspaceTables.flush()
  })

  test('are typed: times are times, and what is dynamic is an object', async () => {
    const claim = { oid: 'somebody' }
    const time = isoAt(now()).replace('Z', '4321Z')
    emulator.workspaceTables.vaultRecord(
      vaultRecord({ time, correlationId: 'typed', identity: { claim } }),
    )
    emulator.workspaceTables.flush()
    const all = 'AZKVAuditLogs | where CorrelationId == "typed" | take 1'
    const [row] = await rowsOf(all)
    expect(row?.['TimeGenerated']).toBeInstanceOf(Date)
    expect(row?.['Identity']).toEqual({ claim })
    expect(row?.['HttpStatusCode']).toBe(200)
    const [text] = await rowsOf(`${all} | project at = tostring(TimeGenerated)`)
    expect(text).toEqual({ at: time })
  })

  test('lie in both tables of Key Vault, and sometimes twice', async () => {
    for (let made = 0; made < 10; made += 1) {
      emulator.workspaceTables.vaultRecord(
        vaultRecord({ time: isoAt(now()), correlationId: 'both' }),
      )
    }
    emulator.workspaceTables.flush()
    for (const table of ['AZKVAuditLogs', 'AzureDiagnostics']) {
      const rows = await rowsOf(`${table} | where CorrelationId == "both"`)
      expect(rows.length).toBeGreaterThan(10)
      expect(rows.length).toBeLessThanOrEqual(20)
    }
  })

  test('are told by the time of their ingestion, and not by their own', async () => {
    const before = now()
    emulator.clock.shift(60)
    emulator.workspaceTables.vaultRecord(
      vaultRecord({ time: isoAt(before - 3_600_000), correlationId: 'late' }),
    )
    emulator.workspaceTables.flush()
    const since = `where ingestion_time() > datetime(${isoAt(before + 30_000)})`
    const late = await rowsOf(`AZKVAuditLogs | ${since} | where CorrelationId == "late"`)
    expect(late.length).toBeGreaterThan(0)
    expect(
      await rowsOf(
        `AZKVAuditLogs | ${since} | summarize oldest = min(TimeGenerated), amount = count() by minute = bin(ingestion_time(), 1m)`,
      ),
    ).toMatchObject([{ oldest: new Date(before - 3_600_000), amount: late.length }])
  })

  test('are within the timespan, whatever the query says', async () => {
    emulator.workspaceTables.vaultRecord(
      vaultRecord({ time: isoAt(now() - 8 * 24 * 3_600_000), correlationId: 'old' }),
    )
    emulator.workspaceTables.flush()
    expect(await rowsOf('AZKVAuditLogs | where CorrelationId == "old"')).toEqual([])
    const answer = await clientOf('countersign').queryWorkspace(
      workspaceId,
      'AZKVAuditLogs | where CorrelationId == "old" | take 1 | project CorrelationId',
      { duration: `${isoAt(0)}/${isoAt(now())}` },
    )
    expect(answer).toMatchObject({ status: 'Success', tables: [{ rows: [['old']] }] })
  })

  test('are summarized into one row where none are left', async () => {
    expect(
      await rowsOf(
        'AZKVAuditLogs | where CorrelationId == "nobody" | summarize oldest = min(TimeGenerated), amount = count() | project oldest = tostring(oldest), amount',
      ),
    ).toEqual([{ oldest: '', amount: 0 }])
  })

  test('are some of them, with an error beside them, where they are too many', async () => {
    for (let made = 0; made < 41; made += 1) {
      emulator.workspaceTables.vaultRecord(vaultRecord({ time: isoAt(now()) }))
    }
    emulator.workspaceTables.flush()
    const result = await ask('AZKVAuditLogs')
    expect(result).toMatchObject({
      status: 'PartialFailure',
      // Why, the client does not say: it drops what is inside of the details.
      partialError: { code: 'PartialError', details: [{ code: 'EngineError' }] },
    })
    expect('partialTables' in result && result.partialTables[0]?.rows).toHaveLength(40)
  })

  test('are some of them where a part cannot be read, and all of them the next time', async () => {
    emulator.faults.add(faultSchema.parse({ at: 'monitor', kind: 'partial', match: '/query' }))
    expect(await ask('AZKVAuditLogs | take 2')).toMatchObject({
      status: 'PartialFailure',
      partialTables: [{ rows: [expect.anything()] }],
    })
    expect(await ask('AZKVAuditLogs | take 2')).toMatchObject({ status: 'Success' })
  })
})

describe('refused, in the words of the real one', () => {
  beforeAll(() => {
    emulator.workspaceTables.flush()
  })
  const query = 'AZKVAuditLogs | take 1'
  const askAs = (principal: string, resource?: string) =>
    clientOf(principal, resource).queryWorkspace(workspaceId, query, { duration: 'P7D' })

  test.each([
    {
      name: 'a principal without the role',
      asking: () => askAs('bystander'),
      statusCode: 403,
      code: 'InsufficientAccessError',
    },
    {
      name: 'a principal of another tenant',
      asking: () => askAs('fabrikam-orders'),
      statusCode: 403,
      code: 'InsufficientAccessError',
    },
    {
      name: 'a token for another service',
      asking: () => askAs('countersign', 'https://monitor.azure.com'),
      statusCode: 401,
      code: 'AuthorizationRequiredError',
    },
    {
      name: 'a workspace that is not there',
      asking: () => ask(query, '00000000-0000-4000-8000-000000000000'),
      statusCode: 404,
      code: 'WorkspaceNotFoundError',
    },
  ])('$name', async ({ asking, statusCode, code }) => {
    expect(await refusalOf(asking())).toMatchObject({ statusCode, details: { error: { code } } })
  })

  test.each([
    ['a column that is not there', 'AZKVAuditLogs | where Colour == "red"', 'SEM0100'],
    ['an operator that is not known here', 'AZKVAuditLogs | join AuditLogs', 'SYN0002'],
    ['a function that is not known here', 'AZKVAuditLogs | extend a = strcat("a")', 'SYN0002'],
    ['a comparison that is none', 'AZKVAuditLogs | where Id = "a"', 'SYN0002'],
    ['something behind the end', 'AZKVAuditLogs | take 1 2', 'SYN0002'],
    ['a comment', '// everything\nAZKVAuditLogs', 'SYN0002'],
    ['a value without a name', 'AZKVAuditLogs | project tostring(Id)', 'SYN0002'],
  ])('%s', async (_, text, code) => {
    expect(await refusalOf(ask(text))).toMatchObject({
      statusCode: 400,
      details: { error: { code: 'BadArgumentError', innererror: { innererror: { code } } } },
    })
  })

  test.each([
    ['no JSON', '{', 400],
    ['no query', '{}', 400],
    ['a timespan that is none', JSON.stringify({ query, timespan: 'yesterday' }), 400],
    ['other workspaces', JSON.stringify({ query, workspaces: ['another'] }), 400],
  ])('%s', async (_, body, status) => {
    const token = await emulator.token('countersign', queryAudience)
    const answer = await send(
      `${emulator.endpoints.logsQuery}/v1/workspaces/${workspaceId}/query`,
      {
        dispatcher: agent,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body,
      },
    )
    expect(answer.statusCode).toBe(status)
    expect(await answer.body.json()).toHaveProperty('error.code', 'BadArgumentError')
  })

  test('too many questions, which may be asked again', async () => {
    emulator.faults.add(faultSchema.parse({ at: 'monitor', kind: 'throttle' }))
    expect(await refusalOf(ask(query))).toMatchObject({
      statusCode: 429,
      details: { error: { code: 'ThrottledError' } },
    })
    expect(await ask(query)).toMatchObject({ status: 'Success' })
  })
})

test('control tells who may read, and what is still to come', async () => {
  emulator.workspaceTables.flush()
  expect(await emulator.control('GET /workspaces')).toEqual({
    workspaces: [{ name: 'contoso-logs', id: workspaceId, readers: ['countersign'] }],
    heldBack: 0,
  })
  await emulator.control('POST /workspaces/contoso-logs/readers', { principals: ['build-agent'] })
  expect(await refusalOf(ask('AZKVAuditLogs | take 1'))).toMatchObject({ statusCode: 403 })
  await emulator.control('POST /workspaces/contoso-logs/readers', { principals: ['countersign'] })
  expect(await ask('AZKVAuditLogs | take 1')).toMatchObject({ status: 'Success' })
  for (const path of ['contoso-logs', 'another']) {
    const asking = emulator.control(`POST /workspaces/${path}/readers`, { principals: ['nobody'] })
    await expect(asking).rejects.toThrow('404')
  }
  await emulator.control('POST /workspaces/flush')
})
