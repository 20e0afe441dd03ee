import type { Clock } from '../base/clock.ts'

/**
 * One attempt for all who ask meanwhile. When it fails, the failure is the answer for a while: nobody
 * should wait, one after the other, for a vault that is away.
 */
export function createSharedAttempt<T>(
  { clock, pauseMs }: { readonly clock: Clock; readonly pauseMs: number },
  act: () => Promise<T>,
): () => Promise<T> {
  let running: Promise<T> | undefined
  let failure: { readonly error: unknown; readonly atMonotonicMs: number } | undefined

  const attempt = async () => {
    try {
      return await act()
    } catch (error) {
      failure = { error, atMonotonicMs: clock.monotonicMs() }
      throw error
    } finally {
      running = undefined
    }
  }

  return async () => {
    if (running !== undefined) return running
    if (failure !== undefined && clock.monotonicMs() - failure.atMonotonicMs < pauseMs) {
      throw failure.error
    }
    running = attempt()
    return running
  }
}
