import type { EmulatorClock } from '../emulator-clock.ts'
import type { WorldKey } from '../world.ts'

/** What a request spends: an operation on a key counts by the key's kind and size. */
export type ThrottleCost =
  | {
      readonly kind: 'key'
      readonly keyType: WorldKey['keyType']
      readonly keySize: WorldKey['keySize']
    }
  | { readonly kind: 'other' }

export interface Throttle {
  /** Spends the cost in the current window; false when that is more than the window has left. */
  admit(cost: ThrottleCost): boolean
  /** Multiplies every budget by another number from now on; what the window has spent stays spent. */
  scaleTo(scale: number): void
}

const windowMs = 10_000

/** Per vault and window, in operations on a key of 2048 bits; secrets, certificates and the vault itself in requests. */
const budgets = { 'RSA-HSM': 2000, RSA: 4000, other: 4000 } as const

/** 2,000 against 500 against 250 per window; software keys keep the same ratios. */
const weights = { 2048: 1, 3072: 4, 4096: 8 } as const

export interface ThrottleOptions {
  readonly clock: EmulatorClock
  /** Multiplies every budget: 0.01 lets a test run into the limit after 20 signatures. */
  readonly scale: number
  /** Whether a refused request spends budget too. */
  readonly refused: 'counted' | 'not-counted'
}

export function createThrottle({ clock, refused, ...initial }: ThrottleOptions): Throttle {
  let { scale } = initial
  let window = 0
  let spent = new Map<keyof typeof budgets, number>()
  return {
    admit: (cost) => {
      const current = Math.floor(clock.nowMs() / windowMs)
      if (current !== window) {
        window = current
        spent = new Map()
      }
      const budget = cost.kind === 'key' ? cost.keyType : 'other'
      const weight = cost.kind === 'key' ? weights[cost.keySize] : 1
      const total = (spent.get(budget) ?? 0) + weight
      const admitted = total <= budgets[budget] * scale
      if (admitted || refused === 'counted') spent.set(budget, total)
      return admitted
    },
    scaleTo: (next) => {
      scale = next
    },
  }
}
