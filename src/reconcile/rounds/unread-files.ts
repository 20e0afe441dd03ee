import type { UnreadPlace } from '../log-file.ts'
import type { LogKind } from './log-kinds.ts'
import type { RoundState } from './round-state.ts'

/** A file with places that were not understood. */
export type UnreadFile = RoundState['unread'][number]

/** So many are remembered; whatever else there is waits in the logs, where the next round finds it again. */
export const unreadFilesMax = 1000
/** Whoever has not looked at a place by then never will. */
const rememberedMs = 90 * 24 * 60 * 60_000

/** Collects the places of a round by their files, which may be read several times. */
export class UnreadFiles {
  readonly #byFile = new Map<string, Omit<UnreadFile, 'readAtMs'>>()

  /** Takes the places of one reading, as they come. */
  ofReading(of: LogKind): (place: UnreadPlace) => void {
    const here = new Map<string, number>()
    return ({ file, line, why }) => {
      const count = (here.get(file) ?? 0) + 1
      here.set(file, count)
      const first = count === 1 ? { line, why } : this.#byFile.get(file)
      this.#byFile.set(file, { of, line, why, ...first, file, count })
    }
  }

  files(): readonly Omit<UnreadFile, 'readAtMs'>[] {
    return [...this.#byFile.values()]
  }
}

/**
 * Those of earlier rounds stay until their file is another one, because no later round may read it: what is not
 * understood may be a signature.
 *
 * @param changed Files that were written, replaced or removed since.
 */
export function unreadAfter(
  before: readonly UnreadFile[],
  found: readonly Omit<UnreadFile, 'readAtMs'>[],
  changed: ReadonlySet<string>,
  nowMs: number,
): readonly UnreadFile[] {
  const kept = before.filter(
    ({ file, readAtMs }) => !changed.has(file) && readAtMs > nowMs - rememberedMs,
  )
  const all = [...kept, ...found.map((one) => ({ ...one, readAtMs: nowMs }))]
  return [...new Map(all.map((one) => [one.file, one])).values()]
}
