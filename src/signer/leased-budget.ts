import { randomUUID } from 'node:crypto'
import { atLeastMsUntil, type Clock, type Instant, instantNow, laterBy } from '../base/clock.ts'
import { DatabaseAccessError } from '../database-access/database-access-error.ts'
import { LeasedUnits } from './leased-units.ts'
import { Pace } from './pace.ts'
import type { SignBudget, UnitsAnswer } from './sign-budget.ts'
import type {
  LeaseReport,
  LendingTerms,
  UnitLender,
  UnitsTraded,
  UnitTrade,
} from './unit-lender.ts'
import { outlookFrom, unknownOutlook } from './units-outlook.ts'
import { UnitsWindow } from './units-window.ts'

export interface LeasedBudgetOptions {
  readonly unitsMax: number
  readonly lender: UnitLender
  readonly terms: LendingTerms
  /** Its monotonic milliseconds are what the budget is told as the time. */
  readonly clock: Clock
  /** Whoever could not be served may ask again: something may have changed. */
  readonly whenTraded: () => void
  readonly onTrade: (outcome: 'answered' | DatabaseAccessError) => void
}

export interface LeasedBudget extends SignBudget {
  /** Gives back what was not used, if the lender answers. */
  close(): Promise<void>
}

/**
 * A share of a budget that other replicas have shares of: leased from a lender, a handful of units at a
 * time, more when more wait or were taken a moment ago, and fetched before the last one is taken. While
 * the lender does not answer, what is at hand may be taken for as long as it is usable, and then nothing.
 */
export function createLeasedBudget(options: LeasedBudgetOptions): LeasedBudget {
  return new Leasing(options)
}

/** Few requests find nothing at hand, and little is kept from others for nothing. */
const handful = 8
/** No replica has more of the budget at once, unless somebody needs so much. */
const shareMax = 1 / 8
/** What cannot be used any more by then does not count as being at hand. */
const soonMs = 250
/** What ends at nearly the same time is told in one trade. */
const tellAfterMs = 20
const retryMinMs = 50
const retryMaxMs = 500
/** About what a trade takes. */
const tradeMs = 5

type Demand = Pick<UnitTrade, 'needed' | 'wanted' | 'waiting'>

const noDemand: Demand = { needed: 0, wanted: 0, waiting: 0 }

/** What the lender has not been told yet, for all that is known. */
interface Untold extends LeaseReport {
  /** By then the lender has forgotten the lease. */
  readonly mootAtMs: number
}

class Leasing implements LeasedBudget {
  readonly unitsMax: number
  isAway = false
  readonly #options: LeasedBudgetOptions
  readonly #units: LeasedUnits
  readonly #window = new UnitsWindow()
  readonly #pace = new Pace()
  #outlook = unknownOutlook
  #demand: Demand | undefined
  #untold: readonly Untold[] = []
  #charged = 0
  /** When what is untold is told at the latest; all of these by the monotonic clock. */
  #tellAtMs = Infinity
  /** Nothing is asked for before, unless there is something to tell. */
  #retryAtMs = 0
  /** And nothing at all before this. */
  #awayUntilMs = 0
  #trading: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: LeasedBudgetOptions) {
    this.#options = options
    this.unitsMax = options.unitsMax
    this.#units = new LeasedUnits(options.clock)
  }

  take(units: number, nowMs: number, unitsWaiting = units): UnitsAnswer {
    if (units > this.unitsMax) throw new RangeError('so many units can never be taken')
    const free = this.#units.free()
    if (units > free) {
      const [needed, waiting] = [units - free, Math.max(units, unitsWaiting) - free]
      this.#demand = { needed, waiting, wanted: this.#lot(needed, waiting, nowMs) }
      this.#plan()
      return { granted: false, waitMs: Math.max(this.waitMs(units, nowMs), this.#retryInMs()) }
    }
    const askUntil = this.#units.take(units)
    this.#window.taken += units
    this.#pace.add(units, nowMs)
    this.#fetchAhead(nowMs)
    return { granted: true, leftMs: () => atLeastMsUntil(askUntil, this.#options.clock) }
  }

  asked(units: number, nowMs: number): void {
    this.#window.taken -= units
    this.#window.add(units, nowMs)
    // What nobody counts on any more has been asked for without a lease.
    this.#charged += this.#units.asked(units)
    this.#plan()
  }

  giveBack(units: number): void {
    this.#window.taken -= units
    this.#pace.giveBack(units)
    this.#units.giveBack(units)
    this.#plan()
  }

  charge(units: number, nowMs: number): void {
    this.#window.add(units, nowMs)
    this.#charged += units
    this.#plan()
  }

  waitMs(units: number, nowMs: number): number {
    const lacking = units - this.#units.free()
    if (lacking <= 0) return 0
    const awayMs = this.#awayUntilMs - this.#nowMs()
    return tradeMs + Math.max(0, awayMs, this.#outlook.waitMs(lacking, nowMs))
  }

  used(nowMs: number): number {
    return this.#window.used(nowMs)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#trading
    this.#keep(this.#units.end())
    this.#demand = undefined
    if (this.#hasNews) await this.#trade()
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }

  get #hasNews(): boolean {
    return this.#untold.length > 0 || this.#charged > 0
  }

  #retryInMs(): number {
    return Math.max(this.#retryAtMs, this.#awayUntilMs) - this.#nowMs()
  }

  /** As much as waits, or as went a moment ago. */
  #lot(needed: number, waiting: number, nowMs: number): number {
    const lot = Math.max(handful, waiting, this.#pace.lately(nowMs))
    return Math.max(needed, Math.min(lot, Math.ceil(this.unitsMax * shareMax)))
  }

  #fetchAhead(nowMs: number): void {
    const isEnough = this.#units.free(soonMs) >= this.#pace.lately(nowMs) / 2
    if (isEnough || this.#demand !== undefined) return
    this.#demand = { needed: 1, waiting: 0, wanted: this.#lot(1, 0, nowMs) }
    this.#plan()
  }

  /** Comes back when there is something to trade; whatever changes that calls it. */
  #plan(): void {
    if (this.#trading !== undefined || this.#isClosed) return
    this.#keep(this.#units.reports())
    const nowMs = this.#nowMs()
    this.#tellAtMs = this.#hasNews ? Math.min(this.#tellAtMs, nowMs + tellAfterMs) : Infinity
    const nextMs = Math.min(
      this.#demand === undefined ? Infinity : this.#retryAtMs - nowMs,
      this.#tellAtMs - nowMs,
      this.#units.nextEndMs() + 1,
    )
    clearTimeout(this.#timer)
    if (nextMs === Infinity) return
    this.#timer = setTimeout(
      () => {
        this.#keep(this.#units.reports())
        if (this.#hasNews || this.#demand !== undefined) void this.#trade()
        else this.#plan()
      },
      Math.max(0, nextMs, this.#awayUntilMs - nowMs),
    )
    // Nobody waits for it alone.
    this.#timer.unref()
  }

  #keep(reports: readonly LeaseReport[]): void {
    if (reports.length === 0) return
    const { askedWithinMs, windowMs } = this.#options.terms
    const mootAtMs = this.#nowMs() + askedWithinMs + windowMs
    // One of a lease in a trade, the latest: in which order the lender takes two, nobody knows.
    const told = new Set(reports.map(({ leaseId }) => leaseId))
    const others = this.#untold.filter(({ leaseId }) => !told.has(leaseId))
    this.#untold = [...others, ...reports.map((report) => ({ ...report, mootAtMs }))]
  }

  #trade(): Promise<void> {
    this.#trading = this.#tradeOnce().finally(() => {
      this.#trading = undefined
      // Whoever still lacks units says so again.
      if (!this.#isClosed) this.#options.whenTraded()
      this.#plan()
    })
    return this.#trading
  }

  async #tradeOnce(): Promise<void> {
    const startedAt = instantNow(this.#options.clock)
    const leaseId = randomUUID()
    const demand = this.#demand ?? noDemand
    const reports = this.#untold.filter(({ mootAtMs }) => mootAtMs > startedAt.monotonicMs)
    const charged = this.#charged
    this.#demand = undefined
    this.#untold = []
    this.#charged = 0
    this.#tellAtMs = Infinity
    try {
      const trade = { ...demand, leaseId, reports, charged }
      this.#traded(demand, leaseId, await this.#options.lender.trade(trade), startedAt)
    } catch (error) {
      if (!(error instanceof DatabaseAccessError)) throw error
      const since = this.#untold
      this.#untold = reports
      this.#keep(since)
      // If there is such a lease, nobody uses it.
      this.#keep([{ leaseId, units: 0, isOver: true }])
      this.#charged += charged
      this.#awayUntilMs = this.#nowMs() + retryMaxMs
      this.isAway = true
      this.#options.onTrade(error)
    }
  }

  #traded(demand: Demand, leaseId: string, traded: UnitsTraded, startedAt: Instant): void {
    const { terms, onTrade } = this.#options
    const nowMs = this.#nowMs()
    this.#outlook = outlookFrom(traded, nowMs, this.unitsMax, terms)
    if (traded.granted > 0) {
      this.#retryAtMs = nowMs
      this.#units.add(leaseId, traded.granted, {
        usableUntil: laterBy(terms.usableMs, startedAt),
        askUntil: laterBy(terms.askedWithinMs, startedAt),
      })
      // What was wanted ahead meanwhile is here.
      if (this.#demand?.waiting === 0) this.#demand = undefined
    } else if (demand.needed > 0) {
      const inMs = this.#outlook.freeInMs(demand.needed + traded.kept)
      this.#retryAtMs = nowMs + Math.min(retryMaxMs, Math.max(retryMinMs, inMs))
    }
    this.isAway = false
    onTrade('answered')
  }
}
