/**
 * `timeout`, npm and a terminal's process groups tell a process what they tell its group too, so that it hears
 * one request to stop twice. Whoever presses Ctrl-C again because nothing happens takes longer.
 */
const sameRequestMs = 1000

/**
 * Aborted by the first SIGTERM or SIGINT. Whichever comes within a second is the same request; a later one ends the
 * process as if we were not here.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const signals = ['SIGTERM', 'SIGINT'] as const
  const onSignal = () => {
    if (controller.signal.aborted) return
    controller.abort()
    setTimeout(() => {
      for (const signal of signals) process.off(signal, onSignal)
    }, sameRequestMs).unref()
  }
  for (const signal of signals) process.on(signal, onSignal)
  return controller.signal
}

/** Resolves when it is aborted, or at once when it is already. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => {
      resolve()
    })
  })
