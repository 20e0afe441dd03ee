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
  let failure: { readonly error: unknown; readonly atMs: number } | undefined

  const attempt = async () => {
    try {
      return await act()
    } catch (error) {
      failure = { error, atMs: clock.nowMs() }
      throw error
    } finally {
      running = undefined
    }
  }

  return async () => {
    if (running !== undefined) return running
    const elapsedMs = failure === undefined ? pauseMs : clock.nowMs() - failure.atMs
    // Negative when the clock was set back, which must not make it longer.
    if (failure !== undefined && elapsedMs >= 0 && elapsedMs < pauseMs) throw failure.error
    running = attempt()
    return running
  }
}
