import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isoTimeFrom } from '../../src/base/clock.ts'
import { faultSchema } from '../../src/emulator/faults.ts'
import { LogError } from '../../src/reconcile/log-error.ts'
import { vaultLogForm } from '../../src/reconcile/read-log.ts'
import { logTable } from '../../src/reconcile/workspace/log-table.ts'
import type { WorkspaceTable } from '../../src/reconcile/workspace/workspace-query.ts'
import { allOf } from '../support/all-of.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { vaultRecord } from '../support/vault-records.ts'
import {
  queryAudience,
  readerOf,
  type ReaderOptions,
  workspaceId,
  workspaceWorld,
  type WorkspaceReader,
} from '../support/workspace.ts'

/** What the reader of a table does when the emulated Logs Query API refuses, breaks or has too much. */

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const records = 60

let emulator: TestEmulator
let open: WorkspaceReader[] = []
beforeAll(async () => {
  emulator = await startTestEmulator({ world: workspaceWorld, answers: { rowsMax: 25 } })
  for (let made = 0; made < records; made += 1) {
    emulator.workspaceTables.vaultRecord(
      vaultRecord({
        time: isoTimeFrom(emulator.clock.nowMs() - made * 7 * minuteMs),
        correlationId: idOf(made),
        properties: { id: `${keyUrl}/0a1b`, httpStatusCode: 200 },
      }),
    )
  }
})
afterAll(() => emulator.stop())
afterEach(async () => {
  emulator.faults.clear()
  for (const reader of open) await reader.close()
  open = []
})

const keyUrl = 'https://contoso-hsm.vault.azure.net/keys/partner-signing'
const idOf = (index: number) => `6f0c1d8e-0000-4000-8000-${String(index).padStart(12, '0')}`

async function sourceOf(options: ReaderOptions = {}, table: WorkspaceTable = 'AZKVAuditLogs') {
  const reader = await readerOf(emulator, table, options)
  open.push(reader)
  return logTable(reader.table, vaultLogForm, emulator.clock)
}

const readAll = async (options?: ReaderOptions) =>
  allOf((await sourceOf(options)).records(-Infinity))

const idsIn = (all: Awaited<ReturnType<typeof readAll>>) =>
  all.map((one) => ('correlationId' in one ? one.correlationId : one.why)).toSorted()

const strike = (kind: string, more: object = {}) => {
  emulator.faults.add(faultSchema.parse({ at: 'monitor', kind, match: '/query', ...more }))
}

async function failureOf(act: () => Promise<unknown>): Promise<LogError> {
  const failure: unknown = await act().then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof LogError) return failure
  throw new Error('expected a LogError', { cause: failure })
}

const allIds = Array.from({ length: records }, (_, index) => idOf(index))

test('is not waited for by whoever stops, however long the API says to wait', async () => {
  strike('throttle')
  const stop = new AbortController()
  const reading = readAll({ stop: stop.signal }).then(
    () => undefined,
    (error: unknown) => error,
  )
  while (emulator.faults.list().length > 0) await pause(10)
  stop.abort()
  expect(await reading).toMatchObject({ name: 'AbortError' })
})

describe('a table with more than an answer holds', () => {
  test('is read whole, in parts: what came with an error is not taken for all', async () => {
    expect(idsIn(await readAll())).toEqual(allIds)
  })

  test('is read whole where the answer is longer than is taken', async () => {
    const answerBytesMax = 6000
    expect(idsIn(await readAll({ answerBytesMax }))).toEqual(allIds)
  })

  test('is read whole where a part could not be read for a moment', async () => {
    strike('partial', { times: 3, probability: 0.5 })
    expect(idsIn(await readAll())).toEqual(allIds)
  })

  test('is read whole where an answer took too long', async () => {
    // The first question is when the table begins.
    const source = await sourceOf()
    strike('server-error', { status: 504 })
    expect(idsIn(await allOf(source.records(emulator.clock.nowMs() - 24 * hourMs)))).toEqual(allIds)
  })

  test('is none when it answers in part only, however little is asked', async () => {
    strike('partial', { times: 1000 })
    expect((await failureOf(readAll)).code).toBe('LOG_INCOMPLETE')
  })

  test('is none when it takes too long for an hour', async () => {
    strike('server-error', { status: 504, times: 1000 })
    expect((await failureOf(readAll)).code).toBe('LOG_TIMEOUT')
  })

  test('tells no arrivals from a part of them', async () => {
    const source = await sourceOf()
    const { mark } = await source.arrivals(undefined)
    strike('partial')
    expect((await failureOf(() => source.arrivals(mark))).code).toBe('LOG_INCOMPLETE')
    expect((await source.arrivals(mark)).fromMs).toBeLessThan(Infinity)
  })
})

describe('who asks too much', () => {
  test('waits as it is told, and asks again', async () => {
    strike('throttle', { times: 2 })
    expect(idsIn(await readAll())).toEqual(allIds)
  })

  test('gives up after some times, and says so', async () => {
    strike('throttle', { times: 1000 })
    expect((await failureOf(readAll)).code).toBe('LOG_THROTTLED')
  })
})

describe('what an operator has to do has a code of its own', () => {
  test.each<{ readonly code: string; readonly options?: ReaderOptions; readonly fault?: object }>([
    { code: 'LOG_FORBIDDEN', options: { principal: 'bystander' } },
    { code: 'LOG_FORBIDDEN', options: { principal: 'fabrikam-orders' } },
    {
      code: 'LOG_WORKSPACE_MISSING',
      options: { workspace: '00000000-0000-4000-8000-000000000000' },
    },
    { code: 'LOG_TABLE_MISSING', options: { table: 'AuditLogs' } },
    { code: 'LOG_UNAVAILABLE', options: { endpoint: 'https://127.0.0.1:1' } },
    { code: 'LOG_UNAVAILABLE', fault: { kind: 'server-error', status: 503 } },
    { code: 'LOG_UNAVAILABLE', fault: { kind: 'drop-before' } },
    { code: 'LOG_UNRECOGNISED', fault: { kind: 'malformed' } },
  ])('$code: $options $fault', async ({ code, options, fault }) => {
    if (fault !== undefined) strike('', fault)
    const failure = await failureOf(() => readAll(options))
    expect(failure.code).toBe(code)
    expect(failure.message).toMatch(/ workspace [0-9a-f-]{36}/)
  })

  test('LOG_CREDENTIAL: a token that counts for nothing there, or none', async () => {
    const forAnother = emulator.credential('countersign', 'https://monitor.azure.com')
    expect((await failureOf(() => readAll({ credential: forAnother }))).code).toBe('LOG_CREDENTIAL')
    const none = {
      getToken: () => Promise.reject(Object.assign(new Error(), { name: 'AuthenticationError' })),
    }
    expect((await failureOf(() => readAll({ credential: none }))).code).toBe('LOG_CREDENTIAL')
  })

  test('LOG_TABLE_MISSING: wherever the answer has the reason', async () => {
    const other = await startTestEmulator({
      world: workspaceWorld,
      unconfirmed: { unresolvedName: 'in-text' },
    })
    const reader = await readerOf(other, 'AZKVAuditLogs')
    const source = logTable(reader.table, vaultLogForm, other.clock)
    const { code } = await failureOf(() => allOf(source.records(-Infinity)))
    expect(code).toBe('LOG_TABLE_MISSING')
    await reader.close()
    await other.stop()
  })

  test('and says nothing of the token, nor of what Azure said', async () => {
    const { message } = await failureOf(() => readAll({ principal: 'bystander' }))
    expect(message).toBe(
      `no right to read AZKVAuditLogs of workspace ${workspaceId}: give the identity the role Log Analytics Reader on the workspace, or on this table`,
    )
  })
})

test('the token is asked for the API of the cloud, which is not always the public one', async () => {
  const asked: (string | readonly string[])[] = []
  const credential = emulator.credential('countersign', queryAudience)
  await readAll({
    audience: 'https://api.loganalytics.azure.cn',
    credential: {
      getToken: (scopes, options) => {
        asked.push(scopes)
        return credential.getToken(scopes, options)
      },
    },
  })
  expect(asked.flat()).toEqual(['https://api.loganalytics.azure.cn/.default'])
})
