import type { Clock } from '../base/clock.ts'
import type { CallerOnRecord } from '../ledger/entry.ts'

/**
 * Which failures that cost nothing get a line of their own. Whoever is refused by a queue or from memory
 * is refused as fast as it can ask, so a caller with a grant could fill the ledger with lines that say
 * nothing new. The first ones of each caller, application, code and minute are written whole; the rest
 * are counted, as those of strangers are, with the reason and the issuer. Nothing was signed, sent or
 * issued for any of them, so the account of signatures lacks nothing.
 */
export interface FailureLines {
  mayWrite(caller: CallerOnRecord, application: string, code: string): boolean
}

/** Enough to see who is refused, and how often it comes again. */
const linesPerMinute = 10
/** Callers of one minute that are told apart, about 200 bytes each; what is more is counted. */
const callersMax = 10_000

export function createFailureLines(clock: Clock): FailureLines {
  let minute = 0
  const lines = new Map<string, number>()
  return {
    mayWrite: ({ issuer, subject }, application, code) => {
      const now = Math.floor(clock.monotonicMs() / 60_000)
      if (now !== minute) lines.clear()
      minute = now
      const name = `${issuer}\n${application}\n${code}\n${subject}`
      const written = lines.get(name) ?? 0
      if (written === linesPerMinute || (written === 0 && lines.size === callersMax)) return false
      lines.set(name, written + 1)
      return true
    },
  }
}
