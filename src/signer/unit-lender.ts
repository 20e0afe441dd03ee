import { budgetWindowMs } from './key-units.ts'

/** What a replica asks of the lender, and what it tells it. */
export interface UnitTrade {
  /** At least so many, of whoever is next here, or none; 0 when nothing is wanted. */
  readonly needed: number
  /** And so many at most. */
  readonly wanted: number
  /** Units that wait here in all: others have to reckon with them. */
  readonly waiting: number
  /** Of the lease, if there will be one. UUID; never used twice, so that one whose answer was lost can be ended. */
  readonly leaseId: string
  readonly reports: readonly LeaseReport[]
  /** Units that the vault was asked for without a lease. */
  readonly charged: number
}

/** What has become of a lease. May be told again, and late. */
export interface LeaseReport {
  readonly leaseId: string
  /** That still count for it; the others are free at once. */
  readonly units: number
  /** The vault has been asked for all of them by now: they count 10 s from now. */
  readonly isOver: boolean
}

/** What the lender says, of this moment. */
export interface UnitsTraded {
  /** 0: there is no lease. */
  readonly granted: number
  /** That nobody has, after this. */
  readonly free: number
  /** Of the free ones, kept for replicas that have waited longer. */
  readonly kept: number
  /** When those that count should be free, in order; those that are lent out, if the vault is asked at once. */
  readonly returns: readonly { readonly inMs: number; readonly units: number }[]
  /** Units that wait at each of the other replicas. */
  readonly others: readonly number[]
}

/**
 * A budget that several replicas lease units of. Safe for any number of them at once: what counts is
 * never more than the budget, but for what was charged. Time is the lender's own.
 *
 * A lease counts in full until it is reported, and unless it is for {@link LendingTerms.askedWithinMs}
 * and another 10 s, so that a replica which dies, or hangs, only lets others wait. Replicas that lack
 * units are served in the order in which they began to ask; one that has been served goes to the end.
 */
export interface UnitLender {
  /** @throws DatabaseAccessError when it is not known whether anything was done. */
  trade(trade: UnitTrade): Promise<UnitsTraded>
}

/** The times that lender and replicas agree on. */
export interface LendingTerms {
  /** From before it was asked for, a lease may be taken from for so long. */
  readonly usableMs: number
  /** And the vault must have been asked by then. */
  readonly askedWithinMs: number
  /** A unit that the vault was asked for counts for so long. */
  readonly windowMs: number
  /** Whoever lacks units and does not ask again for so long has lost its place. */
  readonly placeMs: number
}

export const lendingTerms: LendingTerms = {
  // An idle replica keeps nothing for longer.
  usableMs: 2000,
  // The ledger may take 10 s for its line before the vault is asked, which is seldom.
  askedWithinMs: 15_000,
  // The vault's clock, or the lender's, may be gaining on the other while it is set right (500 ppm).
  windowMs: budgetWindowMs + 10,
  // Twice what a replica lets pass between two tries.
  placeMs: 1000,
}
