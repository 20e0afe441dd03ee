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

/** What the promise comes to, or the signal's reason when it is aborted before; the work is then nobody's. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => {
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
