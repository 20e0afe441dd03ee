import type { Clock } from '../base/clock.ts'
import type { AuditRead } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'

/** One reading of the ledger, as it is on record. */
export type Reading = Omit<AuditRead, 'kind' | 'atMs' | 'times'>

/**
 * Writes down who reads the ledger, in few lines: whoever follows it would otherwise read of nothing but its own
 * reading. Readers are few, because a grant names them.
 */
export interface AuditReads {
  /**
   * Resolves when the reading is durable, or counted beside one of its kind that is.
   *
   * @param decidedUnder Epoch of the revocations that were heeded.
   * @throws LedgerError when nobody may be told what is in the ledger.
   */
  note(reading: Reading, decidedUnder: number): Promise<void>
  /** Writes what was counted, of the periods that have ended or of every one. */
  roll(which: 'ended-periods' | 'every'): Promise<void>
}

interface Period {
  readonly endsAtMs: number
  /** The last one. */
  readonly reading: Reading
  /** How many of them no line tells of. */
  readonly untold: number
}

const periodMs = 10 * 60_000

/** Some MB. Of readers beyond, each reading is written down. */
const periodsMax = 10_000

export function createAuditReads(deps: {
  readonly ledger: Pick<Ledger, 'append'>
  readonly clock: Clock
}): AuditReads {
  const { ledger, clock } = deps
  const periods = new Map<string, Period>()

  const add = (name: string, more: Period) => {
    const { endsAtMs = 0, untold = 0 } = periods.get(name) ?? {}
    const until = Math.max(endsAtMs, more.endsAtMs)
    periods.set(name, { ...more, endsAtMs: until, untold: untold + more.untold })
  }
  const line = (reading: Reading, times: number): AuditRead => ({
    kind: 'audit.read',
    atMs: clock.nowMs(),
    ...reading,
    times,
  })

  return {
    note: async (reading, decidedUnder) => {
      const name = nameOf(reading)
      const nowMs = clock.monotonicMs()
      const { endsAtMs = nowMs } = periods.get(name) ?? {}
      const isTold = nowMs < endsAtMs
      // Of no entries: what others have revoked until now is heard of, and heeded.
      await ledger.append(isTold ? [] : [line(reading, 1)], { decidedUnder })
      if (isTold) add(name, { endsAtMs, reading, untold: 1 })
      else if (periods.has(name) || periods.size < periodsMax) {
        add(name, { endsAtMs: nowMs + periodMs, reading, untold: 0 })
      }
    },
    roll: async (which) => {
      const nowMs = clock.monotonicMs()
      const ended = [...periods].filter(
        ([, { endsAtMs }]) => which === 'every' || endsAtMs <= nowMs,
      )
      for (const [name] of ended) periods.delete(name)
      const lines = ended
        .filter(([, { untold }]) => untold > 0)
        .map(([, { reading, untold }]) => line(reading, untold))
      if (lines.length === 0) return
      try {
        await ledger.append(lines)
      } catch (error) {
        // Not written, so not forgotten: the next roll carries them, with what came meanwhile.
        for (const [name, period] of ended) add(name, period)
        throw error
      }
    },
  }
}

/** Two have the same only if they are the same: of all parts only the last can hold a line feed. */
const nameOf = ({ read, grant = '', caller }: Reading) =>
  `${read}\n${grant}\n${caller.issuer}\n${caller.subject}`
