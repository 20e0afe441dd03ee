/** Names of what differs between what was in force and what is. */
export interface NamedChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  readonly widened: readonly string[]
}

/** Enough to see what a review has let in; a change of thousands is known by its hash. */
const namesMax = 100

/** As an entry has them. */
export function changesOnRecord({ added, removed, changed, widened }: NamedChanges) {
  const isCut = [added, removed, changed, widened].some(({ length }) => length > namesMax)
  return {
    added: added.slice(0, namesMax),
    removed: removed.slice(0, namesMax),
    changed: changed.slice(0, namesMax),
    widened: widened.slice(0, namesMax),
    ...(isCut ? { cut: true as const } : {}),
  }
}
