import type { RevocationMade } from '../ledger/entry.ts'
import { noRevocations, type StandingRevocations } from '../ledger/standing-revocations.ts'
import { type Revocations, revocationsFrom } from './revocation.ts'

/**
 * What is revoked, as far as this process has heard. Hearing late harms nobody: the ledger takes nothing
 * that was decided under an epoch which is over.
 */
export interface RevocationsInForce {
  current(): Revocations
  /** From now on, at once and for everybody. */
  heard(standing: StandingRevocations): void
  /** Tells of those that stand, and then of each that is heard of later. */
  watch(listener: (made: readonly RevocationMade[]) => void): void
}

export function createRevocationsInForce(): RevocationsInForce {
  let current = revocationsFrom(noRevocations)
  const listeners: ((made: readonly RevocationMade[]) => void)[] = []
  return {
    current: () => current,
    heard: (standing) => {
      const known = new Set(current.made.map(({ revocation }) => revocation))
      current = revocationsFrom(standing)
      const made = standing.made.filter(({ revocation }) => !known.has(revocation))
      if (made.length > 0) for (const listener of listeners) listener(made)
    },
    watch: (listener) => {
      listeners.push(listener)
      if (current.made.length > 0) listener(current.made)
    },
  }
}
