import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isoTimeFrom } from '../../src/base/clock.ts'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'
import { vaultLogForm } from '../../src/reconcile/read-log.ts'
import { logTable } from '../../src/reconcile/workspace/log-table.ts'
import { allOf } from '../support/all-of.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { vaultRecord } from '../support/vault-records.ts'
import {
  readerOf,
  workspaceId,
  workspaceWorld,
  type WorkspaceReader,
} from '../support/workspace.ts'
import { describeLogSource } from './log-source.contract.ts'

/** A table of Log Analytics, through Azure's own client. */

let emulator: TestEmulator
let newer: WorkspaceReader
let older: WorkspaceReader
beforeEach(async () => {
  emulator = await startTestEmulator({ world: workspaceWorld })
  newer = await readerOf(emulator, 'AZKVAuditLogs')
  older = await readerOf(emulator, 'AzureDiagnostics')
})
afterEach(async () => {
  await Promise.all([newer.close(), older.close()])
  await emulator.stop()
})

const underTest = ({ table }: WorkspaceReader) => ({
  source: logTable(table, vaultLogForm, emulator.clock),
  nowMs: () => emulator.clock.nowMs(),
  deliver: (record: VaultRecord) => {
    emulator.workspaceTables.vaultRecord(record)
  },
  vanish: () => {
    emulator.logsQuery.letRead(workspaceId, [])
  },
})

describeLogSource('AZKVAuditLogs', () => underTest(newer))
describeLogSource('AzureDiagnostics', () => underTest(older))

test('rows of another time than is asked for are not sent', async () => {
  const source = logTable(newer.table, vaultLogForm, emulator.clock)
  const hourMs = 3_600_000
  const nowMs = emulator.clock.nowMs()
  for (const hours of [5, 4, 3]) {
    const time = isoTimeFrom(nowMs - hours * hourMs)
    emulator.workspaceTables.vaultRecord(vaultRecord({ time, operationName: 'KeyGet' }))
  }
  const read = await allOf(source.records(nowMs - 4 * hourMs, nowMs - 3 * hourMs))
  expect(read).toMatchObject([{ timeMs: nowMs - 4 * hourMs }])
})

describe('what came since a look', () => {
  const hourMs = 3_600_000
  const dayMs = 24 * hourMs
  const deliver = (agoMs: number): number => {
    const timeMs = emulator.clock.nowMs() - agoMs
    emulator.workspaceTables.vaultRecord(vaultRecord({ time: isoTimeFrom(timeMs) }))
    return timeMs
  }

  test.each([
    ['ahead', 3 * hourMs],
    ['behind', -3 * hourMs],
  ])('is told by Azure’s clock, when ours is far %s', async (_, skewMs) => {
    const source = logTable(newer.table, vaultLogForm, {
      nowMs: () => emulator.clock.nowMs() + skewMs,
    })
    deliver(hourMs)
    const { mark } = await source.arrivals((await source.arrivals(undefined)).mark)
    emulator.clock.shift(60)
    const timeMs = deliver(0)
    expect((await source.arrivals(mark)).fromMs).toBeLessThanOrEqual(timeMs)
  })

  test('is told where the table had nothing of the last month', async () => {
    const { source } = underTest(newer)
    deliver(40 * dayMs)
    const { mark } = await source.arrivals(undefined)
    expect((await source.arrivals(mark)).fromMs).toBe(Infinity)
    const timeMs = deliver(hourMs)
    expect((await source.arrivals(mark)).fromMs).toBe(timeMs)
  })

  test('is anything, when nobody has looked for a month', async () => {
    const { source } = underTest(newer)
    deliver(0)
    const { mark } = await source.arrivals(undefined)
    emulator.clock.shift((29 * dayMs) / 1000)
    expect((await source.arrivals(mark)).fromMs).toBeGreaterThan(-Infinity)
    emulator.clock.shift((2 * dayMs) / 1000)
    expect((await source.arrivals(mark)).fromMs).toBe(-Infinity)
  })

  test('is remembered for an hour, and no longer', async () => {
    const { source } = underTest(newer)
    deliver(0)
    let { mark } = await source.arrivals(undefined)
    for (let look = 0; look < 13; look += 1) {
      emulator.clock.shift(600)
      deliver(0)
      mark = (await source.arrivals(mark)).mark
    }
    // When, the newest, and each ten minutes of the last hour.
    expect(Object.keys(mark)).toHaveLength(2 + 7)
  })
})
