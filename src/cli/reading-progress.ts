import { systemClock } from '../base/clock.ts'
import type { Row } from '../ledger/chain.ts'
import type { LogSource, LogSources, SourceRecords } from '../reconcile/log-source.ts'
import type { Progress } from '../reconcile/rounds/round.ts'

const everyMs = 200
/** Of less nobody waits for the end; to look at the clock for each would cost more than to read it. */
const everyRows = 1000

type Pages = AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>

/** One line that is written over, on a terminal; nothing anywhere else. */
export interface ReadingProgress {
  /** What is not said is as it was. */
  readonly show: (read: Partial<Progress>) => void
  /** The same ledger, of which it is shown how much was read. */
  ofLedger<Ledger extends { pages(): Pages }>(ledger: Ledger): Ledger
  /** The same logs, likewise. */
  ofLogs(sources: LogSources): LogSources
  /** The line is empty again. */
  readonly clear: () => void
}

export function readingProgress(
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>,
): ReadingProgress {
  let read: Partial<Progress> = {}
  let shownAtMs = -Infinity
  let isShown = false
  const show = (more: Partial<Progress>) => {
    read = { ...read, ...more }
    const nowMs = systemClock.monotonicMs()
    if (!stream.isTTY || nowMs < shownAtMs + everyMs) return
    shownAtMs = nowMs
    isShown = true
    stream.write(`\r\u001b[K${textOf(read)}`)
  }
  const counted = <LogRecord>(source: LogSource<LogRecord>): LogSource<LogRecord> => ({
    name: source.name,
    arrivals: (mark, decidedUntilMs) => source.arrivals(mark, decidedUntilMs),
    records: (fromMs, toMs) =>
      countedRecords(source.records(fromMs, toMs), (count) => {
        show({ records: (read.records ?? 0) + count })
      }),
  })
  return {
    show,
    // Counting takes time, of which a large ledger needs enough.
    ofLedger: (ledger) =>
      stream.isTTY
        ? {
            ...ledger,
            pages: () =>
              countedRows(ledger.pages(), (entries) => {
                show({ entries })
              }),
          }
        : ledger,
    ofLogs: ({ vaultLogs, signInLogs, auditLogs }) => ({
      vaultLogs: vaultLogs.map(counted),
      signInLogs: signInLogs.map(counted),
      auditLogs: auditLogs.map(counted),
    }),
    clear: () => {
      if (isShown) stream.write('\r\u001b[K')
      isShown = false
      shownAtMs = -Infinity
      read = {}
    },
  }
}

function textOf({ entries = 0, records }: Partial<Progress>): string {
  const text = `read ${entries} entries of the ledger`
  return records === undefined ? text : `${text}, ${records} records`
}

/** A page may be all of the ledger, read as it is asked for. */
async function* countedRows(
  pages: Pages,
  told: (rows: number) => void,
): AsyncGenerator<Iterable<Row>, void, undefined> {
  let count = 0
  function* each(page: Iterable<Row>) {
    for (const row of page) {
      yield row
      count += 1
      if (count % everyRows === 0) told(count)
    }
  }
  for await (const page of pages) yield each(page)
}

async function* countedRecords<LogRecord>(
  batches: SourceRecords<LogRecord>,
  told: (records: number) => void,
): SourceRecords<LogRecord> {
  for await (const batch of batches) {
    yield batch
    told(batch.length)
  }
}
