import { Worker } from 'node:worker_threads'
import { canonicalEntry } from './chain.ts'
import type { Entry } from './entry.ts'
import { LedgerFileError } from './ledger-file.ts'
import { LedgerError } from './ledger.ts'
import type { Ledger, LedgerErrorCode } from './ledger.ts'
import type { FromWorker, ToWorker, WorkerInput } from './sqlite-ledger-worker.ts'

export interface SqliteLedgerOptions {
  /** Created when it is not there. On a local disk: SQLite's locks do not hold on network file systems. */
  readonly file: string
  /** Entries that may wait for their commit; 50,000 unless said, some 30 MB of them. */
  readonly waitingEntriesMax?: number
  /** A commit that takes longer counts as failed; 10 s unless said: a disk that slow serves nobody. */
  readonly commitTimeoutMs?: number
}

/**
 * Opens the ledger of one process, in a SQLite file. Entries that are appended while a commit runs
 * share the next one.
 *
 * @throws LedgerFileError when the file is in use, is no ledger, or its tip does not verify.
 */
export async function createSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger> {
  const { file, waitingEntriesMax = 50_000, commitTimeoutMs = 10_000 } = options
  const worker = new Worker(workerUrl, { workerData: { file } satisfies WorkerInput })
  await opened(worker)
  return new SqliteLedger(worker, waitingEntriesMax, commitTimeoutMs)
}

/** Source runs by type stripping and finds `.ts`; the build leaves `.js`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './sqlite-ledger-worker.ts' : './sqlite-ledger-worker.js',
  import.meta.url,
)

function opened(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject)
      if (message.kind === 'opened') resolve()
      if (message.kind === 'refused') reject(new LedgerFileError(message.code, message.message))
    })
  })
}

interface Append {
  readonly canonicalEntries: readonly string[]
  readonly resolve: (durable: undefined) => void
  readonly reject: (error: LedgerError) => void
}

class SqliteLedger implements Ledger {
  readonly #worker: Worker
  readonly #exited: Promise<void>
  readonly #waitingEntriesMax: number
  readonly #commitTimeoutMs: number
  /** What the worker commits now: one commit at a time, so the order of appends is the order of entries. */
  #committing: readonly Append[] = []
  #commitDeadline: NodeJS.Timeout | undefined
  /** What the next commit will hold. */
  #waiting: Append[] = []
  #sendIsScheduled = false
  /** Of both. */
  #unsettledEntries = 0
  #lastAccepted: Promise<undefined> = Promise.resolve(undefined)
  /** What every append is told from now on; undefined while the ledger works. */
  #refusal: { readonly code: LedgerErrorCode; readonly cause?: unknown } | undefined
  #closed: Promise<void> | undefined

  constructor(worker: Worker, waitingEntriesMax: number, commitTimeoutMs: number) {
    this.#worker = worker
    this.#waitingEntriesMax = waitingEntriesMax
    this.#commitTimeoutMs = commitTimeoutMs
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#fail(new Error('the thread that writes the ledger has ended'))
        resolve()
      })
    })
    worker.on('error', (error) => {
      this.#fail(error)
    })
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'committed') this.#committed()
      if (message.kind === 'failed') this.#fail(message.cause)
    })
  }

  async append(entries: readonly Entry[]): Promise<void> {
    this.#assertRoomFor(entries.length)
    const canonicalEntries = entries.map(canonicalEntry)
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    this.#waiting.push({ canonicalEntries, resolve, reject })
    this.#unsettledEntries += entries.length
    this.#lastAccepted = promise
    this.#sendWhenIdle()
    await promise
  }

  healthy(): boolean {
    return this.#refusal === undefined
  }

  close(): Promise<void> {
    this.#closed ??= this.#drainAndEnd()
    return this.#closed
  }

  async #drainAndEnd(): Promise<void> {
    this.#refusal ??= { code: 'LEDGER_CLOSED' }
    await Promise.allSettled([this.#lastAccepted])
    this.#post('close')
    await this.#exited
  }

  #assertRoomFor(count: number): void {
    if (this.#refusal !== undefined) {
      throw new LedgerError(this.#refusal.code, { cause: this.#refusal.cause })
    }
    if (this.#unsettledEntries + count > this.#waitingEntriesMax) {
      throw new LedgerError('LEDGER_OVERLOADED')
    }
  }

  /** Not at once: all that this turn of the event loop appends shares the commit. */
  #sendWhenIdle(): void {
    if (this.#sendIsScheduled || this.#committing.length > 0) return
    this.#sendIsScheduled = true
    setImmediate(() => {
      this.#sendIsScheduled = false
      this.#send()
    })
  }

  #send(): void {
    if (this.#waiting.length === 0) return
    this.#committing = this.#waiting
    this.#waiting = []
    this.#post({ commit: this.#committing.flatMap((append) => append.canonicalEntries) })
    this.#commitDeadline = setTimeout(() => {
      this.#fail(new Error(`a commit took longer than ${this.#commitTimeoutMs} ms`))
    }, this.#commitTimeoutMs)
  }

  #committed(): void {
    clearTimeout(this.#commitDeadline)
    const durable = this.#committing
    this.#committing = []
    // The disk works while the appends are settled.
    this.#send()
    for (const { canonicalEntries, resolve } of durable) {
      this.#unsettledEntries -= canonicalEntries.length
      resolve(undefined)
    }
  }

  /** The disk may hold what was being committed, or not: nobody may act on it, nothing may follow it. */
  #fail(cause: unknown): void {
    clearTimeout(this.#commitDeadline)
    this.#refusal ??= { code: 'LEDGER_UNAVAILABLE', cause }
    const failed = [...this.#committing, ...this.#waiting]
    this.#committing = []
    this.#waiting = []
    this.#unsettledEntries = 0
    for (const { reject } of failed) reject(new LedgerError('LEDGER_UNAVAILABLE', { cause }))
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message)
  }
}
