import { isoTimeFrom, parseIsoTime } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'
import type { LogValue } from '../log-file.ts'
import type { LogMark, LogSource } from '../log-source.ts'
import { readRecords } from '../read-log.ts'
import type { LogForm } from '../read-log.ts'
import { incomplete } from './table-client.ts'
import type { TableClient, TableRow } from './table-client.ts'
import { paceAfter, paceFrom, paceInside, windowAt } from './time-windows.ts'
import type { TimeWindow } from './time-windows.ts'
import { arrivalsQuery, newestQuery, oldestQuery, rowsQuery } from './workspace-query.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Of an answer; Azure's limits, 500,000 rows or about 64 MB, would fill the memory. */
export const rowsMax = 10_000

/** What was ingested may show so much later, behind what was ingested after it: those minutes are looked at again. */
const overlapMs = 60 * minuteMs

/** Nothing comes later than this; who did not look for so long reads all of it. */
const lateMsMax = 30 * dayMs

/** Azure sets the time of what claims to be of later than this. */
const aheadMsMax = dayMs

/** From here on what is too slow is not so because of its length. */
const slowWindowMsMin = 60 * minuteMs

/**
 * A table of Log Analytics, read live. What has come is told by the minutes of its ingestion: each is remembered with
 * how much came in it, so that a minute that grows is seen however late that shows.
 */
export const logTable = <LogRecord extends { readonly kind: string }>(
  client: TableClient,
  form: LogForm<LogRecord>,
  clock: Pick<Clock, 'nowMs'>,
): LogSource<LogRecord> => ({
  name: client.name,
  arrivals: async (mark) => {
    const nowMs = clock.nowMs()
    const askedMs = parseIsoTime(mark?.[askedAt] ?? '')
    if (mark === undefined || askedMs === undefined || nowMs - askedMs > lateMsMax) {
      return { fromMs: -Infinity, mark: markOf(nowMs, await newestIn(client, nowMs)) }
    }
    const newestMs = parseIsoTime(mark[newestAt] ?? '')
    const span = { fromMs: (newestMs ?? askedMs) - lateMsMax, toMs: nowMs + aheadMsMax }
    const minutes = await minutesSince(client, (newestMs ?? overlapMs) - overlapMs, span)
    return {
      fromMs: Math.min(Infinity, ...grownIn(minutes, mark).map(({ oldestMs }) => oldestMs)),
      mark: markOf(nowMs, newestOf(minutes) ?? newestMs, minutes),
    }
  },
  records: (fromMs, toMs) => readRecords(valuesFrom(client, fromMs, toMs, clock), form),
})

/** In a mark, beside the minutes: when that look was, by our clock. */
const askedAt = 'asked'
/** And the minute of what was ingested last, by Azure's, which may differ; absent: nothing was. */
const newestAt = 'newest'

interface IngestedMinute {
  readonly startMs: number
  readonly oldestMs: number
  readonly amount: number
}

async function minutesSince(
  client: TableClient,
  sinceMs: number,
  span: TimeWindow,
): Promise<readonly IngestedMinute[]> {
  const rows = await wholeOf(client, arrivalsQuery(client.table, sinceMs), span)
  return rows.map(({ minute, oldest, amount }) => ({
    startMs: timeIn(client, minute),
    oldestMs: timeIn(client, oldest),
    amount: Number(amount),
  }))
}

const newestOf = (minutes: readonly IngestedMinute[]): number | undefined =>
  minutes.length === 0 ? undefined : Math.max(...minutes.map(({ startMs }) => startMs))

const grownIn = (minutes: readonly IngestedMinute[], mark: LogMark): readonly IngestedMinute[] =>
  minutes.filter((minute) => mark[keyOf(minute)] !== stateOf(minute))

const keyOf = ({ startMs }: IngestedMinute): string => isoTimeFrom(startMs)
const stateOf = ({ amount, oldestMs }: IngestedMinute): string =>
  `${amount} from ${isoTimeFrom(oldestMs)}`

/** Minutes that the next look does not ask for are not kept. */
const markOf = (
  nowMs: number,
  newestMs: number | undefined,
  minutes: readonly IngestedMinute[] = [],
): LogMark => ({
  [askedAt]: isoTimeFrom(nowMs),
  ...(newestMs === undefined ? {} : { [newestAt]: isoTimeFrom(newestMs) }),
  ...Object.fromEntries(
    minutes
      .filter(({ startMs }) => newestMs === undefined || startMs >= newestMs - overlapMs)
      .map((minute) => [keyOf(minute), stateOf(minute)]),
  ),
})

/** Every row of that time, one window in memory at a time. */
async function* valuesFrom(
  client: TableClient,
  fromMs: number,
  toMs: number | undefined,
  clock: Pick<Clock, 'nowMs'>,
): AsyncGenerator<readonly LogValue[], void, undefined> {
  const untilMs = Math.min(clock.nowMs() + aheadMsMax, toMs ?? Infinity)
  const startMs = fromMs === -Infinity ? await oldestIn(client, untilMs) : fromMs
  let pace = paceFrom(startMs)
  while (pace.fromMs < untilMs) {
    const window = windowAt(pace, untilMs)
    const answer = await client.ask(rowsQuery(client.table, window, rowsMax), window)
    if (answer.kind === 'whole' && answer.rows.length <= rowsMax) {
      yield valuesIn(answer.rows, client)
      pace = paceAfter(window, answer.rows.length, rowsMax)
    } else {
      const why = answer.kind === 'whole' ? 'too-long' : answer.why
      const shorter = why === 'too-slow' && isShort(window) ? undefined : paceInside(window)
      if (shorter === undefined) throw incomplete(client, why)
      pace = shorter
    }
  }
}

const isShort = ({ fromMs, toMs }: TimeWindow): boolean => toMs - fromMs <= slowWindowMsMin

/** A place in a table is told by the hour of its row, which is the same whatever window it is asked for in. */
const valuesIn = (rows: readonly TableRow[], { name }: TableClient): readonly LogValue[] =>
  rows.map((value, index) => ({
    kind: 'value',
    value,
    file: `${name} at ${String(value['TimeGenerated']).slice(0, hourLength)}`,
    line: index + 1,
  }))

const hourLength = '2026-11-22T04'.length

/** `Infinity` where the table is empty. */
async function oldestIn(client: TableClient, untilMs: number): Promise<number> {
  const [row] = await wholeOf(client, oldestQuery(client.table), { fromMs: 0, toMs: untilMs })
  return timeOrNone(client, row?.['oldest']) ?? Infinity
}

/** The minute of what came last, of what may still matter; undefined where there is nothing. */
async function newestIn(client: TableClient, nowMs: number): Promise<number | undefined> {
  const span = { fromMs: nowMs - lateMsMax, toMs: nowMs + aheadMsMax }
  const [row] = await wholeOf(client, newestQuery(client.table), span)
  const newestMs = timeOrNone(client, row?.['newest'])
  return newestMs === undefined ? undefined : Math.floor(newestMs / minuteMs) * minuteMs
}

/** Kusto's text of no time is empty. */
const timeOrNone = (client: TableClient, value: unknown): number | undefined =>
  value === '' ? undefined : timeIn(client, value)

/** @throws LogError besides what asking may come to, when there is more than one answer holds. */
async function wholeOf(
  client: TableClient,
  query: string,
  span: TimeWindow,
): Promise<readonly TableRow[]> {
  const answer = await client.ask(query, span)
  if (answer.kind === 'too-much') throw incomplete(client, answer.why)
  return answer.rows
}

/** @throws LogError where Azure answers something else than was asked. */
function timeIn(client: TableClient, value: unknown): number {
  const ms = typeof value === 'string' ? parseIsoTime(value) : undefined
  if (ms === undefined) throw incomplete(client, 'in-part')
  return ms
}
