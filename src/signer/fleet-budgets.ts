import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { DatabaseAccessError } from '../database-access/database-access-error.ts'
import { createLeasedBudget, type LeasedBudget } from './leased-budget.ts'
import { allowedUnits, type BudgetOf } from './memory-governor.ts'
import { lendingTerms, type LendingTerms, type UnitLender } from './unit-lender.ts'

export interface FleetBudgetsOptions {
  /** @param name One for each budget, the same for all replicas. */
  readonly lenderOf: (name: string, unitsMax: number, terms: LendingTerms) => UnitLender
  readonly headroom: number
  readonly clock: Clock
  readonly onTrade: (outcome: 'answered' | DatabaseAccessError) => void
  /** Absent: {@link lendingTerms}. */
  readonly terms?: LendingTerms
}

export interface FleetBudgets {
  readonly budgetOf: BudgetOf
  /**
   * That this replica may do whatever leasing takes, in a budget that is nobody's.
   *
   * @throws DatabaseAccessError
   */
  prove(): Promise<void>
  /** Gives back what is not used. */
  close(): Promise<void>
}

/** Budgets of vaults that all replicas of a fleet lease from the same lender. */
export function createFleetBudgets(options: FleetBudgetsOptions): FleetBudgets {
  const { lenderOf, headroom, clock, onTrade, terms = lendingTerms } = options
  const leased: LeasedBudget[] = []
  const lease = (name: string, unitsMax: number, whenTraded: () => void): LeasedBudget => {
    const lender = lenderOf(name, unitsMax, terms)
    const budget = createLeasedBudget({ unitsMax, lender, terms, clock, whenTraded, onTrade })
    leased.push(budget)
    return budget
  }
  return {
    budgetOf: (vaultUrl, heldBy, whenChanged) => {
      const allowed = allowedUnits(heldBy, headroom)
      const name = `${heldBy} ${vaultUrl}`
      return {
        whole: lease(name, allowed.whole, whenChanged),
        handOuts: lease(`${name} hand-outs`, allowed.handOuts, whenChanged),
      }
    },
    prove: async () => {
      const lender = lenderOf('proof', 1, terms)
      const leaseId = randomUUID()
      const lease = { needed: 1, wanted: 1, waiting: 1, leaseId, reports: [], charged: 0 }
      await lender.trade(lease)
      const reports = [{ leaseId, units: 0, isOver: true }]
      await lender.trade({ ...lease, needed: 0, wanted: 0, waiting: 0, reports })
    },
    close: async () => {
      await Promise.all(leased.map((budget) => budget.close()))
    },
  }
}
