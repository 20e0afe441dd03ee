import type { Clock } from '../base/clock.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { GrantFile } from '../policy/grant-folder.ts'
import { grantsText } from '../policy/grants-text.ts'
import { stepOf } from './folder-position.ts'
import type { GenerationName, GenerationsFound, PolicyGenerations } from './policy-generations.ts'

/**
 * How long a folder may lag behind that of another replica. A kubelet looks once a minute, and what it then
 * takes may be as old again; it costs that much where a change is news to a replica that missed the last one.
 */
export const lagMaxMs = 120_000

/** Each failure is somebody else's success. */
const triesMax = 10

/** The folder of this replica among the generations. */
export interface FolderPlace {
  /**
   * Finds out what the folder means now, and publishes it where it is news.
   *
   * @param files Of a folder that could be read; absent: it says nothing.
   * @returns The newest generation then.
   */
  find(files?: readonly GrantFile[]): Promise<GenerationName | undefined>
  /** Of the files that were last seen; undefined until there were any. */
  readonly seen: { readonly sha256: string; readonly isSettled: boolean } | undefined
}

/** @param check Throws where what was found must not be built on. */
export function createFolderPlace(
  generations: PolicyGenerations,
  clock: Pick<Clock, 'monotonicMs'>,
  check: (newest: GenerationName | undefined) => void,
): FolderPlace {
  let position: GenerationName | undefined
  let seen: { readonly sha256: string; readonly sinceMs: number } | undefined
  let newest: { readonly generation: number; readonly sinceMs: number } | undefined
  /** By what others have made of the policy since, too: whatever it was before that, it may lag behind them now. */
  const isSettled = (sinceMs: number) =>
    clock.monotonicMs() - Math.max(sinceMs, newest?.sinceMs ?? -Infinity) >= lagMaxMs

  const see = (sha256: string) => {
    if (seen?.sha256 !== sha256) seen = { sha256, sinceMs: clock.monotonicMs() }
    return seen
  }

  const checked = async (sha256: string): Promise<GenerationsFound> => {
    const found = await generations.find(sha256)
    check(found.newest)
    const generation = found.newest?.generation ?? 0
    if (newest?.generation !== generation) newest = { generation, sinceMs: clock.monotonicMs() }
    return found
  }

  const place = async (files: readonly GrantFile[]): Promise<GenerationName | undefined> => {
    const text = grantsText(files)
    const { sha256, sinceMs } = see(sha256Base64url(text))
    for (let tries = 0; tries < triesMax; tries += 1) {
      const found = await checked(sha256)
      const folder = { sha256, isEmpty: files.length === 0, isSettled: isSettled(sinceMs) }
      const step = stepOf(position, folder, found)
      if (step.kind === 'move') position = step.position
      if (step.kind !== 'publish') return found.newest
      const next = { generation: step.generation, sha256 }
      if (await generations.publish({ ...next, files: text })) {
        position = next
        return next
      }
    }
    return (await checked(sha256)).newest
  }

  return {
    find: async (files) =>
      files === undefined ? (await checked(seen?.sha256 ?? '')).newest : place(files),
    get seen() {
      return seen && { sha256: seen.sha256, isSettled: isSettled(seen.sinceMs) }
    },
  }
}
