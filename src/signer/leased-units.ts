import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { LeaseReport } from './unit-lender.ts'

/** How long a lease may be used, counted from before it was asked for. */
export interface LeaseLimits {
  /** Nothing is taken from it later. */
  readonly usableUntil: Instant
  /** The vault must have been asked by then. */
  readonly askUntil: Instant
}

interface UnitLease extends LeaseLimits {
  readonly id: string
  free: number
  taken: number
  asked: number
}

/**
 * The leases that this replica has, oldest first, and what they come to.
 *
 * One unit is like another: whatever is answered or given back is the oldest lease's. So what is still
 * under way is counted for by a lease that ends no sooner than its own.
 */
export class LeasedUnits {
  readonly #clock: Clock
  #leases: UnitLease[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(id: string, units: number, limits: LeaseLimits): void {
    this.#leases.push({ ...limits, id, free: units, taken: 0, asked: 0 })
  }

  /** That could still be taken in so many milliseconds. */
  free(inMs = 0): number {
    return this.#usable(inMs).reduce((all, { free }) => all + free, 0)
  }

  /**
   * No more than are {@link free}.
   *
   * @returns Until when the vault must have been asked.
   */
  take(units: number): Instant {
    const usable = this.#usable()
    const [oldest] = usable
    if (oldest === undefined || units > this.free()) {
      throw new TypeError('only what is free can be taken')
    }
    move(usable, units, 'free', 'taken')
    return oldest.askUntil
  }

  /** @returns How many of them took so long that nobody counts on them any more. */
  asked(units: number): number {
    return move(this.#leases, units, 'taken', 'asked')
      .filter(({ lease }) => this.#isOver(lease.askUntil))
      .reduce((all, { part }) => all + part, 0)
  }

  giveBack(units: number): void {
    move(this.#leases, units, 'taken', 'free')
  }

  /** Until there is something to report that is not known yet, if nothing else happens. */
  nextEndMs(): number {
    const next = this.#leases.find(({ free }) => free > 0)
    return next === undefined
      ? Infinity
      : Math.max(0, atLeastMsUntil(next.usableUntil, this.#clock))
  }

  /** What the lender is to be told, once: which leases are over, and what nobody here will take. */
  reports(): readonly LeaseReport[] {
    const reports: LeaseReport[] = []
    for (const lease of this.#leases) {
      if (lease.free > 0 && !this.#isOver(lease.usableUntil)) continue
      const isOver = lease.taken === 0
      if (isOver || lease.free > 0) reports.push(reportOf(lease, isOver))
      lease.free = 0
    }
    this.#leases = this.#leases.filter(({ free, taken }) => free + taken > 0)
    return reports
  }

  /** The last reports: nobody takes any more, and what is under way ends unseen. */
  end(): readonly LeaseReport[] {
    return this.#leases.splice(0).map((lease) => reportOf(lease, lease.taken === 0))
  }

  #usable(inMs = 0): readonly UnitLease[] {
    return this.#leases.filter(
      ({ free, usableUntil }) => free > 0 && atLeastMsUntil(usableUntil, this.#clock) > inMs,
    )
  }

  #isOver(instant: Instant): boolean {
    return atLeastMsUntil(instant, this.#clock) <= 0
  }
}

const reportOf = ({ id, taken, asked }: UnitLease, isOver: boolean): LeaseReport => ({
  leaseId: id,
  units: taken + asked,
  isOver,
})

type UnitState = 'free' | 'taken' | 'asked'

/** @returns Whose they were. */
function move(leases: readonly UnitLease[], units: number, from: UnitState, to: UnitState) {
  const moved: { readonly lease: UnitLease; readonly part: number }[] = []
  let left = units
  for (const lease of leases) {
    const part = Math.min(left, lease[from])
    if (part === 0) continue
    lease[from] -= part
    lease[to] += part
    left -= part
    moved.push({ lease, part })
  }
  return moved
}
