import type { CachedToken } from './token-cache.ts'

export interface RefreshRules {
  /** Tokens with less are not served. */
  readonly minRemainingSeconds: number
  /** What a token has left when its refresh may begin; more than `minRemainingSeconds`. */
  readonly refreshAheadSeconds: number
}

/** Of the window in which refreshes begin; what follows is for trying again. */
const spreadShare = 2 / 3

/**
 * From when on a token in use is refreshed, by the monotonic clock, milliseconds: as long ahead as the
 * rules say but not before half of the time that it is served, or when Entra says if that is sooner.
 *
 * @param spread 0 to 1: which moment of the window, so that what was obtained in one minute is not
 *   refreshed in one minute.
 */
export function refreshAtMs(token: CachedToken, rules: RefreshRules, spread: number): number {
  const aheadMs = (rules.refreshAheadSeconds - rules.minRemainingSeconds) * 1000
  const fromMs = obtainedAtMs(token)
  const untilMs = servedUntilMs(token, rules)
  const ownMs = Math.max(untilMs - aheadMs, (fromMs + untilMs) / 2)
  const entrasMs = fromMs + (token.refreshInSeconds ?? Infinity) * 1000
  const beginMs = Math.min(ownMs, entrasMs)
  return Math.floor(beginMs + spread * spreadShare * Math.min(aheadMs, untilMs - beginMs))
}

/** By the monotonic clock, milliseconds. */
export const obtainedAtMs = ({
  expiry,
  lifetimeSeconds,
}: Pick<CachedToken, 'expiry' | 'lifetimeSeconds'>) => expiry.monotonicMs - lifetimeSeconds * 1000

/** By the monotonic clock, milliseconds. */
export const servedUntilMs = (
  { expiry }: Pick<CachedToken, 'expiry'>,
  { minRemainingSeconds }: RefreshRules,
) => expiry.monotonicMs - minRemainingSeconds * 1000

const firstPauseMs = 15_000
const pauseMaxMs = 240_000
const triesMax = 10

/** Enough for what a refresh runs into to have changed a little. */
const pauseMinMs = 1_000

/**
 * How long a token is left alone after so many refreshes that failed; undefined: for good. No longer than half of the
 * time that it is still served, but for a second at least, so that it is tried again before its callers have to wait.
 *
 * @param servedForMs As of now, 0 or less when it is served no more.
 */
export function pauseAfterMs(failures: number, servedForMs: number): number | undefined {
  if (failures >= triesMax) return undefined
  const pauseMs = Math.min(firstPauseMs * 2 ** (failures - 1), pauseMaxMs)
  return servedForMs > 0 ? Math.min(pauseMs, Math.max(pauseMinMs, servedForMs / 2)) : pauseMs
}
