import type { LendingTerms, UnitsTraded } from './unit-lender.ts'

/** What a replica reckons with of a budget that it shares. Estimates, all of them. */
export interface UnitsOutlook {
  /** Until so many units are free, whoever takes them. */
  freeInMs(units: number): number
  /** Until a replica that has none could have had so many, of a time to come too. */
  waitMs(units: number, nowMs: number): number
}

/** While nobody has said anything. */
export const unknownOutlook: UnitsOutlook = { freeInMs: () => 0, waitMs: () => 0 }

/**
 * By what the lender said last: what is free, what will be, and what others are to have meanwhile, who
 * wait as well and take turns.
 */
export function outlookFrom(
  { free, returns, others }: Pick<UnitsTraded, 'free' | 'returns' | 'others'>,
  saidAtMs: number,
  unitsMax: number,
  { windowMs }: Pick<LendingTerms, 'windowMs'>,
): UnitsOutlook {
  const freeInMs = (units: number) => {
    let left = units - free
    if (left <= 0) return 0
    for (const { inMs, units: returned } of returns) {
      left -= returned
      if (left <= 0) return inMs
    }
    return windowMs
  }
  return {
    freeInMs,
    waitMs: (units, nowMs) => {
      const turns = others.reduce((all, waiting) => all + Math.min(waiting, units), 0)
      const all = units + turns
      // Whole windows first: whoever comes after so many waits for those who came before.
      const windows = Math.max(0, Math.ceil(all / unitsMax) - 1)
      const inMs = windows * windowMs + freeInMs(all - windows * unitsMax)
      return Math.max(0, inMs - (nowMs - saidAtMs))
    },
  }
}
