import type { Caller } from '../caller/caller.ts'

/** How many requests each caller has under way, so that none of them holds all that can be. */
export interface CallerSlots {
  /**
   * Counts a request until the function that it returns is called, once. Undefined when the caller has
   * as many as it may.
   */
  enter(caller: Pick<Caller, 'issuer' | 'subject'>): (() => void) | undefined
}

/**
 * As large as the requests under way, and no larger.
 *
 * @param requestsMax Asked each time: it may change.
 */
export function createCallerSlots(requestsMax: () => number): CallerSlots {
  const underWay = new Map<string, number>()
  return {
    enter: ({ issuer, subject }) => {
      const name = `${issuer} ${subject}`
      const count = underWay.get(name) ?? 0
      if (count >= requestsMax()) return undefined
      underWay.set(name, count + 1)
      return () => {
        const left = (underWay.get(name) ?? 0) - 1
        if (left > 0) underWay.set(name, left)
        else underWay.delete(name)
      }
    },
  }
}
