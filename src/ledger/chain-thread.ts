import { Worker } from 'node:worker_threads'
import type { Link } from './chain.ts'
import { portionMemory, PortionWriter } from './chain-portion.ts'
import type { PlacedFault, PortionChecked, PortionToCheck } from './chain-worker.ts'

/** Source runs by type stripping and finds `.ts`; the build leaves `.js`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './chain-worker.ts' : './chain-worker.js',
  import.meta.url,
)

export const startChainWorker = (): Worker => new Worker(workerUrl)

/** Portions that may wait to be checked, half a megabyte each: as many as are packed while the thread starts. */
const portionsMax = 8

/** A thread that checks portions of a chain, a bounded number of them behind whoever packs them. */
export class ChainThread {
  readonly #worker: Worker
  readonly #found: (found: PlacedFault) => void
  readonly #free = Array.from({ length: portionsMax }, portionMemory)
  #failure: Error | undefined
  /** Of whoever waits for an answer. */
  #wake = () => {}

  /** @param found Is told the first fault of every portion that has one. */
  constructor(worker: Worker, found: (found: PlacedFault) => void) {
    this.#worker = worker
    this.#found = found
    worker.on('message', (checked: PortionChecked) => {
      this.#free.push(checked.memory)
      if (checked.found !== undefined) this.#found(checked.found)
      this.#wake()
    })
    worker.on('error', (cause) => {
      this.#fail(new Error('the thread that checks the chain of the ledger has failed', { cause }))
    })
    worker.on('exit', () => {
      this.#fail(new Error('the thread that checks the chain of the ledger has ended'))
    })
  }

  get isBusy(): boolean {
    return this.#free.length === 0
  }

  /**
   * The next portion.
   *
   * @param behind What its first row is to continue.
   * @returns Undefined when as many wait as may, or this has no room in any.
   */
  begin(behind: Link): PortionWriter | undefined {
    const memory = this.#free.pop()
    if (memory === undefined) return undefined
    const portion = new PortionWriter(memory)
    if (portion.begin(behind)) return portion
    this.#free.push(memory)
    return undefined
  }

  /** @param place Of the first row. */
  check({ memory, rows }: PortionWriter, place: number): void {
    const portion: PortionToCheck = { memory, rows, place }
    this.#worker.postMessage(portion)
  }

  /**
   * Until another portion may be begun.
   *
   * @throws Error when the thread has failed or ended.
   */
  caughtUp(): Promise<void> {
    return this.#until(1)
  }

  /** Until all are checked. */
  settled(): Promise<void> {
    return this.#until(portionsMax)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  async #until(free: number): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#free.length >= free) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #fail(failure: Error): void {
    this.#failure ??= failure
    this.#wake()
  }
}
