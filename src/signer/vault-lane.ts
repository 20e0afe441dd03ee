import { FairQueue, type Waiting } from './fair-queue.ts'
import type { CircuitChange, GovernorErrorCode, PermitOutcome, PermitRequest } from './governor.ts'
import { largestUnits } from './key-units.ts'
import { LearnedRate } from './learned-rate.ts'
import { createPacedBudget } from './paced-budget.ts'
import type { UnitsAnswer, VaultBudget } from './sign-budget.ts'
import { SignerError, type SignerErrorCode } from './signer.ts'
import type { CircuitTicket, VaultCircuits } from './vault-circuits.ts'

/** Somebody who wants a signature of one kind of key in one vault. */
export interface LaneWaiter extends Waiting {
  readonly keyId: string
  readonly whilePaused: PermitRequest['whilePaused']
  readonly purpose: PermitRequest['purpose']
  readonly priority: PermitRequest['priority']
  /** By the time that the lane is told: it may still be served then, and not after. */
  readonly deadlineMs: number
}

export interface LaneRefusal<W> {
  readonly waiter: W
  readonly code: GovernorErrorCode
  /** When asking again is worth it. */
  readonly retryAfterMs: number
  readonly remembered?: SignerErrorCode | undefined
}

type RefusedWaiter<W> = { readonly kind: 'refused' } & LaneRefusal<W>

interface Granted<W> {
  readonly kind: 'granted'
  readonly waiter: W
  /** Alone, to find out for all. */
  readonly probes: boolean
  /** The vault may be asked for so long; absent: whenever. */
  readonly leftMs?: (() => number) | undefined
}

/** What comes next in a lane. */
export type LaneTurn<W> =
  | Granted<W>
  | RefusedWaiter<W>
  /** Nothing for so long, unless somebody comes, goes or settles; Infinity when nobody waits. */
  | { readonly kind: 'wait'; readonly forMs: number }

export interface LaneBounds {
  /** Permits that are not settled: more could only wait for a connection, and for the assertion to age. */
  readonly underWayMax: number
  readonly waitingMax: number
  readonly waitingPerLineMax: number
}

/**
 * One vault and one kind of key: who waits, in what order, and how much may be asked. Callers who wait and refreshes
 * ahead take turns, because a token in use that is not refreshed makes all wait who use it. Pure in time: it is told
 * when it is, and whoever holds it does the waiting.
 */
export class VaultLane<W extends LaneWaiter> {
  readonly #unpaced: VaultBudget
  readonly #paced: VaultBudget
  readonly #circuits: VaultCircuits
  readonly #bounds: LaneBounds
  readonly #callers = new FairQueue<W>()
  readonly #ahead = new FairQueue<W>()
  /** Units that callers had more than refreshes, since both have been waiting. */
  #lead = 0
  readonly #learned: LearnedRate
  readonly #underWay = new Map<W, CircuitTicket>()
  /** No deadline of anybody who waits is before this. */
  #deadlineMs = Infinity

  constructor(budget: VaultBudget, circuits: VaultCircuits, bounds: LaneBounds) {
    const { whole, handOuts } = budget
    const learned = new LearnedRate(whole.unitsMax)
    const handOutShare = handOuts.unitsMax / whole.unitsMax
    this.#learned = learned
    this.#unpaced = budget
    this.#paced = {
      whole: createPacedBudget(whole, learned),
      handOuts: createPacedBudget(handOuts, {
        unitsPerMs: (nowMs) => learned.unitsPerMs(nowMs) * handOutShare,
        waitMs: (units, nowMs) => learned.waitMs(units / handOutShare, nowMs),
      }),
    }
    this.#circuits = circuits
    this.#bounds = bounds
  }

  /** Units in ten seconds: what the vault lets this process have, by what it refused lately, or all there are. */
  unitsLearned(nowMs: number): number {
    return this.#learned.units(nowMs)
  }

  get waiting(): number {
    return this.#callers.size + this.#ahead.size
  }

  /**
   * Whoever cannot be served before its deadline does not begin to wait, and whoever cannot be any more,
   * because the newcomer's turn is before its own, ends waiting now. The refusal is of the one or the other.
   */
  enter(waiter: W, nowMs: number): LaneRefusal<W> | undefined {
    const paused = this.#keyPaused(waiter, nowMs) ?? this.#vaultPaused(waiter, nowMs)
    if (paused !== undefined) return paused
    const queue = this.#queueOf(waiter)
    if (queue.sizeOfLine(waiter) >= this.#bounds.waitingPerLineMax) {
      return this.#refusal(waiter, 'GOVERNOR_CALLER_QUEUE_FULL', nowMs)
    }
    if (nowMs + this.#waitMs(this.#paced, waiter, nowMs) > waiter.deadlineMs) {
      return this.#refusal(waiter, this.#spent, nowMs)
    }
    queue.push(waiter)
    this.#deadlineMs = Math.min(this.#deadlineMs, waiter.deadlineMs)
    const isFull = this.waiting > this.#bounds.waitingMax
    const yielding = isFull ? this.#yielding(waiter) : this.#overtaken(waiter, nowMs)
    if (yielding === undefined) return undefined
    this.leave(yielding)
    return this.#refusal(yielding, isFull ? 'GOVERNOR_QUEUE_FULL' : this.#spent, nowMs)
  }

  /**
   * For a budget that others take from, and when the vault gives less: whoever would be served last ends waiting
   * now, when that will not be in time any more. Call it until it says that there is nobody.
   */
  review(nowMs: number): LaneRefusal<W> | undefined {
    for (const queue of [this.#ahead, this.#callers]) {
      const { last } = queue
      if (last === undefined || this.#isInTime(last, nowMs, outlookErrsByMs)) continue
      this.leave(last)
      return this.#refusal(last, this.#spent, nowMs)
    }
    return undefined
  }

  /** Waits no more. */
  leave(waiter: W): void {
    this.#queueOf(waiter).remove(waiter)
  }

  /** Call it until it says wait: after each arrival, departure and settlement, and when a wait is over. */
  turn(nowMs: number): LaneTurn<W> {
    const late = this.#late(nowMs)
    if (late !== undefined) {
      const spent = this.#refusal(late, this.#spent, nowMs)
      return this.#endWaiting(this.#vaultPaused(late, nowMs) ?? spent)
    }
    const forMs = this.#deadlineMs + 1 - nowMs
    const vault = this.#circuits.vaultPassage(nowMs)
    if (vault.kind === 'paused') return this.#pause(vault.forMs, nowMs)
    if (vault.kind === 'busy' || this.#underWay.size >= this.#bounds.underWayMax) {
      return { kind: 'wait', forMs }
    }
    return this.#serve(forMs, nowMs)
  }

  /** Once for each waiter that was granted its turn. */
  settle(waiter: W, outcome: PermitOutcome, nowMs: number): readonly CircuitChange[] {
    const ticket = this.#underWay.get(waiter)
    if (ticket === undefined) throw new TypeError('a permit is settled once')
    this.#underWay.delete(waiter)
    const { whole, handOuts } = this.#paced
    for (const budget of isHandOut(waiter) ? [whole, handOuts] : [whole]) {
      if (isUnused(outcome)) budget.giveBack(waiter.units)
      else budget.asked(waiter.units, nowMs)
    }
    if (outcome === 'signed') this.#learned.passed(waiter.units, nowMs)
    const changes = this.#circuits.settle(ticket, outcome, nowMs)
    for (const change of changes.filter(({ of }) => of === 'vault')) {
      if (change.to === 'closed') this.#learned.askedAgain(nowMs)
      else if (change.code === 'SIGNER_THROTTLED') this.#learned.refused(nowMs)
    }
    return changes
  }

  /** Whoever has not the patience is told at once; the others wait for the pause to end. */
  #pause(forMs: number, nowMs: number): LaneTurn<W> {
    const endsAtMs = nowMs + forMs
    if (this.#deadlineMs < endsAtMs) {
      for (const waiter of this.#everybody()) {
        const paused = this.#vaultPaused(waiter, nowMs)
        if (paused !== undefined) return this.#endWaiting(paused)
      }
    }
    return { kind: 'wait', forMs: this.waiting === 0 ? Infinity : forMs }
  }

  #serve(untilLateMs: number, nowMs: number): LaneTurn<W> {
    let forMs = untilLateMs
    const queues = [this.#callers, this.#ahead]
    for (const queue of this.#lead > 0 ? queues.toReversed() : queues) {
      const served = this.#serveFrom(queue, nowMs)
      if (served.kind === 'granted' || served.kind === 'refused') return served
      forMs = Math.min(forMs, served.forMs)
      if (served.kind === 'held') break
    }
    return { kind: 'wait', forMs }
  }

  /** `held`: whoever is next waits for its units, and nobody may take them from under it. */
  #serveFrom(
    queue: FairQueue<W>,
    nowMs: number,
  ): Granted<W> | RefusedWaiter<W> | { readonly kind: 'held' | 'nobody'; readonly forMs: number } {
    const first = queue.next(() => true)
    if (first === undefined) return { kind: 'nobody', forMs: Infinity }
    const share: UnitsAnswer = isHandOut(first)
      ? this.#budget(nowMs).handOuts.take(first.units, nowMs, queue.units)
      : { granted: true }
    const waiter = share.granted ? first : queue.next((one) => !isHandOut(one))
    if (waiter === undefined) return { kind: 'nobody', forMs: share.granted ? 0 : share.waitMs }
    const served = this.#serveOne(waiter, queue, nowMs)
    if (!isHandOut(waiter) || !share.granted) return served
    if (served.kind !== 'granted') {
      this.#paced.handOuts.giveBack(waiter.units)
      return served
    }
    return { ...served, leftMs: soonerOf(served.leftMs, share.leftMs) }
  }

  #serveOne(
    waiter: W,
    queue: FairQueue<W>,
    nowMs: number,
  ): Granted<W> | RefusedWaiter<W> | { readonly kind: 'held'; readonly forMs: number } {
    const paused = this.#keyPaused(waiter, nowMs)
    if (paused !== undefined) return this.#endWaiting(paused)
    const answer = this.#budget(nowMs).whole.take(waiter.units, nowMs, queue.units)
    if (!answer.granted) return { kind: 'held', forMs: answer.waitMs }
    this.#takeTurn(queue, waiter.units)
    queue.serve(waiter)
    const ticket = this.#circuits.enter(waiter.keyId)
    this.#underWay.set(waiter, ticket)
    return { kind: 'granted', waiter, probes: ticket.probes, leftMs: answer.leftMs }
  }

  /** Whoever finds out whether a vault can be asked again is let through by its circuit, whatever the pace. */
  #budget(nowMs: number): VaultBudget {
    return this.#circuits.vaultPassage(nowMs).kind === 'probe' ? this.#unpaced : this.#paced
  }

  #takeTurn(queue: FairQueue<W>, units: number): void {
    const bothWait = this.#callers.size > 0 && this.#ahead.size > 0
    const lead = this.#lead + (queue === this.#callers ? units : -units)
    // Hand-outs that have to wait for their share keep callers waiting while refreshes are served: nobody owes for that.
    this.#lead = bothWait ? Math.max(-largestUnits, Math.min(lead, largestUnits)) : 0
  }

  #endWaiting(refusal: LaneRefusal<W>): RefusedWaiter<W> {
    this.leave(refusal.waiter)
    return { kind: 'refused', ...refusal }
  }

  /** A key that the vault refuses is mended by people: nobody waits for that. */
  #keyPaused(waiter: W, nowMs: number): LaneRefusal<W> | undefined {
    const passage = this.#circuits.keyPassage(waiter.keyId, nowMs)
    if (passage.kind === 'free' || passage.kind === 'probe') return undefined
    const retryAfterMs = passage.kind === 'paused' ? passage.forMs : probeTakesMs
    const remembered = this.#circuits.keyReason(waiter.keyId)
    return { waiter, code: 'GOVERNOR_KEY_PAUSED', retryAfterMs, remembered }
  }

  #vaultPaused(waiter: W, nowMs: number): LaneRefusal<W> | undefined {
    const passage = this.#circuits.vaultPassage(nowMs)
    if (passage.kind === 'free' || passage.kind === 'probe') return undefined
    const retryAfterMs = passage.kind === 'paused' ? passage.forMs : probeTakesMs
    if (waiter.whilePaused === 'wait' && nowMs + retryAfterMs <= waiter.deadlineMs) return undefined
    const remembered = this.#circuits.vaultReason
    return { waiter, code: 'GOVERNOR_VAULT_PAUSED', retryAfterMs, remembered }
  }

  get #spent(): GovernorErrorCode {
    return this.#paced.whole.isAway ? 'GOVERNOR_BUDGET_AWAY' : 'GOVERNOR_BUDGET_SPENT'
  }

  /** A vault that throttles may give everything again by itself: nobody is told to stay away for longer. */
  #refusal(waiter: W, code: GovernorErrorCode, nowMs: number): LaneRefusal<W> {
    const againMs = this.#learned.grownInMs(nowMs) + this.#waitMs(this.#unpaced, waiter, nowMs)
    return {
      waiter,
      code,
      retryAfterMs: Math.min(againMs, this.#waitMs(this.#paced, waiter, nowMs)),
    }
  }

  /** Of the last of a line. */
  #isInTime(last: W, nowMs: number, leewayMs = 0): boolean {
    return (
      nowMs + this.#waitMs(this.#paced, last, nowMs, { ...last, units: 0 }) <=
      last.deadlineMs + leewayMs
    )
  }

  /**
   * How long it would wait if nobody came after it.
   *
   * @param joining What it adds to those who wait: itself, unless it is the last of them.
   */
  #waitMs({ whole, handOuts }: VaultBudget, waiter: W, nowMs: number, joining = waiter): number {
    const queue = this.#queueOf(waiter)
    const inQueue = queue.unitsUntilServed(joining)
    // Callers come first, and then it is the other's turn.
    const others =
      queue === this.#callers
        ? Math.min(this.#ahead.units, inQueue - waiter.units)
        : Math.min(this.#callers.units, inQueue)
    const vault = this.#circuits.vaultPassage(nowMs)
    const pausedMs = vault.kind === 'paused' ? vault.forMs : 0
    const budgetMs = Math.max(pausedMs, whole.waitMs(inQueue + others, nowMs))
    if (!isHandOut(waiter)) return budgetMs
    // Nothing is given away before anything can be asked, and only then does that share begin to fill.
    const beginsMs = whole.waitMs(1, nowMs)
    const handedOut = queue.unitsUntilServed(joining, isHandOut)
    return Math.max(budgetMs, beginsMs + handOuts.waitMs(handedOut, nowMs + beginsMs))
  }

  /** Who waits and is not served in time any more, because the newcomer's turn is before its own. */
  #overtaken(newcomer: W, nowMs: number): W | undefined {
    const others = newcomer.priority === 'caller' ? this.#ahead.last : this.#callers.last
    const waiting = [
      this.#queueOf(newcomer).yielding(newcomer),
      ...(others === undefined ? [] : [others]),
    ]
    return waiting.find((one) => one !== newcomer && !this.#isInTime(one, nowMs))
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
    if (nowMs <= this.#deadlineMs) return undefined
    this.#deadlineMs = Infinity
    for (const waiter of this.#everybody()) {
      this.#deadlineMs = Math.min(this.#deadlineMs, waiter.deadlineMs)
      if (waiter.deadlineMs < nowMs) return waiter
    }
    return undefined
  }

  *#everybody(): Generator<W> {
    yield* this.#callers
    yield* this.#ahead
  }
}

/** About as long as a vault takes to answer the one that finds out for all. */
const probeTakesMs = 1_000

/** Others come and go, so that who is nearly in time may be in time. */
const outlookErrsByMs = 1_000

const isUnused = (outcome: PermitOutcome) =>
  outcome === 'not-asked' || (outcome instanceof SignerError && !outcome.asked)

const isHandOut = ({ purpose }: LaneWaiter) => purpose === 'hand-out'

function soonerOf(
  one: (() => number) | undefined,
  other: (() => number) | undefined,
): (() => number) | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return () => Math.min(one(), other())
}
