import type { Entry, RevocationLifted, RevocationMade } from './entry.ts'

/**
 * The revocations that stand at one moment. They are kept beside the chain, where nothing is pruned, and
 * change only together with the entry that says so.
 */
export interface StandingRevocations {
  /** How many times one was made or lifted in this store. */
  readonly epoch: number
  /** The oldest first. */
  readonly made: readonly RevocationMade[]
}

/** The entries that change what stands. */
export type RevocationChange = RevocationMade | RevocationLifted

export const noRevocations: StandingRevocations = { epoch: 0, made: [] }

export const isRevocationChange = (entry: Entry): entry is RevocationChange =>
  entry.kind === 'revocation.made' || entry.kind === 'revocation.lifted'

export const standingAfter = (
  before: StandingRevocations,
  changes: readonly RevocationChange[],
): StandingRevocations => changes.reduce(afterOne, before)

function afterOne(
  { epoch, made }: StandingRevocations,
  change: RevocationChange,
): StandingRevocations {
  return {
    epoch: epoch + 1,
    made:
      change.kind === 'revocation.made'
        ? [...made, change]
        : made.filter(({ revocation }) => revocation !== change.revocation),
  }
}

/** One append on its way into a commit. */
export interface PendingAppend {
  readonly canonicalEntries: readonly string[]
  /** Epoch of the revocations that were heeded when it was decided; undefined: they do not matter. */
  readonly decidedUnder: number | undefined
  readonly changes: readonly RevocationChange[]
}

/** What of a commit is to be stored. */
export interface Sifted<Append extends PendingAppend> {
  readonly canonicalEntries: readonly string[]
  readonly changes: readonly RevocationChange[]
  /** Decided under another epoch than the one that they come to: none of their entries is stored. */
  readonly overtaken: ReadonlySet<Append>
}

/**
 * Leaves out what was decided under another epoch. The appends are taken in their order, each change
 * being a new epoch for those behind it: so nothing that was decided without a revocation follows it.
 *
 * @param epoch Of the store, where nobody else can append meanwhile.
 */
export function sift<Append extends PendingAppend>(
  epoch: number,
  appends: readonly Append[],
): Sifted<Append> {
  const canonicalEntries: string[] = []
  const changes: RevocationChange[] = []
  const overtaken = new Set<Append>()
  for (const append of appends) {
    const { decidedUnder } = append
    if (decidedUnder !== undefined && decidedUnder !== epoch + changes.length) overtaken.add(append)
    else {
      canonicalEntries.push(...append.canonicalEntries)
      changes.push(...append.changes)
    }
  }
  return { canonicalEntries, changes, overtaken }
}
