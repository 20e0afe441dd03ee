import { generateKeyPairSync } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import type { SigningKey } from '../../src/base/signing-key.ts'
import { GovernorError } from '../../src/signer/governor.ts'
import { createFleetBudgets } from '../../src/signer/fleet-budgets.ts'
import { createMemoryGovernor } from '../../src/signer/memory-governor.ts'
import type { LendingTerms, UnitLender } from '../../src/signer/unit-lender.ts'

/** What a vault was asked for, and when. */
export interface VaultAsked {
  readonly atMs: number
  readonly units: number
  readonly purpose: 'exchange' | 'hand-out'
}

export interface Asking {
  readonly units: 1 | 4
  readonly purpose: 'exchange' | 'hand-out'
  readonly patienceMs: number
  /** From the permit until it is sent, from there to the vault, and back. */
  readonly beforeMs: number
  readonly toVaultMs: number
  readonly fromVaultMs: number
}

export const anAsking: Asking = {
  units: 1,
  purpose: 'exchange',
  patienceMs: 12_000,
  beforeMs: 2,
  toVaultMs: 2,
  fromVaultMs: 3,
}

/** A replica in this process: a governor on leased budgets, without whatever else a replica is. */
export interface LeasingReplica {
  /** Resolves with `signed` when the vault has answered, or with the code why it was not asked. */
  ask(asking?: Partial<Asking>): Promise<string>
  readonly unitsUsed: number
  /** Ends it as a kill would: what it has sent arrives, and nobody is told anything any more. */
  kill(): void
  /** Ends it in order. */
  close(): Promise<void>
}

const keyOf = (bits: number): SigningKey => ({
  keyId: `https://vault.example/keys/k/${bits}`,
  publicKey: generateKeyPairSync('rsa', { modulusLength: bits }).publicKey,
  heldBy: 'hsm',
  notBeforeSeconds: undefined,
  notAfterSeconds: undefined,
})

const keys: Readonly<Record<Asking['units'], SigningKey>> = { 1: keyOf(2048), 4: keyOf(3072) }

/** By the timers of whoever tests, who may have put others in their place. */
export const delay = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Of the 2,000 that a vault allows. */
export const headroomFor = (unitsMax: number) => unitsMax / 2000

export function createLeasingReplica(options: {
  readonly unitsMax: number
  readonly terms: LendingTerms
  readonly clock: Clock
  readonly vaultLog: VaultAsked[]
  readonly lenderOf: (name: string, unitsMax: number) => UnitLender
}): LeasingReplica {
  const { unitsMax, terms, clock, vaultLog, lenderOf } = options
  let isAlive = true
  const isKilled = () => !isAlive
  const never = new Promise<never>(() => undefined)
  const budgets = createFleetBudgets({
    headroom: headroomFor(unitsMax),
    terms,
    clock,
    onTrade: () => undefined,
    lenderOf: (name, ofIt) => {
      const lender = lenderOf(name, ofIt)
      return { trade: (trade) => (isKilled() ? never : lender.trade(trade)) }
    },
  })
  const governor = createMemoryGovernor({
    nowMs: () => Math.floor(clock.monotonicMs()),
    random: () => 0.5,
    onCircuit: () => undefined,
    budgetOf: budgets.budgetOf,
  })

  return {
    ask: async (asking = {}) => {
      const { units, purpose, patienceMs, ...way } = { ...anAsking, ...asking }
      const permit = await governor
        .permit({
          key: keys[units],
          application: 'events',
          caller: 'orders',
          purpose,
          priority: 'caller',
          patienceMs,
          whilePaused: 'wait',
        })
        .catch((error: unknown) => {
          if (error instanceof GovernorError) return error.code
          throw error
        })
      if (isKilled()) return never
      if (typeof permit === 'string') return permit
      await delay(way.beforeMs)
      if (isKilled()) return never
      const leftMs = permit.leftMs()
      if (leftMs <= 0) {
        permit.settle('not-asked')
        return 'SIGNER_TOO_LATE'
      }
      await delay(Math.min(way.toVaultMs, leftMs))
      // A process that was held up by then has its deadline behind it, and sends nothing.
      if (permit.leftMs() < 0) {
        permit.settle('not-asked')
        return 'SIGNER_TOO_LATE'
      }
      vaultLog.push({ atMs: clock.monotonicMs(), units, purpose })
      await delay(way.fromVaultMs)
      if (isKilled()) return never
      permit.settle('signed')
      return 'signed'
    },
    get unitsUsed() {
      return governor.standing(keys[1]).unitsUsed
    },
    kill: () => {
      isAlive = false
    },
    close: () => budgets.close(),
  }
}
