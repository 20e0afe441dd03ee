import { fileFacts } from '../base/file-state.ts'
import { hourStartOf } from './blob-hour.ts'
import { hourMs } from './coverage.ts'
import { markOf, namelessStateIn, seenIn, short } from './folder-mark.ts'
import type { SeenFile } from './folder-mark.ts'
import { LogError } from './log-error.ts'
import { filesAt, readLogFile } from './log-file.ts'
import type { LogSource } from './log-source.ts'
import { removalsAmong } from './removals.ts'
import { readRecords } from './read-log.ts'
import type { LogForm } from './read-log.ts'

/** What every kind of record has. */
interface Timed {
  readonly kind: string
  readonly timeMs: number
}

/**
 * A log in files: one of them, or a folder of a storage account, whose blobs are named by their hours. Whether
 * that is the hour of the event or of its delivery Microsoft does not say, and both are understood: a blob
 * has no record of a later hour, and what came late shows because its blob has changed.
 *
 * @param path See `filesAt`.
 */
export const logFolder = <LogRecord extends Timed>(
  path: string,
  form: LogForm<LogRecord>,
): LogSource<LogRecord> => ({
  name: path,
  arrivals: async (mark, decidedUntilMs = -Infinity) => {
    const files = await filesSeenAt(path)
    if (mark === undefined) {
      const all = files.map(({ file }) => file)
      return { fromMs: -Infinity, mark: markOf(path, files), changed: all }
    }
    const before = seenIn(path, mark)
    const stateBefore = ({ file }: SeenFile) =>
      before.get(file)?.state ?? namelessStateIn(mark, file)
    const changed = files.filter((seen) => stateBefore(seen) !== seen.state).map(({ file }) => file)
    let fromMs = Infinity
    for (const file of changed) fromMs = Math.min(fromMs, await firstTimeIn(file, form))
    const there = new Set(files.map(({ file }) => file))
    const gone = [...before.keys()].filter((file) => !there.has(file))
    const { remembered, ...removals } = removalsAmong(path, before, files, decidedUntilMs)
    return { fromMs, mark: markOf(path, remembered), changed: [...changed, ...gone], ...removals }
  },
  async *records(fromMs) {
    const known = form.knownLines?.()
    let failure: LogError | undefined
    for (const file of await filesAt(path)) {
      if (!mayHoldTime(file, fromMs)) continue
      try {
        yield* readRecords(readLogFile(file, known), form)
      } catch (error) {
        if (!(error instanceof LogError)) throw error
        // What the others have counts all the same: whoever makes one unreadable hides no more than that.
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
  },
})

const filesSeenAt = async (path: string): Promise<readonly SeenFile[]> =>
  Promise.all((await filesAt(path)).map(fileSeen))

/** One that cannot be looked at is there all the same, with a length that is not known. */
async function fileSeen(file: string): Promise<SeenFile> {
  const { state = '', bytes = Number.NaN } = (await fileFacts(file)) ?? {}
  return { file, state: short(state), bytes }
}

/** Of the oldest record that a file may hold. */
async function firstTimeIn<LogRecord extends Timed>(
  file: string,
  form: LogForm<LogRecord>,
): Promise<number> {
  // Where nothing, or not all, of it is understood it may hold whatever its name says.
  let first = hourStartOf(file) ?? Infinity
  try {
    for await (const batch of readRecords(readLogFile(file, form.knownLines?.()), form)) {
      for (const record of batch) {
        if ('timeMs' in record && record.timeMs < first) first = record.timeMs
      }
    }
  } catch (error) {
    if (!(error instanceof LogError)) throw error
    // Gone between the two looks at the folder: the next one does not see it.
    // Of another one that cannot be read its records say so, and what its name tells is all that is known.
    if (error.code !== 'LOG_MISSING') return hourStartOf(file) ?? -Infinity
  }
  return first
}

/** A blob may lag behind the clock of whoever names it. */
const slackMs = hourMs

/** Any time, where the name of a file does not tell. */
function mayHoldTime(file: string, fromMs: number): boolean {
  const startMs = hourStartOf(file)
  return startMs === undefined || startMs + hourMs + slackMs > fromMs
}
