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
