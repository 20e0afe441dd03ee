import { budgetWindowMs } from './key-units.ts'
import { UnitsWindow } from './units-window.ts'

/**
 * Where a governor has its units from. Everything is immediate and told the time, which never goes
 * back, in milliseconds from wherever; so a local window fits behind it, and so do units that were
 * leased from a budget which several processes share: such a lender begins to fetch more as soon as it
 * has little left, answers a `take` that it cannot serve with the time until they should be here, and
 * is asked again then.
 */
export interface SignBudget {
  /** More than this is never taken in 10 s, by all together who share it. */
  readonly unitsMax: number
  /** Whoever lends the units does not answer: nobody knows when there will be more. */
  readonly isAway: boolean
  /**
   * Takes them all or none. What was taken counts until {@link asked} or {@link giveBack}.
   *
   * @param unitsWaiting Of all who wait, these included: so many are worth fetching. Absent: these alone.
   */
  take(units: number, nowMs: number, unitsWaiting?: number): UnitsAnswer
  /** What was taken has reached the vault by now, or never will: its 10 s begin. */
  asked(units: number, nowMs: number): void
  /** The vault was not asked, and will not be. */
  giveBack(units: number): void
  /** Counts what the vault has been asked without leave; it may be more than there was. */
  charge(units: number, nowMs: number): void
  /**
   * About how long until so many could have been taken, if nobody else came here; of a time to come too.
   * Others who share the budget and wait already have their turns in it.
   */
  waitMs(units: number, nowMs: number): number
  /** What counts now, of what this process has asked for. */
  used(nowMs: number): number
}

/** What a vault may be asked for with one kind of key. */
export interface VaultBudget {
  readonly whole: SignBudget
  /** Part of it: what may be given away. */
  readonly handOuts: SignBudget
}

export type UnitsAnswer =
  | {
      readonly granted: true
      /**
       * The vault must have been asked so soon, or not at all with these units: others count on it.
       * Absent: there is nobody else, and it may be asked whenever.
       */
      readonly leftMs?: () => number
    }
  | { readonly granted: false; readonly waitMs: number }

/**
 * A budget of this process alone. Units count from when they are taken until 10 s after the vault has
 * answered. A request is at the vault somewhere in between, so no 10 s of the vault's, wherever they
 * begin and however long requests are under way, see more than `unitsMax`.
 */
export function createWindowBudget(unitsMax: number): SignBudget {
  const window = new UnitsWindow()
  const free = (nowMs: number) => unitsMax - window.used(nowMs)

  const waitMs = (units: number, nowMs: number) => {
    // Whole windows first: whoever comes after so many waits for those who came before.
    const windows = Math.max(0, Math.ceil(units / unitsMax) - 1)
    const lacking = units - windows * unitsMax - free(nowMs)
    return windows * budgetWindowMs + window.waitMs(lacking, nowMs)
  }

  return {
    unitsMax,
    isAway: false,
    take: (units, nowMs) => {
      if (units > unitsMax) throw new RangeError('so many units can never be taken')
      if (units > free(nowMs)) return { granted: false, waitMs: waitMs(units, nowMs) }
      window.taken += units
      return { granted: true }
    },
    asked: (units, nowMs) => {
      window.taken -= units
      window.add(units, nowMs)
    },
    giveBack: (units) => {
      window.taken -= units
    },
    charge: (units, nowMs) => {
      window.add(units, nowMs)
    },
    waitMs,
    used: (nowMs) => window.used(nowMs),
  }
}
