/** Few texts that many rows repeat, as numbers. */
export class Names {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** The last number stands for all that are too many: a ledger of ours has a handful. */
  numberOf(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    if (this.#names.length > this.#max) return this.#max
    this.#numbers.set(name, this.#names.length)
    this.#names.push(name)
    return this.#names.length - 1
  }

  name(number: number): string {
    return this.#names[number] ?? ''
  }
}
