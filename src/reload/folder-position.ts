import type { GenerationName, GenerationsFound } from './policy-generations.ts'

/**
 * What a folder of grants means for the policy of all replicas. Their folders change at different times, and
 * nothing in a folder says whether it is older or newer than another. So each replica remembers its position,
 * the generation that its own folder corresponds to, and what its folder becomes is looked for behind it.
 */

/** A folder as it is now. */
export interface FolderSeen {
  readonly sha256: string
  /** No file at all. */
  readonly isEmpty: boolean
  /** It and the newest generation have been like this for so long that it does not lag behind that one. */
  readonly isSettled: boolean
}

export type FolderStep =
  /** It says nothing new. */
  | { readonly kind: 'stay' }
  /** It corresponds to this generation from now on: another replica was there before. */
  | { readonly kind: 'move'; readonly position: GenerationName }
  /** It is news: the next generation, and the position then. */
  | { readonly kind: 'publish'; readonly generation: number }
  /** It may be news, or older than the newest and passed over by the others: which, only time can tell. */
  | { readonly kind: 'wait' }

/**
 * What to do about a folder.
 *
 * As long as the states of a folder do not repeat, and no folder lags for so long that it counts as settled, no
 * state comes into force after a later one, however far apart replicas are and whichever states they miss: who
 * is at the newest generation and sees something else sees something later. Whoever published the newest is at
 * it, so what its folder ends with is in force in the end.
 *
 * @param position Undefined until the folder was found to correspond to one: at the start of a run.
 * @param found For the folder's hash.
 */
export function stepOf(
  position: GenerationName | undefined,
  folder: FolderSeen,
  found: GenerationsFound,
): FolderStep {
  return position === undefined ? firstStep(folder, found) : nextStep(position, folder, found)
}

/**
 * A replica that starts with what was in force before is one that was away, and does not bring it back. A mount
 * that failed looks like an empty folder, so at the start that takes nothing away from the others.
 */
function firstStep(
  { sha256, isEmpty }: FolderSeen,
  { newest, same }: GenerationsFound,
): FolderStep {
  const generation = same.at(-1)
  if (generation !== undefined) return { kind: 'move', position: { generation, sha256 } }
  if (isEmpty && newest !== undefined) return { kind: 'stay' }
  return publishBehind(newest)
}

function nextStep(
  position: GenerationName,
  { sha256, isSettled }: FolderSeen,
  { newest, same }: GenerationsFound,
): FolderStep {
  if (sha256 === position.sha256) {
    // Others left it and came back to it meanwhile, and that did not show here.
    const isNewest = newest?.sha256 === sha256 && newest.generation !== position.generation
    return isNewest && isSettled ? { kind: 'move', position: newest } : { kind: 'stay' }
  }
  // The first: whatever comes behind it may come here too.
  const generation = same.find((one) => one > position.generation)
  if (generation !== undefined) return { kind: 'move', position: { generation, sha256 } }
  const isAtNewest = position.generation === newest?.generation
  return isAtNewest || isSettled ? publishBehind(newest) : { kind: 'wait' }
}

const publishBehind = (newest: GenerationName | undefined): FolderStep => ({
  kind: 'publish',
  generation: (newest?.generation ?? 0) + 1,
})
