import type { Clock } from '../base/clock.ts'
import type { IssuerName } from '../base/ids.ts'
import type { ServiceTurnedAway } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'

/**
 * Requests of strangers, counted per reason, issuer and minute instead of written down one by one: a
 * flood of them takes a few lines of the ledger. Reasons and issuers are ours to name, so the number
 * of counters is bounded.
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
  count: number
}

const minuteMs = 60_000

export function createTurnedAway(deps: {
  readonly ledger: Ledger
  readonly clock: Clock
}): TurnedAway {
  const counters = new Map<string, Counter>()
  const minuteOf = (ms: number) => ms - (ms % minuteMs)

  return {
    count: (reason, issuer) => {
      const minuteStartMs = minuteOf(deps.clock.nowMs())
      const key = `${minuteStartMs} ${reason} ${issuer ?? ''}`
      const counter = counters.get(key)
      if (counter === undefined) counters.set(key, { reason, issuer, minuteStartMs, count: 1 })
      else counter.count += 1
    },
    roll: async (which) => {
      const nowMs = deps.clock.nowMs()
      const minute = minuteOf(nowMs)
      const due = [...counters].filter(([, c]) => which === 'every' || c.minuteStartMs < minute)
      if (due.length === 0) return
      for (const [key] of due) counters.delete(key)
      try {
        await deps.ledger.append(due.map(([, counter]) => turnedAway(counter, nowMs)))
      } catch (error) {
        // Not written, so not forgotten: the next roll carries them.
        for (const [key, counter] of due) counters.set(key, counter)
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
