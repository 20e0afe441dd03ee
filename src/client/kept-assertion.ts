import { atLeastMsUntil, instantNow, laterBy, type Clock, type Instant } from '../base/clock.ts'

/** An assertion, and how long it lives from the moment it was asked for. */
export interface FetchedAssertion {
  readonly assertion: string
  readonly expiresInSeconds: number
}

/** What a token request, with its own retries, has left when it begins; short lives keep three quarters. */
const remainingMinMs = 60_000

/**
 * One assertion for everybody who asks, until it gets old; then one request for another, whoever waits for it. A
 * failure is told to those who wait, and the next one asks again. There is no timer: nothing holds a program open.
 */
export function keepAssertion(
  fetchAssertion: () => Promise<FetchedAssertion>,
  clock: Clock,
): () => Promise<string> {
  let kept: { readonly assertion: string; readonly goodUntil: Instant } | undefined
  let underWay: Promise<string> | undefined

  const renew = async () => {
    const askedAt = instantNow(clock)
    const { assertion, expiresInSeconds } = await fetchAssertion()
    const lifeMs = expiresInSeconds * 1000
    const goodForMs = lifeMs - Math.min(remainingMinMs, lifeMs / 4)
    kept = { assertion, goodUntil: laterBy(goodForMs, askedAt) }
    return assertion
  }

  return async () => {
    if (kept !== undefined && atLeastMsUntil(kept.goodUntil, clock) > 0) return kept.assertion
    underWay ??= renew().finally(() => {
      underWay = undefined
    })
    return underWay
  }
}
