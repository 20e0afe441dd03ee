import type { Clock } from '../base/clock.ts'

/**
 * Remembers what may be used once. Safe for concurrent calls: of all that use one id at one moment, one
 * is first.
 */
export interface UsedIds {
  /**
   * @param holder Whoever has used it: nobody fills the memory for all.
   * @param id Unguessable, or made unique by who uses it.
   * @param forSeconds How long it is remembered at least.
   * @param by Who uses it: whoever was first with it stays first, and is known by being the same object.
   * @returns `full` where it cannot be remembered: whoever asks must not go on.
   */
  use(
    holder: string,
    id: string,
    forSeconds: number,
    by: object,
  ): Promise<'first' | 'again' | 'full'>
}

/**
 * The memory of this process alone: another replica takes once more what was used here. What has been
 * remembered is not forgotten for something new before its time.
 *
 * A holder may have as many as are free at most. So one alone has half of the memory, two a third each, and
 * however many there are, the next one finds as much room as each of them has.
 */
export function createMemoryUsedIds(clock: Clock, entriesMax: number): UsedIds {
  const forgottenAtMs = new Map<string, { readonly holder: string; readonly atMs: number }>()
  const held = new Map<string, number>()
  const add = (holder: string, count: 1 | -1) => {
    const now = (held.get(holder) ?? 0) + count
    if (now === 0) held.delete(holder)
    else held.set(holder, now)
  }
  const usedBy = new WeakMap<object, string>()
  /** In the order of their use, which is nearly the order of their ends. */
  const forget = (nowMs: number) => {
    for (const [id, { holder, atMs }] of forgottenAtMs) {
      if (atMs > nowMs) return
      forgottenAtMs.delete(id)
      add(holder, -1)
    }
  }
  const use = (holder: string, id: string, forSeconds: number, by: object) => {
    const nowMs = clock.monotonicMs()
    forget(nowMs)
    const before = forgottenAtMs.get(id)
    if (before !== undefined && before.atMs > nowMs) {
      return usedBy.get(by) === id ? 'first' : 'again'
    }
    if ((held.get(holder) ?? 0) >= entriesMax - forgottenAtMs.size) return 'full'
    if (before === undefined) add(holder, 1)
    // What ended behind one that lasts longer goes to its new place in the order.
    forgottenAtMs.delete(id)
    forgottenAtMs.set(id, { holder, atMs: nowMs + forSeconds * 1000 })
    usedBy.set(by, id)
    return 'first'
  }
  return { use: (holder, id, forSeconds, by) => Promise.resolve(use(holder, id, forSeconds, by)) }
}
