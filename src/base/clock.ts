/** The only source of time in the product. */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC. */
  nowMs(): number
  /** Whole seconds since the Unix epoch, UTC, rounded down (RFC 7519 §2, NumericDate). */
  nowSeconds(): number
  /**
   * Milliseconds since some moment before the process used them: for intervals. Never goes back, and
   * nobody can set it; it may stand still while the machine sleeps.
   */
  monotonicMs(): number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowSeconds: () => Math.floor(Date.now() / 1000),
  monotonicMs: () => performance.now(),
}

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
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}
