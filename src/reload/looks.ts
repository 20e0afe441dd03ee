/**
 * One look at a time: whoever asks while one is under way has one that begins after it, and all that ask
 * meanwhile share it.
 */
export function createLooks(lookOnce: () => Promise<void>): () => Promise<void> {
  let latest: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined
  return () => {
    waiting ??= latest
      .catch(() => undefined)
      .then(() => {
        waiting = undefined
        latest = lookOnce()
        return latest
      })
    return waiting
  }
}
