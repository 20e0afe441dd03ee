import type { Clock } from '../../src/base/clock.ts'
import { createMemoryTokenCache } from '../../src/token-cache/memory-token-cache.ts'

/** A cache of one process that has room for all that a test puts into it. */
export const roomyTokenCache = (clock: Clock) =>
  createMemoryTokenCache({
    clock,
    bytesMax: 1024 * 1024,
    minRemainingSeconds: 300,
    refreshAheadSeconds: 1200,
    onEvicted: () => undefined,
  })
