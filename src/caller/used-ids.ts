import type { Clock } from '../base/clock.ts'

/**
 * Remembers what may be used once. Safe for concurrent calls: of all that use one id at one moment, one
 * is first.
 */
export interface UsedIds {
  /**
   * @param id Unguessable, or made unique by who uses it.
   * @param forSeconds How long it is remembered at least.
   * @param by Who uses it: whoever was first with it stays first, and is known by being the same object.
   * @returns `full` where it cannot be remembered: whoever asks must not go on.
   */
  use(id: string, forSeconds: number, by: object): Promise<'first' | 'again' | 'full'>
}

/**
 * The memory of this process alone: another replica takes once more what was used here. What has been
 * remembered is not forgotten for something new before its time.
 */
export function createMemoryUsedIds(clock: Clock, entriesMax: number): UsedIds {
  const forgottenAtMs = new Map<string, number>()
  const usedBy = new WeakMap<object, string>()
  /** In the order of their use, which is nearly the order of their ends. */
  const forget = (nowMs: number) => {
    for (const [id, atMs] of forgottenAtMs) {
      if (atMs > nowMs) return
      forgottenAtMs.delete(id)
    }
  }
  const use = (id: string, forSeconds: number, by: object) => {
    const nowMs = clock.monotonicMs()
    forget(nowMs)
    if ((forgottenAtMs.get(id) ?? -Infinity) > nowMs) {
      return usedBy.get(by) === id ? 'first' : 'again'
    }
    if (forgottenAtMs.size >= entriesMax) return 'full'
    forgottenAtMs.delete(id)
    forgottenAtMs.set(id, nowMs + forSeconds * 1000)
    usedBy.set(by, id)
    return 'first'
  }
  return { use: (id, forSeconds, by) => Promise.resolve(use(id, forSeconds, by)) }
}
