import { randomUUID } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import type { LendingTerms, UnitLender } from '../../src/signer/unit-lender.ts'

interface Lease {
  units: number
  returnsAtMs: number
  countsUntilMs: number
}

interface Wish {
  readonly needed: number
  readonly waiting: number
  /** In the order in which replicas began to wait. */
  readonly place: number
  readonly endsAtMs: number
}

/** What replicas of one test lease from. */
export interface MemoryUnits {
  /** As one more replica opens it. */
  open(): UnitLender
}

/** A twin of the lender in PostgreSQL, in this process. */
export function createMemoryUnits(options: {
  readonly unitsMax: number
  readonly terms: LendingTerms
  readonly clock: Pick<Clock, 'nowMs'>
}): MemoryUnits {
  const { unitsMax, clock } = options
  const { askedWithinMs, windowMs, placeMs } = options.terms
  const leases = new Map<string, Lease>()
  const wishes = new Map<string, Wish>()
  let lastPlace = 0

  const forget = (nowMs: number) => {
    for (const [id, { units, countsUntilMs }] of leases) {
      if (units === 0 || countsUntilMs < nowMs) leases.delete(id)
    }
    for (const [replica, { endsAtMs }] of wishes) {
      if (endsAtMs < nowMs) wishes.delete(replica)
    }
  }
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, one) => all + one, 0)
  const othersOf = (replica: string) =>
    [...wishes].filter(([other]) => other !== replica).map(([, wish]) => wish)

  return {
    open: () => {
      const replica = randomUUID()
      return {
        trade: ({ needed, wanted, waiting, leaseId, reports, charged }) => {
          const nowMs = clock.nowMs()
          const askedNow = { returnsAtMs: nowMs + windowMs, countsUntilMs: nowMs + windowMs }
          for (const { leaseId: id, units, isOver } of reports) {
            const lease = leases.get(id)
            if (lease !== undefined) Object.assign(lease, { units }, isOver ? askedNow : {})
          }
          if (charged > 0) leases.set(randomUUID(), { units: charged, ...askedNow })
          forget(nowMs)

          let free = unitsMax - sum([...leases.values()].map(({ units }) => units))
          lastPlace += 1
          const place = wishes.get(replica)?.place ?? lastPlace
          const others = othersOf(replica)
          const kept = sum(others.filter((one) => one.place < place).map((one) => one.needed))
          const isServed = needed > 0 && free - kept >= needed
          const granted = isServed ? Math.min(wanted, free - kept) : 0
          free -= granted
          if (isServed) {
            leases.set(leaseId, {
              units: granted,
              returnsAtMs: nowMs + windowMs,
              countsUntilMs: nowMs + askedWithinMs + windowMs,
            })
          }
          const left = waiting - granted
          wishes.delete(replica)
          if (left > 0) {
            wishes.set(replica, {
              needed: Math.min(needed, left),
              waiting: left,
              place: isServed ? lastPlace : place,
              endsAtMs: nowMs + placeMs,
            })
          }
          const returns = [...leases.values()]
            .map(({ units, returnsAtMs }) => ({ inMs: Math.max(1, returnsAtMs - nowMs), units }))
            .toSorted((one, other) => one.inMs - other.inMs)
          return Promise.resolve({
            granted,
            free,
            kept,
            returns,
            others: others.map((one) => one.waiting),
          })
        },
      }
    },
  }
}
