/**
 * Runs something that can be aborted, and aborts it when its time is up, with an error whose name is
 * `TimeoutError`. The timer ends with the work: under load, timers that outlive it by seconds cost
 * more than the work does.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const timer = setTimeout(() => {
    controller.abort(new DOMException('the deadline has passed', 'TimeoutError'))
  }, timeoutMs)
  try {
    return await act(controller.signal)
  } finally {
    clearTimeout(timer)
  }
}
