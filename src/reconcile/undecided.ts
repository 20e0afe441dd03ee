import type { Undecided, UndecidedReason } from './finding.ts'

/** What could not be decided, by reason: a count and the times between which it lies. */
export class UndecidedCounts {
  readonly #counts = new Map<UndecidedReason, { count: number; fromMs: number; toMs: number }>()

  add(reason: UndecidedReason, timeMs: number): void {
    const { count, fromMs, toMs } = this.#counts.get(reason) ?? {
      count: 0,
      fromMs: Infinity,
      toMs: -Infinity,
    }
    this.#counts.set(reason, {
      count: count + 1,
      fromMs: Math.min(fromMs, timeMs),
      toMs: Math.max(toMs, timeMs),
    })
  }

  list(): readonly Undecided[] {
    return [...this.#counts].map(([reason, counted]) => ({ reason, ...counted }))
  }
}
