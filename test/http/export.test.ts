import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { entryRowFrom } from '../../src/custody/entry-row.ts'
import { tailOfFile } from '../../src/ledger/ledger-tail.ts'
import { required } from '../support/required.ts'
import type { TestEmulator } from '../support/emulator.ts'
import {
  cast,
  deployAsk,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** A service that sends what it writes to Log Analytics, by its own managed identity. */

const { immutableId: rule } = required(serviceWorld.collectionRules[0])

let emulator: TestEmulator
let service: TestService
beforeAll(async () => {
  emulator = await startServiceEmulator()
  service = await startTestService({
    emulator,
    configuration: (file) => ({
      ...file,
      machines: { host: '127.0.0.1', port: 0 },
      export: { logAnalytics: { endpoint: emulator.endpoints.logsIngestion, rule } },
    }),
  })
})
afterAll(async () => {
  await service.stop()
  await emulator.stop()
})
afterEach(() => {
  emulator.logsIngestion.letPublish(rule, ['countersign'])
})

const exporting = () => required(service.service.exporting)
const arrived = () => emulator.logsIngestion.arrivals().map(({ row }) => row)

async function askForBoth() {
  const token = await service.callerToken('fabrikam-orders')
  const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
  const pipeline = await service.callerToken('github', {
    claims: { repository_owner_id: '987', repository_id: '123456', ref: 'refs/heads/main' },
  })
  const assertion = await service.ask('POST /v1/assertion', { token: pipeline, json: deployAsk })
  expect([answer.status, assertion.status]).toEqual([200, 200])
  const issued = [
    (answer.body as { access_token: string }).access_token,
    (assertion.body as { client_assertion: string }).client_assertion,
  ]
  return { proofs: [token, pipeline], issued }
}

/** Signatures of tokens: what nobody can use them without. */
const secretParts = (tokens: readonly string[]) =>
  tokens.map((token) => required(token.split('.')[2]))

test('every entry arrives as its row, and none of them holds a token', async () => {
  const { proofs, issued } = await askForBoth()
  await exporting().look()

  const stored = await tailOfFile(service.ledgerFile).rowsFrom(1, 1000)
  const rows = stored.map((one) => entryRowFrom(one, cast.publicUrl))
  const present = arrived().map((row) =>
    Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
  )
  expect(present).toEqual(rows)
  expect(rows.map(({ Kind }) => Kind)).toEqual(
    expect.arrayContaining(['token.issued', 'assertion.issued', 'signature.made']),
  )
  const sent = JSON.stringify(arrived())
  for (const secret of secretParts([...proofs, ...issued])) expect(sent).not.toContain(secret)
  expect(emulator.vaultLog.records().map(({ correlationId }) => correlationId)).toEqual(
    expect.arrayContaining(
      rows.flatMap(({ VaultRequestId }) => (VaultRequestId === undefined ? [] : [VaultRequestId])),
    ),
  )
})

test('while Azure refuses them requests are served, and machines are told', async () => {
  await exporting().look()
  const before = arrived().length
  expect((await service.askAsMachine('GET /readyz')).body).toMatchObject({
    export: { state: 'ok' },
  })
  emulator.logsIngestion.letPublish(rule, [])
  await askForBoth()
  await exporting().look()
  expect((await service.askAsMachine('GET /readyz')).body).toMatchObject({
    ready: true,
    export: { state: 'failing' },
  })
  const metrics = (await service.askAsMachine('GET /metrics')).text
  expect(metrics).toContain('countersign_export_failures_total{code="EXPORT_FORBIDDEN"} 1')
  const lines = service.log().filter((line) => line.includes('"EXPORT_FORBIDDEN"'))
  expect(lines).toHaveLength(1)

  emulator.clock.shift(90)
  const later = (await service.askAsMachine('GET /metrics')).text
  const behind = /^countersign_export_behind_seconds ([\d.]+)$/m.exec(later)?.[1]
  expect(Number(behind)).toBeGreaterThanOrEqual(90)

  emulator.logsIngestion.letPublish(rule, ['countersign'])
  await exporting().look()
  expect(arrived().length).toBeGreaterThan(before)
  expect(arrived().map(({ Sequence }) => Sequence)).toEqual(
    service.entries().map((_entry, index) => index + 1),
  )
  expect((await service.askAsMachine('GET /metrics')).text).toContain(
    'countersign_export_behind_seconds 0',
  )
})

test('strangers are told nothing of it', async () => {
  expect((await service.ask('GET /readyz')).body).toEqual({ ready: true })
})

test('a service that exports nothing says nothing of it', async () => {
  const other = await startTestService({
    emulator,
    configuration: (file) => ({ ...file, machines: { host: '127.0.0.1', port: 0 } }),
  })
  expect(other.service.exporting).toBeUndefined()
  expect((await other.askAsMachine('GET /readyz')).body).not.toHaveProperty('export')
  await other.stop()
})
