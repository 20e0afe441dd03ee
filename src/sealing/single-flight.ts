import type { Clock } from '../base/clock.ts'

/**
 * One flight for all who ask meanwhile. When it fails, the failure is the answer for a while: nobody
 * should wait, one after the other, for a vault that is away.
 */
export function createSingleFlight<T>(
  { clock, pauseMs }: { readonly clock: Clock; readonly pauseMs: number },
  act: () => Promise<T>,
): () => Promise<T> {
  let underWay: Promise<T> | undefined
  let failure: { readonly error: unknown; readonly atMonotonicMs: number } | undefined

  const fly = async () => {
    try {
      return await act()
    } catch (error) {
      failure = { error, atMonotonicMs: clock.monotonicMs() }
      throw error
    } finally {
      underWay = undefined
    }
  }

  return async () => {
    if (underWay !== undefined) return underWay
    if (failure !== undefined && clock.monotonicMs() - failure.atMonotonicMs < pauseMs) {
      throw failure.error
    }
    underWay = fly()
    return underWay
  }
}
