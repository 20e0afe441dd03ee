import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { readWithin } from '../../../src/reconcile/log-budget.ts'
import type { LogSource } from '../../../src/reconcile/log-source.ts'
import type { VaultRecord } from '../../../src/reconcile/vault-record.ts'
import { allOf } from '../../support/all-of.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

const clock = fixedClock(1_795_752_000)

/** Two batches; between them so much time passes. */
const slowLog = (name: string, seconds: number): LogSource<VaultRecord> => ({
  name,
  arrivals: () => Promise.reject(new TypeError('nobody asks')),
  async *records() {
    await Promise.resolve()
    yield []
    clock.advance(seconds)
    yield []
    yield []
  },
})

const bounded = (...vaultLogs: LogSource<VaultRecord>[]) =>
  readWithin({ vaultLogs, signInLogs: [], auditLogs: [] }, 10_000, clock).vaultLogs

const readAll = (log: LogSource<VaultRecord> | undefined) => allOf(required(log).records(-Infinity))

test('reads what comes to its end in time, as often as it is asked', async () => {
  const [log] = bounded(slowLog('quick', 4))
  for (let time = 0; time < 2; time += 1) {
    expect(await readAll(log)).toEqual([])
  }
  clock.advance(3600)
  await expect(readAll(log)).rejects.toMatchObject({ code: 'LOG_TOO_SLOW' })
})

test('lets go of one that takes longer, and of those that come after it', async () => {
  const [slow, next] = bounded(slowLog('slow', 11), slowLog('next', 0))
  await expect(readAll(slow)).rejects.toMatchObject({
    code: 'LOG_TOO_SLOW',
    message: expect.stringContaining('slow was not read to its end') as string,
  })
  await expect(readAll(next)).rejects.toMatchObject({
    code: 'LOG_TOO_SLOW',
    message: expect.stringContaining('next was not asked any more') as string,
  })
})

test('counts what the last of a log took, too', async () => {
  const [slow, next] = bounded(
    {
      ...slowLog('slow', 0),
      async *records() {
        await Promise.resolve()
        yield []
        clock.advance(11)
      },
    },
    slowLog('next', 0),
  )
  expect(await readAll(slow)).toEqual([])
  await expect(readAll(next)).rejects.toMatchObject({ code: 'LOG_TOO_SLOW' })
})

test('waits for no record that never comes', async () => {
  const endless: LogSource<VaultRecord> = {
    ...slowLog('endless', 0),
    async *records() {
      yield []
      await pause(3_600_000, undefined, { ref: false })
      yield []
    },
  }
  const [log, next] = readWithin(
    { vaultLogs: [endless, slowLog('next', 0)], signInLogs: [], auditLogs: [] },
    20,
    clock,
  ).vaultLogs
  await expect(readAll(log)).rejects.toMatchObject({ code: 'LOG_TOO_SLOW' })
  // They wait for so long together, not each of them.
  await expect(readAll(next)).rejects.toMatchObject({
    code: 'LOG_TOO_SLOW',
    message: expect.stringContaining('next was not asked any more') as string,
  })
})
