import type { Worker } from 'node:worker_threads'
import { chainFault, genesis } from './chain.ts'
import type { Link, Row } from './chain.ts'
import type { PortionWriter } from './chain-portion.ts'
import { ChainThread, startChainWorker } from './chain-thread.ts'
import type { PlacedFault } from './chain-worker.ts'

export interface ChainCheckOptions {
  /** As many are checked at once, before a thread is started for the others; 10,000 unless said: it costs as much. */
  readonly rowsAtOnce?: number
  readonly startWorker?: () => Worker
}

/**
 * Finds the first fault of a chain while its rows are read for something else. What many rows hold is checked by a
 * thread of its own, beside that: wait for `caughtUp` after some thousands of rows or where `isAhead` says so, for
 * `settled` before the fault, and `end` it in any case.
 */
export class ChainCheck {
  readonly #rowsAtOnce: number
  readonly #startWorker: () => Worker
  #thread: ChainThread | undefined
  #tip: Link = genesis
  #rows = 0
  #open: PortionWriter | undefined
  /** Of its first row. */
  #openFrom = 0
  #found: PlacedFault | undefined

  constructor({ rowsAtOnce = 10_000, startWorker = startChainWorker }: ChainCheckOptions = {}) {
    this.#rowsAtOnce = rowsAtOnce
    this.#startWorker = startWorker
  }

  /** The next row is to continue this, and not the row before it. */
  continueFrom(link: Link): void {
    this.#handOn()
    this.#tip = link
  }

  take(row: Row): void {
    const place = this.#rows
    this.#rows += 1
    // Of those that come first by their places one is enough.
    if (this.#found === undefined && !this.#pack(row, place)) {
      this.#handOn()
      const fault = chainFault(this.#tip, row)
      if (fault !== undefined) this.#find({ place, fault })
    }
    this.#tip = row
  }

  /** More rows would be checked at once, until it has caught up. */
  get isAhead(): boolean {
    return this.#open === undefined && this.#thread?.isBusy === true
  }

  /** The first of all, once it is settled. */
  get found(): PlacedFault | undefined {
    return this.#found
  }

  /** @throws Error when the thread has failed or ended. */
  async caughtUp(): Promise<void> {
    await this.#thread?.caughtUp()
  }

  /** @throws Error likewise. */
  async settled(): Promise<void> {
    this.#handOn()
    await this.#thread?.settled()
  }

  async end(): Promise<void> {
    await this.#thread?.end()
  }

  /** False when it has to be checked at once. */
  #pack(row: Row, place: number): boolean {
    if (place < this.#rowsAtOnce) return false
    this.#open ??= this.#begin(place)
    if (this.#open?.add(row) !== true) return false
    if (this.#open.isFull) this.#handOn()
    return true
  }

  #begin(place: number): PortionWriter | undefined {
    this.#thread ??= new ChainThread(this.#startWorker(), (found) => {
      this.#find(found)
    })
    this.#openFrom = place
    return this.#thread.begin(this.#tip)
  }

  #handOn(): void {
    if (this.#open !== undefined) this.#thread?.check(this.#open, this.#openFrom)
    this.#open = undefined
  }

  #find(found: PlacedFault): void {
    if (this.#found === undefined || found.place < this.#found.place) this.#found = found
  }
}
