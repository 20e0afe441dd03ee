import { expect, test } from 'vitest'
import { isoTimeFrom } from '../../src/base/clock.ts'
import type { VaultRecord as WrittenRecord } from '../../src/emulator/vault-log/record.ts'
import { LogError } from '../../src/reconcile/log-error.ts'
import type { Arrivals, LogMark, LogSource } from '../../src/reconcile/log-source.ts'
import { vaultRecordFrom, type VaultRecord } from '../../src/reconcile/vault-record.ts'
import { allOf } from '../support/all-of.ts'
import { vaultRecord } from '../support/vault-records.ts'

/** A log that a test writes, and whoever reads it. */
export interface LogSourceUnderTest {
  readonly source: LogSource<VaultRecord>
  nowMs(): number
  /** Brings a record to where it is read: now, whatever time it is of. */
  deliver(record: WrittenRecord): void
  /** From now on there is nothing where the source looks. */
  vanish(): void
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Every source behaves like this; where the log is kept is whatever `create` brings, empty and new. */
export function describeLogSource(name: string, create: () => LogSourceUnderTest): void {
  let made = 0
  const recordAt = (timeMs: number): WrittenRecord => {
    made += 1
    return vaultRecord({
      time: isoTimeFrom(timeMs).replace('Z', '4321Z'),
      correlationId: `6f0c1d8e-0000-4000-8000-${String(made).padStart(12, '0')}`,
      identity: { claim: { oid: '51000000-0000-4000-8000-000000000001', appid: 'app' } },
      properties: {
        id: 'https://contoso-hsm.vault.azure.net/keys/partner-signing/0a1b',
        requestUri: 'https://contoso-hsm.vault.azure.net:8443/keys/partner-signing/0a1b/sign',
        clientInfo: 'a "client", with commas',
        algorithm: 'PS256',
        httpStatusCode: 200,
      },
    })
  }
  /** Looks, and keeps the mark as a file would. */
  const look = async ({ source }: LogSourceUnderTest, mark?: LogMark): Promise<Arrivals> => {
    const { fromMs, mark: next } = await source.arrivals(mark)
    return { fromMs, mark: JSON.parse(JSON.stringify(next)) as LogMark }
  }
  /** What was there, and came shortly before, may be told once more. */
  const settled = async (log: LogSourceUnderTest): Promise<LogMark> =>
    (await look(log, (await look(log)).mark)).mark

  test(`${name}: reads each record as it is understood anywhere, as often as it is asked`, async () => {
    const log = create()
    const written = [3, 2, 1].map((hours) => recordAt(log.nowMs() - hours * hourMs))
    for (const record of written) log.deliver(record)
    const expected = written.map(vaultRecordFrom)
    for (let time = 0; time < 2; time += 1) {
      const read = await allOf(log.source.records(-Infinity))
      expect(read.toSorted(byTime)).toEqual(expected)
    }
  })

  test(`${name}: reads what came twice, and nothing where nothing came of that time`, async () => {
    const log = create()
    const [old, young] = [recordAt(log.nowMs() - 6 * hourMs), recordAt(log.nowMs() - minuteMs)]
    for (const record of [old, young, young]) log.deliver(record)
    const idsFrom = async (fromMs: number) =>
      (await allOf(log.source.records(fromMs))).flatMap((one) =>
        'timeMs' in one && one.timeMs >= fromMs ? one.correlationId : [],
      )
    expect(await idsFrom(log.nowMs() - 2 * minuteMs)).toEqual([
      young.correlationId,
      young.correlationId,
    ])
    expect(await idsFrom(log.nowMs() + minuteMs)).toEqual([])
  })

  test(`${name}: reads all of a stretch of time, up to its end`, async () => {
    const log = create()
    const [fromMs, toMs] = [log.nowMs() - 4 * hourMs, log.nowMs() - 2 * hourMs]
    const written = [fromMs - hourMs, fromMs, fromMs + hourMs, toMs].map(recordAt)
    for (const record of written) log.deliver(record)
    const read = await allOf(log.source.records(fromMs, toMs))
    const ofThatTime = read.filter((one) => timeOf(one) >= fromMs && timeOf(one) < toMs)
    expect(ofThatTime.toSorted(byTime)).toEqual(written.slice(1, 3).map(vaultRecordFrom))
  })

  test(`${name}: of the first look, anything may have come`, async () => {
    const log = create()
    log.deliver(recordAt(log.nowMs()))
    expect((await look(log)).fromMs).toBe(-Infinity)
  })

  test(`${name}: tells nothing when nothing came, and what came late by its own time`, async () => {
    const log = create()
    log.deliver(recordAt(log.nowMs() - minuteMs))
    const mark = await settled(log)
    const quiet = await look(log, mark)
    expect(quiet.fromMs).toBe(Infinity)
    const late = recordAt(log.nowMs() - 26 * hourMs)
    log.deliver(late)
    const come = await look(log, quiet.mark)
    const lateMs = Date.parse(late.time)
    expect(come.fromMs).toBeLessThanOrEqual(lateMs)
    const read = await allOf(log.source.records(come.fromMs))
    expect(read).toContainEqual(vaultRecordFrom(late))
    expect((await look(log, come.mark)).fromMs).toBe(Infinity)
  })

  test(`${name}: tells of what came since an old mark, however often others have looked`, async () => {
    const log = create()
    log.deliver(recordAt(log.nowMs() - hourMs))
    const mark = await settled(log)
    log.deliver(recordAt(log.nowMs()))
    const first = await look(log, mark)
    expect((await look(log, mark)).fromMs).toBe(first.fromMs)
    expect(first.fromMs).toBeLessThan(Infinity)
  })

  test(`${name}: counts what is not understood, and names the log`, async () => {
    const log = create()
    log.deliver(vaultRecord({ properties: { httpStatusCode: 200 } }))
    expect(await allOf(log.source.records(-Infinity))).toMatchObject([
      {
        kind: 'unread',
        file: expect.stringContaining(log.source.name) as string,
        why: 'it is a KeySign without the id of a key',
      },
    ])
  })

  test(`${name}: says of a log that is not there that it is not, and names it`, async () => {
    const log = create()
    log.deliver(recordAt(log.nowMs()))
    const mark = await settled(log)
    log.vanish()
    for (const act of [() => look(log, mark), () => allOf(log.source.records(-Infinity))]) {
      const failure: unknown = await act().then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failure).toBeInstanceOf(LogError)
      expect((failure as LogError).message).toContain(log.source.name)
    }
  })
}

const byTime = (one: object, other: object) => timeOf(one) - timeOf(other)
const timeOf = (one: object) => ('timeMs' in one ? Number(one.timeMs) : 0)
