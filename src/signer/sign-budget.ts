import { budgetWindowMs } from './key-units.ts'

/**
 * Where a governor has its units from. Everything is immediate and told the time, which never goes
 * back, in milliseconds from wherever; so a local window fits behind it, and so do units that were
 * leased from a budget which several processes share: such a lender begins to fetch more as soon as it
 * has little left, answers a `take` that it cannot serve with the time until they should be here, and
 * is asked again then.
 */
export interface SignBudget {
  /** More than this is never taken in 10 s. */
  readonly unitsMax: number
  /** Takes them all or none. What was taken counts until {@link asked} or {@link giveBack}. */
  take(units: number, nowMs: number): UnitsAnswer
  /** What was taken has reached the vault by now, or never will: its 10 s begin. */
  asked(units: number, nowMs: number): void
  /** The vault was not asked, and will not be. */
  giveBack(units: number): void
  /** Counts what the vault has been asked without leave; it may be more than there was. */
  charge(units: number, nowMs: number): void
  /** About how long until so many could have been taken, if nobody else took any; of a time to come too. */
  waitMs(units: number, nowMs: number): number
  /** What counts now. */
  used(nowMs: number): number
}

export type UnitsAnswer =
  { readonly granted: true } | { readonly granted: false; readonly waitMs: number }

/**
 * A budget of this process alone. Units count from when they are taken until 10 s after the vault has
 * answered. A request is at the vault somewhere in between, so no 10 s of the vault's, wherever they
 * begin and however long requests are under way, see more than `unitsMax`.
 */
export function createWindowBudget(unitsMax: number): SignBudget {
  const window = new Window()
  const free = (nowMs: number) => unitsMax - window.used(nowMs)

  const waitMs = (units: number, nowMs: number) => {
    // Whole windows first: whoever comes after so many waits for those who came before.
    const windows = Math.max(0, Math.ceil(units / unitsMax) - 1)
    const lacking = units - windows * unitsMax - free(nowMs)
    return windows * budgetWindowMs + window.waitMs(lacking, nowMs)
  }

  return {
    unitsMax,
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

/** Units that count: those under way, and by millisecond those whose 10 s have begun. */
class Window {
  taken = 0
  readonly #asked: { readonly untilMs: number; units: number }[] = []
  #askedUnits = 0

  add(units: number, nowMs: number): void {
    this.#forget(nowMs)
    const untilMs = nowMs + budgetWindowMs
    const last = this.#asked.at(-1)
    if (last?.untilMs === untilMs) last.units += units
    else this.#asked.push({ untilMs, units })
    this.#askedUnits += units
  }

  used(nowMs: number): number {
    return this.taken + this.#askedUnits - sumOf(this.#asked.slice(0, this.#over(nowMs)))
  }

  /** Until so many that count now do so no more. Those under way have 10 s before them, at least. */
  waitMs(units: number, nowMs: number): number {
    if (units <= 0) return 0
    let left = units
    for (const asked of this.#asked.slice(this.#over(nowMs))) {
      left -= asked.units
      if (left <= 0) return asked.untilMs - nowMs + 1
    }
    return budgetWindowMs + 1
  }

  /** How many do not count any more. Clocks show whole milliseconds, so the last one still counts. */
  #over(nowMs: number): number {
    const first = this.#asked.findIndex(({ untilMs }) => untilMs >= nowMs)
    return first === -1 ? this.#asked.length : first
  }

  #forget(nowMs: number): void {
    this.#askedUnits -= sumOf(this.#asked.splice(0, this.#over(nowMs)))
  }
}

const sumOf = (asked: readonly { readonly units: number }[]) =>
  asked.reduce((total, { units }) => total + units, 0)
