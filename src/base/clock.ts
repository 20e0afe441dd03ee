/**
 * The only source of time in the product. The wall clock is for moments that are told to others or
 * compared with theirs; it can be set at any time, forward or back. What passes between two moments of
 * our own is measured by the monotonic one; what depends on both has an {@link Instant}.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC, by the wall clock. */
  nowMs(): number
  /** Whole seconds since the Unix epoch, UTC, rounded down (RFC 7519 §2, NumericDate). */
  nowSeconds(): number
  /**
   * Milliseconds, with a fraction, since a moment that means nothing. Never goes back, whatever is
   * done to the wall clock; while the machine sleeps it may stand still.
   */
  monotonicMs(): number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowSeconds: () => Math.floor(Date.now() / 1000),
  monotonicMs: () => performance.now(),
}

/**
 * One moment, past or to come, on both scales: nobody knows which of them is wrong after the wall
 * clock was set or the machine slept, so what is trusted is held to the stricter one.
 */
export interface Instant {
  /** Milliseconds since the Unix epoch, UTC. */
  readonly ms: number
  /** As {@link Clock.monotonicMs} would tell it. */
  readonly monotonicMs: number
}

export const instantNow = (clock: Clock): Instant => ({
  ms: clock.nowMs(),
  monotonicMs: clock.monotonicMs(),
})

export const laterBy = (ms: number, instant: Instant): Instant => ({
  ms: instant.ms + ms,
  monotonicMs: instant.monotonicMs + ms,
})

/** What has surely passed since: for what must be over. Negative when it may be still to come. */
export const atLeastMsSince = (instant: Instant, clock: Clock): number =>
  Math.min(clock.nowMs() - instant.ms, clock.monotonicMs() - instant.monotonicMs)

/** What may have passed since: for what must not be trusted too long. */
export const atMostMsSince = (instant: Instant, clock: Clock): number =>
  Math.max(clock.nowMs() - instant.ms, clock.monotonicMs() - instant.monotonicMs)

/** What surely remains until then: for what must last. Negative when it may be over. */
export const atLeastMsUntil = (instant: Instant, clock: Clock): number =>
  -atMostMsSince(instant, clock)

/** Whether that many milliseconds since the Unix epoch are a moment that {@link isoTimeFrom} can name (ECMA-262 §21.4.1.1). */
export const isMomentMs = (ms: number): boolean =>
  Number.isInteger(ms) && Math.abs(ms) <= momentMsMax

const momentMsMax = 8.64e15

/** `2026-11-22T04:56:16.000Z`, for people; ledgers and tokens hold numbers. */
export function isoTimeFrom(ms: number): string {
  return new Date(ms).toISOString()
}

/**
 * Milliseconds since the Unix epoch of an ISO 8601 time with a zone, such as Azure's logs write it
 * (seven decimals are cut to milliseconds); undefined when the text is no such time.
 */
export function parseIsoTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  // V8 reads another time where a fraction of a second has more than nine digits.
  const ms = Date.parse(text.replace(/(\.\d{9})\d+/, '$1'))
  return Number.isNaN(ms) ? undefined : ms
}
