import { evidenceMax } from '../kept-evidence.ts'

/** Entries that no earlier round has read, and that say they are of a time that was decided then. */
export interface WrittenLate {
  /** Of the oldest of them; `Infinity` where there is none. */
  readonly fromMs: number
  isAbout(signature: string): boolean
  /** Whether one of them says that it happened then. */
  happenedAt(atMs: number): boolean
}

/** As they are read. Where there are more than are kept, any may be one of them. */
export class LateEntries implements WrittenLate {
  fromMs = Infinity
  readonly #keptMax: number
  readonly #signatures = new Set<string>()
  readonly #timesMs = new Set<number>()
  #isComplete = true

  constructor(keptMax = evidenceMax) {
    this.#keptMax = keptMax
  }

  add(signature: string, atMs: number): void {
    this.fromMs = Math.min(this.fromMs, atMs)
    this.#isComplete &&= this.#signatures.size < this.#keptMax || this.#signatures.has(signature)
    if (!this.#isComplete) return
    this.#signatures.add(signature)
    this.#timesMs.add(atMs)
  }

  isAbout(signature: string): boolean {
    return !this.#isComplete || this.#signatures.has(signature)
  }

  happenedAt(atMs: number): boolean {
    return !this.#isComplete || this.#timesMs.has(atMs)
  }
}
