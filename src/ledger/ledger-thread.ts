import { Worker } from 'node:worker_threads'
import { settlesWithin } from '../base/deadline.ts'
import type { CommitOutcome, OpenStore, StoreEvents } from './group-commit.ts'
import { LedgerFileError } from './ledger-file.ts'
import type { UseOfEntries } from './ledger-writer.ts'
import { appendsWithUse, deniedOf, sift } from './pending-append.ts'
import type { AppendWithUse, PendingAppend } from './pending-append.ts'
import type { FromWorker, ToWorker, WorkerInput } from './sqlite-ledger-worker.ts'
import { standingAfter } from './standing-revocations.ts'
import type { StandingRevocations } from './standing-revocations.ts'
import type { TakingTerms } from './token-use-table.ts'

/** Source runs by type stripping and finds `.ts`; the build leaves `.js`. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './sqlite-ledger-worker.ts' : './sqlite-ledger-worker.js',
  import.meta.url,
)

/**
 * Starts a thread that opens the file and verifies its tip.
 *
 * @param terms Of the uses of a commit that begins now.
 * @throws LedgerFileError when the file is in use, is no ledger, or its tip does not verify.
 */
export async function startLedgerThread(
  input: WorkerInput,
  events: StoreEvents,
  terms: () => TakingTerms,
): Promise<LedgerThread> {
  const worker = new Worker(workerUrl, { workerData: input })
  const found = await opened(worker)
  return new LedgerThread(worker, input.commitTimeoutMs, found, events, terms)
}

type FileOpened = Extract<FromWorker, { kind: 'opened' }>
type FileCommitted = Extract<FromWorker, { kind: 'committed' }>

function opened(worker: Worker): Promise<FileOpened> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', () => {
      reject(new Error('the thread that opens the ledger has ended'))
    })
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject)
      if (message.kind === 'opened') resolve(message)
      if (message.kind === 'refused') reject(new LedgerFileError(message.code, message.message))
    })
  })
}

/** What is known of a commit before the thread has answered. */
interface CommitUnderWay extends Pick<CommitOutcome, 'overtaken' | 'standing'> {
  /** The appends whose uses the thread is asked for. */
  readonly wanting: readonly AppendWithUse<PendingAppend>[]
}

const nothingUnderWay: CommitUnderWay = { overtaken: new Set(), standing: undefined, wanting: [] }

/** Some thousand entries. */
const memoryUsualBytes = 1024 * 1024

/**
 * The thread that owns the file of a ledger until its first failure: one commit at a time. Nobody else
 * writes the file, so which epoch it is in is known here.
 */
class LedgerThread implements OpenStore {
  readonly standing: StandingRevocations
  readonly tokensRemembered: number
  readonly #worker: Worker
  readonly #commitTimeoutMs: number
  readonly #events: StoreEvents
  readonly #terms: () => TakingTerms
  readonly #exited: Promise<void>
  /** What the thread reads entries from. */
  #memory: Buffer = Buffer.alloc(0)
  #deadline: NodeJS.Timeout | undefined
  #isOver = false
  #latest: StandingRevocations
  #latestTokens: number
  #underWay: CommitUnderWay = nothingUnderWay

  constructor(
    worker: Worker,
    commitTimeoutMs: number,
    { standing, tokensRemembered }: FileOpened,
    events: StoreEvents,
    terms: () => TakingTerms,
  ) {
    this.standing = standing
    this.tokensRemembered = tokensRemembered
    this.#latest = standing
    this.#latestTokens = tokensRemembered
    this.#terms = terms
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
      if (message.kind === 'committed') this.#committed(message)
      if (message.kind === 'failed') this.#fail(message.cause)
    })
  }

  commit(appends: readonly PendingAppend[]): void {
    const { timely, changes, overtaken } = sift(this.#latest.epoch, appends)
    const standing = changes.length === 0 ? undefined : standingAfter(this.#latest, changes)
    this.#underWay = { overtaken, standing, wanting: appendsWithUse(timely) }
    const canonicalEntries = timely.flatMap((append) => append.canonicalEntries)
    if (canonicalEntries.length === 0) {
      setImmediate(() => {
        this.#committed({ kind: 'committed', answers: [], tokensRemembered: this.#latestTokens })
      })
      return
    }
    const lines = canonicalEntries.join('\n')
    this.#makeRoomFor(Buffer.byteLength(lines))
    const taking = { uses: usesOf(timely), ...this.#terms() }
    this.#post({ commitBytes: this.#memory.write(lines), changes, taking })
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

  #committed({ answers, tokensRemembered }: FileCommitted): void {
    if (this.#isOver) return
    clearTimeout(this.#deadline)
    const { overtaken, standing, wanting } = this.#underWay
    this.#latest = standing ?? this.#latest
    this.#latestTokens = tokensRemembered
    const denied = deniedOf(wanting, answers)
    this.#events.committed({ overtaken, denied, standing, tokensRemembered })
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

/** Where in the commit the entries are that take one. */
function usesOf(appends: readonly PendingAppend[]): readonly UseOfEntries[] {
  const uses: UseOfEntries[] = []
  let first = 0
  for (const { canonicalEntries, condition } of appends) {
    const count = canonicalEntries.length
    if (condition?.tokenUse !== undefined) uses.push({ tokenUse: condition.tokenUse, first, count })
    first += count
  }
  return uses
}
