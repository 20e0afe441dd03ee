import type { Clock } from '../base/clock.ts'

/** How often an issuer may be asked because of keys that are not known. */
export interface AskBudget {
  /** Takes one asking, or says when there will be one again. */
  take(): AskAnswer
}

export type AskAnswer =
  { readonly ok: true } | { readonly ok: false; readonly retryAfterSeconds: number }

/** So many at once, and one more each `everyMs`. */
export function createAskBudget(
  clock: Clock,
  { atOnce, everyMs }: { readonly atOnce: number; readonly everyMs: number },
): AskBudget {
  const allMs = atOnce * everyMs
  let fullAtMs = Number.NEGATIVE_INFINITY
  return {
    take: () => {
      const nowMs = clock.monotonicMs()
      const missingMs = Math.max(0, fullAtMs - nowMs)
      const waitMs = missingMs + everyMs - allMs
      if (waitMs > 0) return { ok: false, retryAfterSeconds: Math.ceil(waitMs / 1000) }
      fullAtMs = nowMs + missingMs + everyMs
      return { ok: true }
    },
  }
}
