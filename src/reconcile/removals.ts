import { hourStartOf, splitAtHour } from './blob-hour.ts'
import { hourMs } from './coverage.ts'
import { short } from './folder-mark.ts'
import type { SeenFile } from './folder-mark.ts'

/** Files that went at one look, or lost some of what they held; until all of them are whole again. */
export interface RemovedFiles {
  readonly what: 'files'
  readonly log: string
  /** Tells them from others that went before or later. */
  readonly group: string
  readonly count: number
  /** Of the first and the last hour that they are named by; absent: their names tell none. */
  readonly fromMs?: number
  readonly toMs?: number
  /** Some of them, the first by name. */
  readonly files: readonly RemovedFile[]
}

export interface RemovedFile {
  readonly file: string
  readonly is: 'gone' | 'shorter'
}

export interface Removals {
  /** What is to be remembered: what is there, and what should be. */
  readonly remembered: readonly SeenFile[]
  readonly removed: readonly RemovedFiles[]
  /** Groups of which all files are whole again. */
  readonly returned: readonly string[]
  /** Where the youngest hour ends that went as it grew old; absent: none did. */
  readonly retiredUntilMs?: number
}

/**
 * What is not there any more of what was seen. The oldest blobs of a folder go as they grow old, by whatever rule
 * their owner has: that is taken for ordinary where everything of their time is decided, and all that are left are
 * younger. Whoever removes another one, or all of them, or makes it shorter, takes evidence away.
 *
 * @param decidedUntilMs Milliseconds since the Unix epoch.
 */
export function removalsAmong(
  log: string,
  before: ReadonlyMap<string, SeenFile>,
  files: readonly SeenFile[],
  decidedUntilMs: number,
): Removals {
  const there = new Map(files.map((seen) => [seen.file, seen]))
  const isOrdinary = ordinaryEnd(files, decidedUntilMs)
  const gone = (seen: SeenFile) => !there.has(seen.file) && !there.has(otherFormOf(seen.file))
  const isRetired = (seen: SeenFile) => gone(seen) && seen.group === undefined && isOrdinary(seen)
  const lost = [...before.values()].filter((seen) => {
    const now = there.get(seen.file)
    return now === undefined ? gone(seen) && !isRetired(seen) : now.bytes < seen.bytes
  })
  const retired = [...before.values()].filter(isRetired)
  const newly = lost.filter(({ group }) => group === undefined)
  const newGroup = short(JSON.stringify(newly.map(({ file, state }) => [file, state]).sort()))
  const grouped = lost.map((seen) => ({ ...seen, group: seen.group ?? newGroup }))
  const groups = Map.groupBy(grouped, ({ group }) => group)
  const isLost = new Set(lost.map(({ file }) => file))
  return {
    remembered: [
      ...files.filter(({ file }) => !isLost.has(file)),
      ...grouped.map((seen) => ({ ...seen, state: there.get(seen.file)?.state ?? seen.state })),
    ],
    removed: [...groups].map(([group, seen]) => removedFrom(log, group, seen, there)),
    returned: [...new Set([...before.values()].flatMap(({ group }) => group ?? []))].filter(
      (group) => !groups.has(group),
    ),
    ...(retired.length > 0 && {
      retiredUntilMs: Math.max(...retired.flatMap(({ file }) => hourStartOf(file) ?? [])) + hourMs,
    }),
  }
}

/** Some compress their blobs when they are complete. */
const otherFormOf = (file: string): string =>
  file.endsWith('.gz') ? file.slice(0, -'.gz'.length) : `${file}.gz`

function ordinaryEnd(
  files: readonly SeenFile[],
  decidedUntilMs: number,
): (gone: SeenFile) => boolean {
  const oldest = new Map<string, number>()
  for (const { file } of files) {
    const { folder } = splitAtHour(file)
    oldest.set(folder, Math.min(oldest.get(folder) ?? Infinity, hourStartOf(file) ?? Infinity))
  }
  return ({ file }) => {
    const startMs = hourStartOf(file)
    if (startMs === undefined || startMs + hourMs > decidedUntilMs) return false
    return startMs < (oldest.get(splitAtHour(file).folder) ?? -Infinity)
  }
}

/** Enough to see what happened. */
const filesShown = 5

function removedFrom(
  log: string,
  group: string,
  seen: readonly SeenFile[],
  there: ReadonlyMap<string, unknown>,
): RemovedFiles {
  const hours = seen.flatMap(({ file }) => hourStartOf(file) ?? [])
  const names = seen.map(({ file }) => file).sort()
  return {
    what: 'files',
    log,
    group,
    count: seen.length,
    ...(hours.length > 0 && { fromMs: Math.min(...hours), toMs: Math.max(...hours) }),
    files: names
      .slice(0, filesShown)
      .map((file) => ({ file, is: there.has(file) ? 'shorter' : 'gone' })),
  }
}
