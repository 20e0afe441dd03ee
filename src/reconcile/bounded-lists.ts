import { IdIndex } from './id-index.ts'
import type { ListView } from './report-view.ts'

/** Of each list. */
const listedMax = 2000
/** Attempts and signatures that are under way at a time; whoever waits longer has been forgotten. */
const underWayMax = 20_000

/** The first so many of something, by key. */
export class FirstSoMany<Item> {
  readonly #max: number
  readonly #items = new Map<string, Item>()
  #isFull = false

  constructor(max: number) {
    this.#max = max
  }

  /** The one that is there, or a new one; undefined when there is no room for it. */
  at(key: string, create: () => Item): Item | undefined {
    const known = this.#items.get(key)
    if (known !== undefined || !this.#hasRoom()) return known
    const created = create()
    this.#items.set(key, created)
    return created
  }

  all(): Iterable<Item> {
    return this.#items.values()
  }

  list(order: (one: Item, other: Item) => number): ListView<Item> {
    return {
      shown: [...this.#items.values()].sort(order).slice(0, listedMax),
      count: this.#items.size,
      ...(this.#isFull ? { atLeast: true } : {}),
    }
  }

  #hasRoom(): boolean {
    if (this.#items.size < this.#max) return true
    this.#isFull = true
    return false
  }
}

/** Those that end last, by key, and how many there are in all. */
export class LongestLiving<Item extends { readonly expiresMs: number }> {
  readonly #keys = new IdIndex()
  readonly #items = new Map<string, Item>()
  /** What ends no later than that has no place in the list. */
  #floorMs = -Infinity

  put(key: string, item: Item): void {
    this.#keys.add(key)
    if (item.expiresMs <= this.#floorMs) return
    this.#items.set(key, item)
    if (this.#items.size >= listedMax * 2) this.#letGo()
  }

  list(): ListView<Item> {
    return { shown: this.#longest().map(([, item]) => item), count: this.#keys.size }
  }

  #longest(): readonly (readonly [string, Item])[] {
    return [...this.#items]
      .sort(([, one], [, other]) => other.expiresMs - one.expiresMs)
      .slice(0, listedMax)
  }

  #letGo(): void {
    const kept = this.#longest()
    this.#items.clear()
    for (const [key, item] of kept) this.#items.set(key, item)
    this.#floorMs = kept.at(-1)?.[1].expiresMs ?? this.#floorMs
  }
}

/** The last so many of something that is waited for. */
export class LastSoMany<Item> {
  readonly #items = new Map<string, Item>()

  get(key: string): Item | undefined {
    return this.#items.get(key)
  }

  take(key: string): Item | undefined {
    const item = this.#items.get(key)
    this.#items.delete(key)
    return item
  }

  set(key: string, item: Item): void {
    this.#items.set(key, item)
    if (this.#items.size <= underWayMax) return
    const [oldest = ''] = this.#items.keys()
    this.#items.delete(oldest)
  }
}
