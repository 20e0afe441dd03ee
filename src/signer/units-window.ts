import { budgetWindowMs } from './key-units.ts'

/** Units that count: those under way, and by millisecond those whose 10 s have begun. */
export class UnitsWindow {
  taken = 0
  readonly #asked: { readonly untilMs: number; units: number }[] = []
  #askedUnits = 0

  add(units: number, nowMs: number): void {
    this.#forget(nowMs)
    const untilMs = nowMs + budgetWindowMs
    const last = this.#asked.at(-1)
    if (last?.untilMs === untilMs) last.units += units
    else this.#asked.push({ untilMs, units })
    this.#askedUnits += units
  }

  used(nowMs: number): number {
    return this.taken + this.#askedUnits - sumOf(this.#asked.slice(0, this.#over(nowMs)))
  }

  /** Until so many that count now do so no more. Those under way have 10 s before them, at least. */
  waitMs(units: number, nowMs: number): number {
    if (units <= 0) return 0
    let left = units
    for (const asked of this.#asked.slice(this.#over(nowMs))) {
      left -= asked.units
      if (left <= 0) return asked.untilMs - nowMs + 1
    }
    return budgetWindowMs + 1
  }

  /** How many do not count any more. Clocks show whole milliseconds, so the last one still counts. */
  #over(nowMs: number): number {
    const first = this.#asked.findIndex(({ untilMs }) => untilMs >= nowMs)
    return first === -1 ? this.#asked.length : first
  }

  #forget(nowMs: number): void {
    this.#askedUnits -= sumOf(this.#asked.splice(0, this.#over(nowMs)))
  }
}

const sumOf = (asked: readonly { readonly units: number }[]) =>
  asked.reduce((total, { units }) => total + units, 0)
