/** The assertions accepted so far, for as long as each could be accepted again. */
export interface ReplayMemory {
  /** Remembers one use. @returns false where the same client used that `jti` before. */
  firstUse(clientId: string, jwtId: string, untilSeconds: number, nowSeconds: number): boolean
}

export function createReplayMemory(): ReplayMemory {
  const untilByUse = new Map<string, number>()
  return {
    firstUse: (clientId, jwtId, untilSeconds, nowSeconds) => {
      for (const [use, until] of untilByUse) if (until < nowSeconds) untilByUse.delete(use)
      const use = JSON.stringify([clientId, jwtId])
      if (untilByUse.has(use)) return false
      untilByUse.set(use, untilSeconds)
      return true
    },
  }
}
