import type { PermitOutcome } from '../../src/signer/governor.ts'
import type { LaneRefusal, LaneWaiter, VaultLane } from '../../src/signer/vault-lane.ts'
import { required } from './required.ts'

/** Somebody who comes to a lane, and how its request to the vault will go. */
export interface Arrival {
  readonly atMs: number
  readonly application: string
  readonly caller: string
  readonly units: number
  readonly purpose: 'exchange' | 'hand-out'
  readonly priority: 'caller' | 'ahead'
  readonly patienceMs: number
  /** From the permit to the vault, and from there to the answer. */
  readonly toVaultMs: number
  readonly fromVaultMs: number
  readonly key: string
  readonly whilePaused: 'wait' | 'refuse'
  /** Told when it is asked for, because it may depend on when that is. */
  readonly outcomeAt: (vaultAtMs: number) => PermitOutcome
}

export type Ending =
  | { readonly kind: 'granted'; readonly atMs: number; readonly vaultAtMs: number }
  | {
      readonly kind: 'refused'
      readonly atMs: number
      readonly code: string
      readonly retryAfterMs: number
    }

export interface Simulated extends Arrival {
  /** More than one, or none, would be a fault of the lane. */
  readonly endings: readonly Ending[]
}

export const anArrival: Arrival = {
  atMs: 0,
  application: 'events',
  caller: 'orders',
  units: 1,
  purpose: 'exchange',
  priority: 'caller',
  patienceMs: 12_000,
  toVaultMs: 5,
  fromVaultMs: 5,
  key: 'https://vault.example/keys/k/1',
  whilePaused: 'wait',
  outcomeAt: () => 'signed',
}

interface SimulatedWaiter extends LaneWaiter {
  readonly arrival: Arrival
  readonly endings: Ending[]
}

export type SimulatedLane = VaultLane<SimulatedWaiter>

/** Plays all of them through the lane in a time of its own, until nobody waits any more. */
export function simulate(lane: SimulatedLane, arrivals: readonly Arrival[]): readonly Simulated[] {
  const agenda = new Agenda()
  const end = (waiter: SimulatedWaiter, ending: Ending) => waiter.endings.push(ending)
  const refused = ({ waiter, code, retryAfterMs }: LaneRefusal<SimulatedWaiter>, atMs: number) =>
    end(waiter, { kind: 'refused', atMs, code, retryAfterMs })

  const wakes = new Set<number>()
  const wakeAt = (atMs: number) => {
    if (atMs === Infinity || wakes.has(atMs)) return
    wakes.add(atMs)
    agenda.add(atMs, run)
  }
  const run = (nowMs: number) => {
    wakes.delete(nowMs)
    for (;;) {
      const turn = lane.turn(nowMs)
      if (turn.kind === 'wait') {
        wakeAt(nowMs + turn.forMs)
        return
      }
      if (turn.kind === 'refused') {
        refused(turn, nowMs)
        continue
      }
      const { waiter } = turn
      const vaultAtMs = nowMs + waiter.arrival.toVaultMs
      end(waiter, { kind: 'granted', atMs: nowMs, vaultAtMs })
      agenda.add(vaultAtMs + waiter.arrival.fromVaultMs, (atMs) => {
        lane.settle(waiter, waiter.arrival.outcomeAt(vaultAtMs), atMs)
        run(atMs)
      })
    }
  }

  const waiters = arrivals.map((arrival) => waiterFrom(arrival))
  for (const waiter of waiters) {
    agenda.add(waiter.arrival.atMs, (nowMs) => {
      const refusal = lane.enter(waiter, nowMs)
      if (refusal !== undefined) refused(refusal, nowMs)
      run(nowMs)
    })
  }
  agenda.play()
  return waiters.map(({ arrival, endings }) => ({ ...arrival, endings }))
}

function waiterFrom(arrival: Arrival): SimulatedWaiter {
  const { caller, purpose, key, atMs, patienceMs } = arrival
  const line = `${purpose} ${caller}`
  return { ...arrival, line, keyId: key, deadlineMs: atMs + patienceMs, arrival, endings: [] }
}

type Act = (nowMs: number) => void

/** What is to be done when; of one moment, in the order in which it was put down. */
class Agenda {
  readonly #moments = new Map<number, Act[]>()
  /** In order. */
  readonly #times: number[] = []

  add(atMs: number, act: Act): void {
    const moment = this.#moments.get(atMs)
    if (moment !== undefined) {
      moment.push(act)
      return
    }
    this.#moments.set(atMs, [act])
    this.#times.splice(this.#indexOf(atMs), 0, atMs)
  }

  #indexOf(atMs: number): number {
    let [low, high] = [0, this.#times.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (required(this.#times[middle]) < atMs) low = middle + 1
      else high = middle
    }
    return low
  }

  play(): void {
    for (let atMs = this.#times[0]; atMs !== undefined; atMs = this.#times[0]) {
      const acts = required(this.#moments.get(atMs))
      for (const act of acts) act(atMs)
      this.#times.shift()
      this.#moments.delete(atMs)
    }
  }
}

/** The most that any 10 s held, wherever they begin: half-open, as the vault counts. */
export function fullestWindow(
  events: readonly { readonly atMs: number; readonly units: number }[],
  windowMs = 10_000,
): number {
  const inOrder = events.toSorted((one, other) => one.atMs - other.atMs)
  let first = 0
  let units = 0
  let most = 0
  for (const event of inOrder) {
    units += event.units
    for (; required(inOrder[first]).atMs <= event.atMs - windowMs; first += 1) {
      units -= required(inOrder[first]).units
    }
    most = Math.max(most, units)
  }
  return most
}

/** 1 when all have the same, 1/n when one has everything (R. Jain et al., DEC-TR-301). */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, one) => total + one, 0)
  const squares = shares.reduce((total, one) => total + one * one, 0)
  return (sum * sum) / (shares.length * squares)
}
