/** So much evidence is kept of each kind; who has more has another problem than which of them it is. */
export const evidenceMax = 100_000

/** Items by identity, each once, up to a bound: the others are counted. */
export class KeptEvidence<Item> {
  readonly #items = new Map<string, Item>()
  #repeated = 0
  #left = 0

  /** False when it came before. */
  add(identity: string, item: Item): boolean {
    if (this.#items.has(identity)) {
      this.#repeated += 1
      return false
    }
    if (this.#items.size < evidenceMax) this.#items.set(identity, item)
    else this.#left += 1
    return true
  }

  remove(identity: string): void {
    this.#items.delete(identity)
  }

  get items(): readonly Item[] {
    return [...this.#items.values()]
  }

  /** How many came again. */
  get repeated(): number {
    return this.#repeated
  }

  /** How many were not kept. */
  get left(): number {
    return this.#left
  }
}
