import { Worker } from 'node:worker_threads'
import { settlesWithin } from '../base/deadline.ts'
import type { CommitOutcome, OpenStore, StoreEvents } from './group-commit.ts'
import { LedgerFileError } from './ledger-file.ts'
import type { FromWorker, ToWorker, WorkerInput } from './sqlite-ledger-worker.ts'
import { sift, standingAfter } from './standing-revocations.ts'
import type { PendingAppend, StandingRevocations } from './standing-revocations.ts'

/** Source runs by type stripping and finds `.ts`; the build leaves `.js`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './sqlite-ledger-worker.ts' : './sqlite-ledger-worker.js',
  import.meta.url,
)

/**
 * Starts a thread that opens the file and verifies its tip.
 *
 * @throws LedgerFileError when the file is in use, is no ledger, or its tip does not verify.
 */
export async function startLedgerThread(
  input: WorkerInput,
  events: StoreEvents,
): Promise<LedgerThread> {
  const worker = new Worker(workerUrl, { workerData: input })
  const standing = await opened(worker)
  return new LedgerThread(worker, input.commitTimeoutMs, standing, events)
}

function opened(worker: Worker): Promise<StandingRevocations> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', () => {
      reject(new Error('the thread that opens the ledger has ended'))
    })
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject)
      if (message.kind === 'opened') resolve(message.standing)
      if (message.kind === 'refused') reject(new LedgerFileError(message.code, message.message))
    })
  })
}

const nothingOvertaken: CommitOutcome = { overtaken: new Set(), standing: undefined }

/** Some thousand entries. */
const memoryUsualBytes = 1024 * 1024

/**
 * The thread that owns the file of a ledger until its first failure: one commit at a time. Nobody else
 * writes the file, so which epoch it is in is known here.
 */
export class LedgerThread implements OpenStore {
  readonly standing: StandingRevocations
  readonly #worker: Worker
  readonly #commitTimeoutMs: number
  readonly #events: StoreEvents
  readonly #exited: Promise<void>
  /** What the thread reads entries from. */
  #memory: Buffer = Buffer.alloc(0)
  #deadline: NodeJS.Timeout | undefined
  #isOver = false
  #latest: StandingRevocations
  /** Of the commit that is under way. */
  #outcome: CommitOutcome = nothingOvertaken

  constructor(
    worker: Worker,
    commitTimeoutMs: number,
    standing: StandingRevocations,
    events: StoreEvents,
  ) {
    this.standing = standing
    this.#latest = standing
    this.#worker = worker
    this.#commitTimeoutMs = commitTimeoutMs
    this.#events = events
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

  commit(appends: readonly PendingAppend[]): void {
    const { canonicalEntries, changes, overtaken } = sift(this.#latest.epoch, appends)
    const standing = changes.length === 0 ? undefined : standingAfter(this.#latest, changes)
    this.#outcome = { overtaken, standing }
    if (canonicalEntries.length === 0) {
      setImmediate(() => {
        this.#committed()
      })
      return
    }
    const lines = canonicalEntries.join('\n')
    this.#makeRoomFor(Buffer.byteLength(lines))
    this.#post({ commitBytes: this.#memory.write(lines), changes })
    this.#deadline = setTimeout(() => {
      this.#fail(new Error(`a commit took longer than ${this.#commitTimeoutMs} ms`))
    }, this.#commitTimeoutMs)
  }

  /** Closes the file. A thread that the disk holds up is left to end when the disk lets it. */
  async end(): Promise<void> {
    this.#isOver = true
    this.#post('close')
    if (await settlesWithin(this.#exited, this.#commitTimeoutMs)) return
    void this.#worker.terminate()
    this.#worker.unref()
  }

  /** As much as most commits need; what a crowd needed once is given back with the next commit. */
  #makeRoomFor(bytes: number): void {
    const usual = Math.max(memoryUsualBytes, bytes)
    if (this.#memory.length === usual) return
    const memory = new SharedArrayBuffer(usual)
    this.#memory = Buffer.from(memory)
    this.#post({ memory })
  }

  #committed(): void {
    if (this.#isOver) return
    clearTimeout(this.#deadline)
    this.#latest = this.#outcome.standing ?? this.#latest
    this.#events.committed(this.#outcome)
  }

  #fail(cause: unknown): void {
    clearTimeout(this.#deadline)
    if (this.#isOver) return
    this.#isOver = true
    // It gives the file back when it has ended, and not before: until then nobody else can claim it.
    void this.#worker.terminate()
    this.#events.failed(cause)
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message)
  }
}
