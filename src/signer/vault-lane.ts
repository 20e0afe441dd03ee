import { FairQueue, type Waiting } from './fair-queue.ts'
import type { GovernorErrorCode, PermitRequest } from './governor.ts'
import type { SignBudget } from './sign-budget.ts'

/** Somebody who wants a signature of one kind of key in one vault. */
export interface LaneWaiter extends Waiting {
  readonly purpose: PermitRequest['purpose']
  readonly priority: PermitRequest['priority']
  /** By the time that the lane is told. */
  readonly deadlineMs: number
}

export interface LaneRefusal<W> {
  readonly waiter: W
  readonly code: GovernorErrorCode
  /** When asking again is worth it. */
  readonly retryAfterMs: number
}

/** What comes next in a lane. */
export type LaneTurn<W> =
  | { readonly kind: 'granted'; readonly waiter: W }
  | ({ readonly kind: 'refused' } & LaneRefusal<W>)
  /** Nothing for so long, unless somebody comes, goes or settles; Infinity when nobody waits. */
  | { readonly kind: 'wait'; readonly forMs: number }

export interface LaneBounds {
  /** Permits that are not settled: more could only wait for a connection, and for the assertion to age. */
  readonly underWayMax: number
  readonly waitingMax: number
  readonly waitingPerLineMax: number
}

/**
 * One vault and one kind of key: who waits, in what order, and how much may be asked. Pure in time:
 * it is told when it is, and whoever holds it does the waiting.
 */
export class VaultLane<W extends LaneWaiter> {
  readonly #budget: SignBudget
  readonly #handOuts: SignBudget
  readonly #bounds: LaneBounds
  readonly #callers = new FairQueue<W>()
  readonly #ahead = new FairQueue<W>()
  #underWay = 0
  /** No deadline of anybody who waits is before this. */
  #deadlineMs = Infinity

  /** @param handOuts What of the budget may be given away. */
  constructor(budget: SignBudget, handOuts: SignBudget, bounds: LaneBounds) {
    this.#budget = budget
    this.#handOuts = handOuts
    this.#bounds = bounds
  }

  get waiting(): number {
    return this.#callers.size + this.#ahead.size
  }

  /**
   * Whoever cannot be served before its deadline does not begin to wait, and whoever cannot be any more,
   * because the newcomer's turn is before its own, ends waiting now. The refusal is of the one or the other.
   */
  enter(waiter: W, nowMs: number): LaneRefusal<W> | undefined {
    const queue = this.#queueOf(waiter)
    if (queue.sizeOfLine(waiter) >= this.#bounds.waitingPerLineMax) {
      return this.#refusal(waiter, 'GOVERNOR_CALLER_QUEUE_FULL', nowMs)
    }
    const refusal = this.#refusal(waiter, 'GOVERNOR_BUDGET_SPENT', nowMs)
    if (nowMs + refusal.retryAfterMs > waiter.deadlineMs) return refusal
    queue.push(waiter)
    this.#deadlineMs = Math.min(this.#deadlineMs, waiter.deadlineMs)
    const yielding = this.#yielding(waiter)
    const isFull = this.waiting > this.#bounds.waitingMax
    if (!isFull && (yielding === waiter || this.#isInTime(yielding, nowMs))) return undefined
    this.leave(yielding)
    return this.#refusal(yielding, isFull ? 'GOVERNOR_QUEUE_FULL' : 'GOVERNOR_BUDGET_SPENT', nowMs)
  }

  /** Waits no more. */
  leave(waiter: W): void {
    this.#queueOf(waiter).remove(waiter)
  }

  /** Call it until it says wait: after each arrival, departure and settlement, and when a wait is over. */
  turn(nowMs: number): LaneTurn<W> {
    const late = this.#late(nowMs)
    if (late !== undefined) {
      this.leave(late)
      return { kind: 'refused', ...this.#refusal(late, 'GOVERNOR_BUDGET_SPENT', nowMs) }
    }
    let forMs = this.#deadlineMs - nowMs
    if (this.#underWay >= this.#bounds.underWayMax) return { kind: 'wait', forMs }
    for (const queue of [this.#callers, this.#ahead]) {
      const served = this.#serve(queue, nowMs)
      if (served.kind === 'granted') return served
      forMs = Math.min(forMs, served.forMs)
      if (served.kind === 'held') break
    }
    return { kind: 'wait', forMs }
  }

  /** @param asked Whether the request has reached the vault, or may have. */
  settle({ units, purpose }: W, asked: 'asked' | 'not-asked', nowMs: number): void {
    this.#underWay -= 1
    const budgets = purpose === 'hand-out' ? [this.#budget, this.#handOuts] : [this.#budget]
    for (const budget of budgets) {
      if (asked === 'asked') budget.asked(units, nowMs)
      else budget.giveBack(units)
    }
  }

  /** `held`: whoever is next waits for its units, and nobody may take them from under it. */
  #serve(
    queue: FairQueue<W>,
    nowMs: number,
  ):
    | { readonly kind: 'granted'; readonly waiter: W }
    | { readonly kind: 'held' | 'nobody'; readonly forMs: number } {
    const first = queue.next(() => true)
    if (first === undefined) return { kind: 'nobody', forMs: Infinity }
    const cappedMs = isHandOut(first) ? this.#handOuts.waitMs(first.units, nowMs) : 0
    const waiter = cappedMs === 0 ? first : queue.next((one) => !isHandOut(one))
    if (waiter === undefined) return { kind: 'nobody', forMs: cappedMs }
    const answer = this.#budget.take(waiter.units, nowMs)
    if (!answer.granted) return { kind: 'held', forMs: answer.waitMs }
    if (isHandOut(waiter)) this.#handOuts.take(waiter.units, nowMs)
    queue.serve(waiter)
    this.#underWay += 1
    return { kind: 'granted', waiter }
  }

  #refusal(waiter: W, code: GovernorErrorCode, nowMs: number): LaneRefusal<W> {
    return { waiter, code, retryAfterMs: this.#estimateMs(waiter, nowMs) }
  }

  /** Of the last of a line. */
  #isInTime(last: W, nowMs: number): boolean {
    return nowMs + this.#estimateMs({ ...last, units: 0 }, nowMs) <= last.deadlineMs
  }

  /** How long a newcomer would wait if nobody came after it. */
  #estimateMs(newcomer: W, nowMs: number): number {
    const queue = this.#queueOf(newcomer)
    const before = queue === this.#ahead ? unitsIn(this.#callers) : 0
    const budgetMs = this.#budget.waitMs(before + queue.unitsUntilServed(newcomer), nowMs)
    if (!isHandOut(newcomer)) return budgetMs
    // Nothing is given away before anything can be asked, and only then does that share begin to fill.
    const beginsMs = this.#budget.waitMs(1, nowMs)
    const handedOut = queue.unitsUntilServed(newcomer, isHandOut)
    return Math.max(budgetMs, beginsMs + this.#handOuts.waitMs(handedOut, nowMs + beginsMs))
  }

  /** For a caller, whoever nobody waits for makes room first. */
  #yielding(newcomer: W): W {
    const [ahead] = this.#ahead
    return newcomer.priority === 'caller' && ahead !== undefined
      ? ahead
      : this.#queueOf(newcomer).yielding(newcomer)
  }

  #queueOf({ priority }: W): FairQueue<W> {
    return priority === 'caller' ? this.#callers : this.#ahead
  }

  /** Looks at everybody only when somebody's deadline may have come. */
  #late(nowMs: number): W | undefined {
    if (nowMs < this.#deadlineMs) return undefined
    this.#deadlineMs = Infinity
    for (const queue of [this.#callers, this.#ahead]) {
      for (const waiter of queue) {
        this.#deadlineMs = Math.min(this.#deadlineMs, waiter.deadlineMs)
        if (waiter.deadlineMs <= nowMs) return waiter
      }
    }
    return undefined
  }
}

const isHandOut = ({ purpose }: LaneWaiter) => purpose === 'hand-out'

function unitsIn(queue: Iterable<Waiting>): number {
  let all = 0
  for (const { units } of queue) all += units
  return all
}
