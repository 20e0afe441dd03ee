/** Counts work that goes on whoever waits for it, so that an end can wait for it. */
export interface UnderWay {
  during<T>(work: () => Promise<T>): Promise<T>
  readonly count: number
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

export function createUnderWay(): UnderWay {
  const waiting: (() => void)[] = []
  let count = 0
  return {
    during: async (work) => {
      count += 1
      try {
        return await work()
      } finally {
        count -= 1
        if (count === 0) for (const resolve of waiting.splice(0)) resolve()
      }
    },
    get count() {
      return count
    },
    idle: () =>
      count === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push(resolve)
          }),
  }
}
