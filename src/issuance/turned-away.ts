import type { Clock } from '../base/clock.ts'
import type { IssuerName } from '../base/ids.ts'
import type { ServiceTurnedAway } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'

/**
 * Requests that anybody can make without end (those of strangers, and of callers who have used up a
 * limit or are refused from memory), counted per reason, issuer and minute instead of written down one by
 * one: a flood of them takes a few lines of the ledger. Reasons and issuers are ours to name, so a minute has
 * a few dozen counters at most.
 */
export interface TurnedAway {
  count(reason: string, issuer: IssuerName | undefined): void
  /** Writes the counts of the minutes that have ended; all of them when `every` is asked for. */
  roll(which: 'ended-minutes' | 'every'): Promise<void>
}

interface Counter {
  readonly reason: string
  readonly issuer: IssuerName | undefined
  readonly minuteStartMs: number
  readonly count: number
}

const minuteMs = 60_000

/** Hours of a ledger that cannot be written; from then on, what comes is counted in the last minute. */
const countersMax = 10_000

export function createTurnedAway(deps: {
  readonly ledger: Ledger
  readonly clock: Clock
}): TurnedAway {
  const counters = new Map<string, Counter>()
  const minuteOf = (ms: number) => ms - (ms % minuteMs)
  let countedInMs = minuteOf(deps.clock.nowMs())

  const add = (more: Counter) => {
    const key = `${more.minuteStartMs} ${more.reason} ${more.issuer ?? ''}`
    const before = counters.get(key)?.count ?? 0
    counters.set(key, { ...more, count: before + more.count })
  }

  return {
    count: (reason, issuer) => {
      if (counters.size < countersMax) countedInMs = minuteOf(deps.clock.nowMs())
      add({ reason, issuer, minuteStartMs: countedInMs, count: 1 })
    },
    roll: async (which) => {
      const nowMs = deps.clock.nowMs()
      const minute = minuteOf(nowMs)
      // A wall clock that went back has ended a minute too, though one that is still to come.
      const due = [...counters].filter(([, c]) => which === 'every' || c.minuteStartMs !== minute)
      if (due.length === 0) return
      for (const [key] of due) counters.delete(key)
      try {
        await deps.ledger.append(due.map(([, counter]) => turnedAway(counter, nowMs)))
      } catch (error) {
        // Not written, so not forgotten: the next roll carries them, with what came meanwhile.
        for (const [, counter] of due) add(counter)
        throw error
      }
    },
  }
}

const turnedAway = (counter: Counter, nowMs: number): ServiceTurnedAway => ({
  kind: 'service.turned-away',
  atMs: nowMs,
  reason: counter.reason,
  ...(counter.issuer === undefined ? {} : { issuer: counter.issuer }),
  count: counter.count,
  minuteStartMs: counter.minuteStartMs,
})
