import { canonicalEntry } from './chain.ts'
import type { Entry } from './entry.ts'
import { lockWaitMs as usualLockWaitMs } from './ledger-file.ts'
import { settlesWithin, startLedgerThread } from './ledger-thread.ts'
import type { LedgerThread, LedgerThreadEvents } from './ledger-thread.ts'
import { fileIdentityOf } from './ledger-writer.ts'
import type { FileIdentity } from './ledger-writer.ts'
import { LedgerError } from './ledger.ts'
import type { Ledger, LedgerErrorCode } from './ledger.ts'
import type { WorkerInput } from './sqlite-ledger-worker.ts'

export interface SqliteLedgerOptions {
  /** Created when it is not there. On a local disk: SQLite's locks do not hold on network file systems. */
  readonly file: string
  /** Entries that may wait for their commit; 50,000 unless said, some 30 MB of them. */
  readonly waitingEntriesMax?: number
  /**
   * A commit that takes longer counts as failed; 10 s unless said: a disk that slow serves nobody.
   * Most of it may be spent waiting for another program that has the file locked.
   */
  readonly commitTimeoutMs?: number
  /** How long opening waits for a writer that just closes; 2 s unless said. */
  readonly lockWaitMs?: number
}

/**
 * Opens the ledger of one process, in a SQLite file. Entries that are appended while a commit runs
 * share the next one.
 *
 * @throws LedgerFileError when the file is in use, is no ledger, or its tip does not verify.
 */
export async function createSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger> {
  const { file, waitingEntriesMax = 50_000, commitTimeoutMs = 10_000 } = options
  const { lockWaitMs = usualLockWaitMs } = options
  const ledger = new SqliteLedger({ file, commitTimeoutMs, lockWaitMs }, waitingEntriesMax)
  await ledger.open()
  return ledger
}

const reopenDelayMinMs = 1000
/** A disk that was mended is found so within half a minute. */
const reopenDelayMaxMs = 30_000

/** How long to leave the file alone after so many failures since the last commit that worked: 1 or more. */
export const reopenDelayMs = (failures: number): number =>
  Math.min(reopenDelayMinMs * 2 ** (failures - 1), reopenDelayMaxMs)

interface Append {
  readonly canonicalEntries: readonly string[]
  readonly resolve: (durable: undefined) => void
  readonly reject: (error: LedgerError) => void
}

class SqliteLedger implements Ledger {
  readonly #input: WorkerInput
  readonly #waitingEntriesMax: number
  readonly #events: LedgerThreadEvents
  /** The latest; of no use while there is a refusal. */
  #thread: LedgerThread | undefined
  /** What the thread commits now: one commit at a time, so the order of appends is the order of entries. */
  #committing: readonly Append[] = []
  /** Which file the entries so far are in. */
  #file: FileIdentity | undefined
  /** What the next commit will hold. */
  #waiting: Append[] = []
  #sendIsScheduled = false
  /** Of both. */
  #unsettledEntries = 0
  #lastAccepted: Promise<undefined> = Promise.resolve(undefined)
  /** What every append is told meanwhile; undefined while the ledger works. */
  #refusal: { readonly code: LedgerErrorCode; readonly cause?: unknown } | undefined
  /** Since the last commit that worked. */
  #failures = 0
  #reopenTimer: NodeJS.Timeout | undefined
  #reopening: Promise<void> = Promise.resolve()
  #isClosing = false
  #closed: Promise<void> | undefined

  constructor(input: WorkerInput, waitingEntriesMax: number) {
    this.#input = input
    this.#waitingEntriesMax = waitingEntriesMax
    this.#events = {
      committed: () => {
        this.#committed()
      },
      failed: (cause) => {
        this.#fail(cause)
      },
    }
  }

  async open(): Promise<void> {
    this.#thread = await startLedgerThread(this.#input, this.#events)
    this.#file = fileIdentityOf(this.#input.file)
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
    this.#isClosing = true
    this.#refusal = { code: 'LEDGER_CLOSED' }
    clearTimeout(this.#reopenTimer)
    await Promise.allSettled([this.#lastAccepted])
    await settlesWithin(this.#reopening, this.#input.commitTimeoutMs)
    await this.#thread?.end()
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
    this.#thread?.commit(this.#committing.flatMap((append) => append.canonicalEntries))
  }

  #committed(): void {
    this.#failures = 0
    const durable = this.#committing
    this.#committing = []
    // The disk works while the appends are settled.
    this.#send()
    for (const { canonicalEntries, resolve } of durable) {
      this.#unsettledEntries -= canonicalEntries.length
      resolve(undefined)
    }
  }

  /**
   * The disk may hold what was being committed, or not: nobody may act on it, and nothing may follow
   * it before the file was opened again and says where it ends.
   */
  #fail(cause: unknown): void {
    const failed = [...this.#committing, ...this.#waiting]
    this.#committing = []
    this.#waiting = []
    this.#unsettledEntries = 0
    this.#refuseAndReopenLater(cause)
    for (const { reject } of failed) reject(new LedgerError('LEDGER_UNAVAILABLE', { cause }))
  }

  #refuseAndReopenLater(cause: unknown): void {
    if (this.#isClosing) return
    this.#refusal = { code: 'LEDGER_UNAVAILABLE', cause }
    this.#failures += 1
    this.#reopenTimer = setTimeout(() => {
      this.#reopening = this.#reopen()
    }, reopenDelayMs(this.#failures))
  }

  /** By a new thread, which is refused the file for as long as the one before it has not let go of it. */
  async #reopen(): Promise<void> {
    try {
      const input = { ...this.#input, continues: this.#file }
      const thread = await startLedgerThread(input, this.#events)
      if (this.#isClosing) {
        await thread.end()
        return
      }
      this.#thread = thread
      this.#refusal = undefined
    } catch (cause) {
      this.#refuseAndReopenLater(cause)
    }
  }
}
