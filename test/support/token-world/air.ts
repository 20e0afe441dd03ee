/** What is under way between replicas and what they ask, requests and replies, until the test lets it go on. */
export interface Air {
  /** Resolves when it may go on. @throws whatever the test has it fail with. */
  pass(): Promise<void>
  /** Lets the n-th go on, counted around; nothing when there is none. */
  letGo(nth: number): void
  /** Likewise. */
  fail(nth: number, error: Error): void
  readonly count: number
}

export function createAir(): Air {
  const underWay: PromiseWithResolvers<undefined>[] = []
  const take = (nth: number) => underWay.splice(nth % Math.max(1, underWay.length), 1)[0]
  return {
    pass: () => {
      const one = Promise.withResolvers<undefined>()
      underWay.push(one)
      return one.promise
    },
    letGo: (nth) => take(nth)?.resolve(undefined),
    fail: (nth, error) => take(nth)?.reject(error),
    get count() {
      return underWay.length
    },
  }
}
