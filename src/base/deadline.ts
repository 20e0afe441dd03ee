/**
 * Runs something that can be aborted, and ends when its time is up with an error whose name is
 * `TimeoutError`, whatever the work does: some credentials ignore the signal. What the work still
 * comes to is then nobody's.
 *
 * The timer ends with the work: under load, timers that outlive it by seconds cost more than the work.
 */
export async function withDeadline<T>(
  timeoutMs: number,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const error = new DOMException('the deadline has passed', 'TimeoutError')
    late.reject(error)
    controller.abort(error)
  }, timeoutMs)
  try {
    return await Promise.race([act(controller.signal), late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Runs something, and ends with the signal's reason when that is aborted, whatever the work does: see
 * {@link withDeadline}.
 */
export async function stoppable<T>(stop: AbortSignal, act: () => Promise<T>): Promise<T> {
  stop.throwIfAborted()
  const stopped = Promise.withResolvers<never>()
  const onAbort = () => {
    stopped.reject(stop.reason as Error)
  }
  stop.addEventListener('abort', onAbort)
  try {
    return await Promise.race([act(), stopped.promise])
  } finally {
    stop.removeEventListener('abort', onAbort)
  }
}

/** Whether the promise settles, either way, before the time is over; it goes on by itself if not. */
export async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: isOver, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(resolve, ms, false)
  const settled = () => {
    resolve(true)
  }
  promise.then(settled, settled)
  try {
    return await isOver
  } finally {
    clearTimeout(timer)
  }
}

/** Aborted as soon as one of them is. */
export const eitherOf = (one: AbortSignal, other: AbortSignal | undefined): AbortSignal =>
  other === undefined ? one : AbortSignal.any([one, other])
