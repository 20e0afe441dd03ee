import type { SigningKey } from '../base/signing-key.ts'
import {
  type CircuitChange,
  type Governor,
  GovernorError,
  type Permit,
  type PermitRequest,
  type VaultKey,
} from './governor.ts'
import { documentedUnits, largestUnits, unitsOf } from './key-units.ts'
import { createWindowBudget, type VaultBudget } from './sign-budget.ts'
import { VaultCircuits } from './vault-circuits.ts'
import { type LaneRefusal, VaultLane, type LaneWaiter } from './vault-lane.ts'

/**
 * What the service allows itself of a vault: the documented budget times `headroom`, a quarter of it to
 * give away, but one signature with the largest key at least.
 *
 * @param headroom 0.01 at least.
 */
export function allowedUnits(heldBy: SigningKey['heldBy'], headroom: number) {
  const whole = Math.floor(documentedUnits[heldBy] * headroom)
  return { whole, handOuts: Math.max(largestUnits, Math.floor(whole / 4)) }
}

/** A budget of this process alone. */
export function localVaultBudget(heldBy: SigningKey['heldBy'], headroom: number): VaultBudget {
  const { whole, handOuts } = allowedUnits(heldBy, headroom)
  return { whole: createWindowBudget(whole), handOuts: createWindowBudget(handOuts) }
}

export interface MemoryGovernorOptions {
  /** Milliseconds that never go back. */
  readonly nowMs: () => number
  /** From 0 to 1: spreads the ends of pauses. */
  readonly random: () => number
  readonly onCircuit: (change: CircuitChange) => void
  readonly budgetOf: BudgetOf
}

/**
 * Asked once for each vault and kind of key.
 *
 * @param whenChanged To be called when there may be more, or less, than was said; never at once.
 */
export type BudgetOf = (
  vaultUrl: string,
  heldBy: SigningKey['heldBy'],
  whenChanged: () => void,
) => VaultBudget

/**
 * As many as the adapter has connections: whoever is permitted is asked for at once, so that no second
 * queue, which nobody sees, lets assertions age.
 */
const underWayMax = 64
/** What an HSM signs for in ten seconds and a little more, about 1 KB each. */
const waitingMax = 2000
/** So that it takes many to fill the queue, and they make room for others then. */
const waitingPerLineMax = 500

/** A governor whose queues are in this process. */
export function createMemoryGovernor(options: MemoryGovernorOptions): Governor {
  const { nowMs, budgetOf } = options
  const vaults = new Map<string, GovernedVault>()
  const vaultOf = ({ keyId, heldBy }: VaultKey): GovernedVault => {
    const vaultUrl = new URL(keyId).origin
    const name = `${heldBy} ${vaultUrl}`
    const known = vaults.get(name)
    if (known !== undefined) return known
    const vault = new GovernedVault(
      (whenChanged) => budgetOf(vaultUrl, heldBy, whenChanged),
      options,
    )
    vaults.set(name, vault)
    return vault
  }

  return {
    permit: (request) => vaultOf(request.key).permit(request),
    charge: (key, requests) => {
      vaultOf(key).budget.whole.charge(requests * unitsOf(key), nowMs())
    },
    standing: (key) => {
      const vault = vaultOf(key)
      const { budget, waiting, circuits } = vault
      const { whole } = budget
      return {
        unitsUsed: whole.used(nowMs()),
        unitsMax: whole.unitsMax,
        unitsLearned: vault.unitsLearned,
        waiting,
        circuit: circuits.standing(key.keyId),
      }
    },
  }
}

type Leave = Pick<Permit, 'probes' | 'leftMs'>

interface Asking extends LaneWaiter {
  readonly grant: (leave: Leave) => void
  readonly refuse: (error: GovernorError) => void
}

/** A lane with the promises and the timer that it lacks. */
class GovernedVault {
  readonly budget: VaultBudget
  readonly circuits: VaultCircuits
  readonly #lane: VaultLane<Asking>
  readonly #nowMs: () => number
  readonly #onCircuit: MemoryGovernorOptions['onCircuit']
  #timer: NodeJS.Timeout | undefined

  constructor(
    budgetFor: (whenChanged: () => void) => VaultBudget,
    { nowMs, random, onCircuit }: Pick<MemoryGovernorOptions, 'nowMs' | 'random' | 'onCircuit'>,
  ) {
    const budget = budgetFor(() => {
      this.#review()
    })
    this.budget = budget
    this.circuits = new VaultCircuits(random)
    this.#nowMs = nowMs
    this.#onCircuit = onCircuit
    this.#lane = new VaultLane(budget, this.circuits, {
      underWayMax,
      waitingMax,
      waitingPerLineMax,
    })
  }

  get waiting(): number {
    return this.#lane.waiting
  }

  get unitsLearned(): number {
    return this.#lane.unitsLearned(this.#nowMs())
  }

  async permit(request: PermitRequest): Promise<Permit> {
    const { key, application, caller, purpose, priority, whilePaused, signal } = request
    const { promise, resolve, reject } = Promise.withResolvers<Leave>()
    // One moment for all that follows at once: who has no patience left is served if it can be now.
    const nowMs = this.#nowMs()
    const asking: Asking = {
      application,
      // A caller's assertions may have to wait for their own share when its tokens need not.
      line: `${purpose} ${caller}`,
      units: unitsOf(key),
      keyId: key.keyId,
      whilePaused,
      purpose,
      priority,
      deadlineMs: nowMs + request.patienceMs,
      grant: resolve,
      refuse: reject,
    }
    const abandon = () => {
      this.#lane.leave(asking)
      reject(new GovernorError('GOVERNOR_ABANDONED', 0))
      this.#run()
    }
    if (signal?.aborted === true) throw new GovernorError('GOVERNOR_ABANDONED', 0)
    signal?.addEventListener('abort', abandon, { once: true })
    this.#enter(asking, nowMs)
    const leave = await promise.finally(() => {
      signal?.removeEventListener('abort', abandon)
    })
    return {
      ...leave,
      settle: (outcome) => {
        const changes = this.#lane.settle(asking, outcome, this.#nowMs())
        for (const change of changes) this.#onCircuit(change)
        // Who waits may have less to wait for.
        if (changes.length > 0) this.#review()
        else this.#run()
      },
    }
  }

  #enter(asking: Asking, nowMs: number): void {
    const refusal = this.#lane.enter(asking, nowMs)
    if (refusal !== undefined) refuse(refusal)
    // A newcomer that is refused has changed nothing for the others.
    if (refusal?.waiter !== asking) this.#run(nowMs)
  }

  #review(): void {
    const nowMs = this.#nowMs()
    for (;;) {
      const refusal = this.#lane.review(nowMs)
      if (refusal === undefined) break
      refuse(refusal)
    }
    this.#run(nowMs)
  }

  /** Lets everybody go who may, and comes back when the next one can. */
  #run(nowMs = this.#nowMs()): void {
    clearTimeout(this.#timer)
    for (;;) {
      const turn = this.#lane.turn(nowMs)
      if (turn.kind === 'granted') {
        const { waiter, probes, leftMs = () => Infinity } = turn
        waiter.grant({ probes, leftMs })
      } else if (turn.kind === 'refused') refuse(turn)
      else {
        if (turn.forMs < Infinity) {
          this.#timer = setTimeout(() => {
            this.#run()
          }, turn.forMs)
        }
        return
      }
    }
  }
}

function refuse({ waiter, code, retryAfterMs, remembered }: LaneRefusal<Asking>): void {
  waiter.refuse(new GovernorError(code, retryAfterMs, { remembered }))
}
