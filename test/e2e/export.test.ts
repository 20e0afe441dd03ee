import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom } from '../support/served.ts'

/** `countersign serve` as it is run, and what arrives of it in Log Analytics. */

const { immutableId: rule } = required(oneVaultWorld.collectionRules[0])

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
})
afterAll(() => emulator.stop())

const arrived = () => emulator.logsIngestion.arrivals().map(({ row }) => row)
const kinds = () => arrived().map(({ Kind }) => Kind)

const serve = () =>
  serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      export: { logAnalytics: { endpoint: emulator.endpoints.logsIngestion, rule } },
    }),
  })

test('its entries arrive by themselves, the last one too, when it is told to stop', async () => {
  const served = serve()
  await served.said('ready')
  while (!kinds().includes('certificate.loaded')) await delay(100)
  expect(kinds()[0]).toBe('service.started')
  served.signal('SIGTERM')
  expect(await served.ended).toBe(0)
  expect(kinds().at(-1)).toBe('service.stopped')
  expect(arrived().map(({ Entry }) => JSON.parse(String(Entry)) as unknown)).toEqual(
    served.entries(),
  )
  await served.remove()
})

test('it stops in time and in order while Azure does not answer, and keeps what is left', async () => {
  const before = arrived().length
  await emulator.logsIngestion.leave()
  const served = serve()
  await served.said('ready')
  await served.said('entries cannot be exported; they are kept')
  served.signal('SIGTERM')
  expect(await served.ended).toBe(0)
  expect(served.entries().at(-1)).toMatchObject({ kind: 'service.stopped' })
  expect(arrived()).toHaveLength(before)
  await emulator.logsIngestion.comeBack()
  await served.remove()
})
