import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEmulatorClock } from '../../../../src/emulator/emulator-clock.ts'
import { createSeededRandom } from '../../../../src/emulator/random.ts'
import { deliverySchema } from '../../../../src/emulator/vault-log/delivery.ts'
import { openVaultLog, type VaultLogDeps } from '../../../../src/emulator/vault-log/vault-log.ts'
import { readVaultLog } from '../../../support/vault-log-files.ts'
import { vaultRecord } from '../../../support/vault-records.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vault-log-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const openLog = (different: Partial<VaultLogDeps> = {}) =>
  openVaultLog({
    folder,
    shape: 'json-lines',
    dials: deliverySchema.parse({}),
    clock: createEmulatorClock(),
    random: createSeededRandom(1),
    unconfirmed: { blobHour: 'event' },
    ...different,
  })

test('remembers so many records and counts the others, which the files still have', () => {
  const log = openLog()
  for (let i = 0; i <= 50_000; i += 1) log.record(vaultRecord({ correlationId: String(i) }))
  log.close()
  expect([log.records().length, log.forgotten()]).toEqual([25_001, 25_000])
  expect(log.records()[0]?.correlationId).toBe('25000')
  const written = [...readVaultLog(folder).values()].flat()
  expect(written.map(({ correlationId }) => Number(correlationId))).toEqual(
    Array.from({ length: 50_001 }, (_, i) => i),
  )
})

test('files a late record under its own hour, or under that of its delivery, as told', () => {
  const time = '2020-01-01T00:30:00.0000000Z'
  for (const blobHour of ['event', 'delivery'] as const) {
    const log = openLog({ unconfirmed: { blobHour } })
    log.record(vaultRecord({ time }))
    log.close()
  }
  const years = [...readVaultLog(folder).keys()].map((path) => /y=(\d{4})/.exec(path)?.[1])
  expect(years.filter((year) => year === '2020')).toHaveLength(1)
  expect(years).toHaveLength(2)
})

test('shows what happened at once, however late it is delivered', () => {
  const log = openLog({ dials: deliverySchema.parse({ lateSecondsMax: 600 }) })
  log.record(vaultRecord())
  expect([log.records().length, log.heldBack()]).toEqual([1, 1])
  expect([...readVaultLog(folder).values()].flat()).toEqual([])
  log.flush()
  expect([log.records().length, log.heldBack()]).toEqual([1, 0])
  expect([...readVaultLog(folder).values()].flat()).toEqual([vaultRecord()])
  log.close()
})
