import { afterAll, beforeAll, expect, test } from 'vitest'
import { isoTimeFrom } from '../../src/base/clock.ts'
import { findingColumns } from '../../src/custody/finding-row.ts'
import { worldSchema } from '../../src/emulator/world.ts'
import { FindingSinkError } from '../../src/reconcile/rounds/finding-sink.ts'
import type { FindingEvent } from '../../src/reconcile/rounds/round-state.ts'
import { createFindingRows, type FindingRows } from '../../src/reconciling.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serviceWorld, startServiceEmulator } from '../support/test-service.ts'

/** Findings on their way to Log Analytics, by a managed identity, through the real client. */

const stream = 'Custom-CountersignFindings'
const [ledgerRule] = serviceWorld.collectionRules
const { immutableId: rule } = required(ledgerRule)
const world = worldSchema.parse({
  ...serviceWorld,
  collectionRules: [{ ...ledgerRule, streams: [{ name: stream, columns: findingColumns }] }],
})

let emulator: TestEmulator
let rows: FindingRows
beforeAll(async () => {
  emulator = await startServiceEmulator(world)
  const endpoint = emulator.endpoints.logsIngestion
  const { authority } = emulator.endpoints
  rows = await createFindingRows(
    { endpoint, rule, stream, audience: 'https://monitor.azure.com' },
    {
      cloud: {
        name: 'custom',
        authority,
        authorityV1: authority,
        vaultSuffix: 'localhost',
        loopbackVaults: true,
      },
      credential: 'managed-identity',
    },
    undefined,
    () => ({ deployment: 'https://countersign.contoso.example', ledger: 'ledger' }),
  )
})
afterAll(async () => {
  await rows.close()
  await emulator.stop()
})

const event: FindingEvent = {
  id: '0123-new-1',
  event: 'finding.new',
  atMs: 1_795_327_200_000,
  finding: {
    id: '0123',
    kind: 'sign.unexplained',
    severity: 'high',
    atMs: 1_795_327_100_000,
    summary: 'the ledger does not know 1 signature',
    facts: [['by', 'object id 51000000-0000-4000-8000-0000000000ff']],
  },
  pending: [],
}

test('an event arrives as a row of the table that is deployed, whole', async () => {
  expect(await rows.tell([event])).toBe(1)
  const [row] = emulator.logsIngestion.arrivals().map((arrival) => arrival.row)
  expect(Object.keys(row ?? {}).toSorted()).toEqual(Object.keys(findingColumns).toSorted())
  expect(row).toMatchObject({
    EventId: '0123-new-1',
    Event: 'finding.new',
    FindingId: '0123',
    Kind: 'sign.unexplained',
    Severity: 'high',
    HappenedAt: isoTimeFrom(1_795_327_100_000),
    Deployment: 'https://countersign.contoso.example',
    Ledger: 'ledger',
    Facts: '[{"name":"by","value":"object id 51000000-0000-4000-8000-0000000000ff"}]',
    IsCut: null,
  })
})

test('facts that a column does not hold are cut whole, and as many rows go as a call takes', async () => {
  const fact = (index: number): [string, string] => ['changed', `${index} ${'é'.repeat(98)}`]
  const facts = Array.from({ length: 513 }, (_, index) => fact(index))
  const events = Array.from({ length: 50 }, (_, index) => ({
    ...event,
    id: `${index}`,
    finding: { ...event.finding, facts },
  }))
  const taken = await rows.tell(events)
  expect(taken).toBeGreaterThan(1)
  expect(taken).toBeLessThan(50)
  const arrived = emulator.logsIngestion.arrivals().slice(-taken)
  expect(arrived.map(({ row }) => row['EventId'])).toEqual(
    events.slice(0, taken).map(({ id }) => id),
  )
  for (const { row } of arrived) {
    const text = String(row['Facts'])
    const whole = JSON.parse(text) as readonly { readonly name: string; readonly value: string }[]
    expect(whole).toEqual(facts.slice(0, whole.length).map(([name, value]) => ({ name, value })))
    expect(Buffer.byteLength(text)).toBeGreaterThan(59_000)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(60_000)
    expect(row['IsCut']).toBe(true)
  }
})

test('what is refused is not taken, and says what an operator has to do', async () => {
  emulator.logsIngestion.letPublish(rule, [])
  await expect(rows.tell([event])).rejects.toThrow(
    new FindingSinkError('Log Analytics does not take the rows (EXPORT_FORBIDDEN)'),
  )
})
