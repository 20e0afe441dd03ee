import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import { LogError } from './log-error.ts'
import type { LogSource, LogSources, SourceRecords } from './log-source.ts'

/**
 * The same logs for somebody who waits: together they are read for so long, and one that has not come to its end by
 * then cannot be read (`LOG_TOO_SLOW`). What it still does is nobody's.
 *
 * @param budgetMs Of reading and of what is done with each record; what is done between two readings takes none of it.
 */
export function readWithin(
  { vaultLogs, signInLogs, auditLogs }: LogSources,
  budgetMs: number,
  clock: Pick<Clock, 'monotonicMs'>,
): LogSources {
  let leftMs = budgetMs
  /** Some are read twice. */
  const asked = new Set<LogSource<unknown>>()
  async function* bounded<LogRecord>(
    source: LogSource<LogRecord>,
    fromMs: number,
    toMs?: number,
  ): SourceRecords<LogRecord> {
    if (leftMs <= 0 && !asked.has(source)) throw notAsked(source, budgetMs)
    asked.add(source)
    const reading = source.records(fromMs, toMs)[Symbol.asyncIterator]()
    for (let lastMs = clock.monotonicMs(); ;) {
      const next = await nextWithin(reading, leftMs)
      const nowMs = clock.monotonicMs()
      // A deadline may be over a little before the clock says so.
      leftMs = next === 'late' ? 0 : leftMs - (nowMs - lastMs)
      lastMs = nowMs
      if (next === 'late') throw tooSlow(source, budgetMs)
      if (next.done === true) return
      yield next.value
    }
  }
  const boundedLog = <LogRecord>(source: LogSource<LogRecord>): LogSource<LogRecord> => ({
    name: source.name,
    arrivals: (mark, decidedUntilMs) => source.arrivals(mark, decidedUntilMs),
    records: (fromMs, toMs) => bounded(source, fromMs, toMs),
  })
  return {
    vaultLogs: vaultLogs.map(boundedLog),
    signInLogs: signInLogs.map(boundedLog),
    auditLogs: auditLogs.map(boundedLog),
  }
}

async function nextWithin<Batch>(
  reading: AsyncIterator<Batch>,
  leftMs: number,
): Promise<IteratorResult<Batch, unknown> | 'late'> {
  if (leftMs <= 0) return 'late'
  try {
    return await withDeadline(leftMs, () => reading.next())
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError') return 'late'
    throw error
  }
}

const tooSlow = ({ name }: LogSource<unknown>, budgetMs: number): LogError =>
  new LogError(
    'LOG_TOO_SLOW',
    `${name} was not read to its end: the logs were read for ${budgetMs / 1000} s together, and countersign reconcile takes the time that they need`,
  )

const notAsked = ({ name }: LogSource<unknown>, budgetMs: number): LogError =>
  new LogError(
    'LOG_TOO_SLOW',
    `${name} was not asked any more: the logs before it were read for ${budgetMs / 1000} s, and countersign reconcile takes the time that they need`,
  )
