import { isAggregateLogsUploadError, LogsIngestionClient } from '@azure/monitor-ingestion'
import type { RestError } from '@azure/core-rest-pipeline'
import { gzipSync } from 'node:zlib'
import { Agent, request as send } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { faultSchema } from '../../src/emulator/faults.ts'
import { defaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'

/** Azure's own client, which this project did not write, against the emulated Logs Ingestion API. */

const { immutableId: rule } = required(defaultWorld.collectionRules[0])
const stream = 'Custom-CountersignLedger'
const monitor = 'https://monitor.azure.com'

let emulator: TestEmulator
let agent: Agent
beforeAll(async () => {
  emulator = await startTestEmulator({ world: { ...defaultWorld, vaults: [], applications: [] } })
  agent = new Agent({ connect: { ca: emulator.ca } })
})
afterAll(async () => {
  await agent.close()
  await emulator.stop()
})
afterEach(() => {
  emulator.faults.clear()
})

const clientOf = (principal: string, resource = monitor) =>
  new LogsIngestionClient(
    emulator.endpoints.logsIngestion,
    emulator.credential(principal, resource),
    { tlsOptions: { ca: emulator.ca }, retryOptions: { maxRetries: 0 } },
  )

const arrivedSince = async (act: () => Promise<unknown>) => {
  const before = emulator.logsIngestion.arrivals().length
  await act()
  return emulator.logsIngestion
    .arrivals()
    .slice(before)
    .map(({ row }) => row)
}

/** What the service answered, of an upload that it refused. */
async function refusalOf(uploading: Promise<void>) {
  const error: unknown = await uploading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isAggregateLogsUploadError(error)) throw new Error(`not refused: ${String(error)}`)
  const cause = error.errors[0]?.cause
  if (!(cause instanceof Error)) throw new Error('no cause')
  const { statusCode, code, message } = cause as RestError
  return { statusCode, code, message }
}

const now = () => emulator.clock.nowDate().toISOString()

describe('rows that a rule takes', () => {
  test('arrive whole and in order, also when they are too many for one call', async () => {
    const text = 'x'.repeat(30_000)
    const rows = Array.from({ length: 100 }, (_, index) => ({
      TimeGenerated: now(),
      Sequence: index,
      Entry: text,
    }))
    const arrived = await arrivedSince(() =>
      clientOf('countersign').upload(rule, stream, rows, { maxConcurrency: 1 }),
    )
    expect(arrived.map(({ Sequence }) => Sequence)).toEqual(rows.map(({ Sequence }) => Sequence))
    expect(arrived.every(({ Entry }) => Entry === text)).toBe(true)
  })

  test('lose what the stream does not declare, and what is of another type', async () => {
    const [row] = await arrivedSince(() =>
      clientOf('countersign').upload(rule, stream, [
        { TimeGenerated: now(), Sequence: 'one', Kind: 1, IsCut: true, Colour: 'red' },
      ]),
    )
    expect(row).toMatchObject({ Sequence: null, Kind: null, IsCut: true })
    expect(row).not.toHaveProperty('Colour')
  })

  test('have the time of arrival where theirs is more than two days old', async () => {
    const old = '2020-01-01T00:00:00.000Z'
    const [row] = await arrivedSince(() =>
      clientOf('countersign').upload(rule, stream, [{ TimeGenerated: old, At: old }]),
    )
    expect(row).toMatchObject({ At: old })
    expect(row?.['TimeGenerated']).not.toBe(old)
  })

  test('are cut behind 64 KB without a word', async () => {
    const [row] = await arrivedSince(() =>
      clientOf('countersign').upload(rule, stream, [
        { TimeGenerated: now(), Entry: 'x'.repeat(70_000) },
      ]),
    )
    expect(row?.['Entry']).toHaveLength(65_536)
  })
})

describe('refused, in the words of the real one, and nothing arrives', () => {
  test.each([
    {
      name: 'a principal without the role',
      upload: () => clientOf('build-agent').upload(rule, stream, [{}]),
      refusal: {
        statusCode: 403,
        code: 'OperationFailed',
        message: `The authentication token provided does not have access to ingest data for the data collection rule with immutable Id '${rule}'.`,
      },
    },
    {
      name: 'a principal of another tenant',
      upload: () => clientOf('fabrikam-orders').upload(rule, stream, [{}]),
      refusal: { statusCode: 403, code: 'OperationFailed' },
    },
    {
      name: 'a token for another service',
      upload: () => clientOf('countersign', 'https://vault.azure.net').upload(rule, stream, [{}]),
      refusal: { statusCode: 401 },
    },
    {
      name: 'a rule that is not there',
      upload: () => clientOf('countersign').upload(`dcr-${'0'.repeat(32)}`, stream, [{}]),
      refusal: {
        statusCode: 404,
        code: 'NotFound',
        message: `Data collection rule with immutable Id 'dcr-${'0'.repeat(32)}' not found.`,
      },
    },
    {
      name: 'a stream that the rule does not declare',
      upload: () => clientOf('countersign').upload(rule, 'Custom-Other', [{}]),
      refusal: { statusCode: 400, code: 'InvalidStream' },
    },
    {
      name: 'a call of more than 1 MB, however well it packs',
      upload: () =>
        clientOf('countersign').upload(rule, stream, [{ Entry: 'x'.repeat(1_100_000) }]),
      refusal: { statusCode: 413, code: 'ContentLengthLimitExceeded' },
    },
  ])('$name', async ({ upload, refusal }) => {
    const arrived = await arrivedSince(async () => {
      expect(await refusalOf(upload())).toMatchObject(refusal)
    })
    expect(arrived).toEqual([])
  })

  test.each([
    ['no version', '', gzipSync('[{}]'), 400],
    ['no array', '?api-version=2023-01-01', gzipSync('{}'), 400],
    ['no JSON', '?api-version=2023-01-01', gzipSync('{'), 400],
    ['no gzip', '?api-version=2023-01-01', Buffer.from('[{}]'), 400],
  ])('%s', async (_name, query, body, status) => {
    const token = await emulator.token('countersign', monitor)
    const answer = await send(
      `${emulator.endpoints.logsIngestion}/dataCollectionRules/${rule}/streams/${stream}${query}`,
      {
        dispatcher: agent,
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'content-encoding': 'gzip',
        },
        body,
      },
    )
    expect(answer.statusCode).toBe(status)
    expect(await answer.body.json()).toHaveProperty('error.code')
  })
})

describe('a rule that is asked too much', () => {
  test('says when to come again, and the client does', async () => {
    emulator.faults.add(faultSchema.parse({ at: 'monitor', kind: 'throttle' }))
    expect(await refusalOf(clientOf('countersign').upload(rule, stream, [{}]))).toMatchObject({
      statusCode: 429,
    })
    emulator.faults.add(faultSchema.parse({ at: 'monitor', kind: 'throttle' }))
    const patient = new LogsIngestionClient(
      emulator.endpoints.logsIngestion,
      emulator.credential('countersign', monitor),
      { tlsOptions: { ca: emulator.ca } },
    )
    const arrived = await arrivedSince(() =>
      patient.upload(rule, stream, [{ TimeGenerated: now(), Sequence: 7 }]),
    )
    expect(arrived).toMatchObject([{ Sequence: 7 }])
  })
})

test('control tells what arrived, and who may send', async () => {
  await clientOf('countersign').upload(rule, stream, [{ TimeGenerated: now(), Sequence: 41 }])
  expect(
    await emulator.control('GET /collection-rules/countersign-ledger/rows?last=1'),
  ).toMatchObject({ rows: [{ stream, row: { Sequence: 41 } }], forgotten: 0 })
  await emulator.control('POST /collection-rules/countersign-ledger/publishers', {
    principals: ['build-agent'],
  })
  expect((await refusalOf(clientOf('countersign').upload(rule, stream, [{}]))).statusCode).toBe(403)
  await clientOf('build-agent').upload(rule, stream, [{}])
  await emulator.control('POST /collection-rules/countersign-ledger/publishers', {
    principals: ['countersign'],
  })
  await expect(
    emulator.control('POST /collection-rules/countersign-ledger/publishers', {
      principals: ['nobody'],
    }),
  ).rejects.toThrow('404')
  expect(await emulator.control('GET /collection-rules')).toMatchObject([
    { immutableId: rule, publishers: ['countersign'] },
  ])
})
