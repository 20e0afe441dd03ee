/** Counts work that goes on whoever waits for it, so that an end can wait for it. */
export interface UnderWay {
  during<T>(work: () => Promise<T>): Promise<T>
  /** The same for work that says itself when it ends. */
  begin(): void
  /** Once for each {@link UnderWay.begin}. */
  end(): void
  readonly count: number
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

export function createUnderWay(): UnderWay {
  const waiting: (() => void)[] = []
  let count = 0
  const begin = () => {
    count += 1
  }
  const end = () => {
    count -= 1
    if (count === 0) for (const resolve of waiting.splice(0)) resolve()
  }
  return {
    during: async (work) => {
      begin()
      try {
        return await work()
      } finally {
        end()
      }
    },
    begin,
    end,
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
