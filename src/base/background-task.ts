/** Something that is done again and again beside the requests. */
export interface BackgroundTask {
  /** Ends the repetition; resolves when a run that is under way has ended. */
  stop(): Promise<void>
}

/**
 * Runs `task` every `everyMs`, never twice at once. A run that fails is reported and does not end the
 * repetition; it keeps no process alive.
 */
export function startBackgroundTask(
  everyMs: number,
  task: () => Promise<void>,
  onFailure: (error: unknown) => void,
): BackgroundTask {
  let running: Promise<void> | undefined
  const timer = setInterval(() => {
    running ??= task()
      .catch(onFailure)
      .finally(() => {
        running = undefined
      })
  }, everyMs)
  timer.unref()
  return {
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
