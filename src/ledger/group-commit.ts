import { systemClock } from '../base/clock.ts'
import { settlesWithin } from '../base/deadline.ts'
import { canonicalEntry } from './chain.ts'
import type { DiskRoom } from './disk-room.ts'
import type { Entry, EntryKind } from './entry.ts'
import { LedgerError, TokenUseDenied } from './ledger.ts'
import type {
  AppendCondition,
  FirstEntries,
  LedgerErrorCode,
  OnCommit,
  OnRevocations,
  OpenableLedger,
} from './ledger.ts'
import type { Denied, PendingAppend } from './pending-append.ts'
import { isRevocationChange } from './standing-revocations.ts'
import type { StandingRevocations } from './standing-revocations.ts'

/** What becomes of the commits of a store. */
export interface StoreEvents {
  committed(outcome: CommitOutcome): void
  /** Once at most, and nothing after it: a commit failed or took too long, or the store is gone. */
  failed(cause: unknown): void
}

export interface CommitOutcome {
  /** Of which nothing was stored, because another epoch has begun. */
  readonly overtaken: ReadonlySet<PendingAppend>
  /** Of which nothing was stored either. */
  readonly denied: Denied<PendingAppend>
  /** What stands from now on; undefined: what stood before. */
  readonly standing: StandingRevocations | undefined
  /** Caller tokens whose uses the store remembers now. */
  readonly tokensRemembered: number
}

/** What a ledger is kept in, from its opening until its first failure: one commit at a time. */
export interface OpenStore {
  /** When it was opened. */
  readonly standing: StandingRevocations
  /** Likewise. */
  readonly tokensRemembered: number
  /**
   * Chains and stores the canonical entries of the appends whose condition holds, adjacent and in this
   * order, with what they change and the uses that they take; `StoreEvents` say when they are durable.
   */
  commit(appends: readonly PendingAppend[]): void
  /** Closes it, in bounded time. */
  end(): Promise<void>
}

export interface GroupCommitOptions {
  /** Opens the store and verifies its tip: when it is told to, and then again after each failure. */
  readonly openStore: (events: StoreEvents) => Promise<OpenStore>
  /** Entries that may wait for their commit. */
  readonly waitingEntriesMax: number
  /** How long closing waits for an opening that is under way. */
  readonly openTimeoutMs: number
  readonly onRevocations: OnRevocations
  readonly onCommit?: OnCommit | undefined
  /** Of the disk that the store is on; absent: the store's own affair. */
  readonly room?: DiskRoom
}

const reopenDelayMinMs = 1000
/** With what an opening takes, who asks is served within 5 s of a store being mended. */
const reopenDelayMaxMs = 3000

/** A store that was open for so long was mended, whatever ends it now. */
const mendedAfterMs = 60_000

/** How long to leave the store alone after so many failures without a sign that it is mended: 1 or more. */
export const reopenDelayMs = (failures: number): number =>
  Math.min(reopenDelayMinMs * 2 ** (failures - 1), reopenDelayMaxMs)

/** Appends that share what a commit costs well enough: measured with 128 callers, fewer cost more than they save. */
const worthSending = 32

interface Append extends PendingAppend {
  readonly resolve: (durable: undefined) => void
  readonly reject: (error: LedgerError) => void
}

/** A ledger whose entries that are appended while a commit runs share the next one. */
export class GroupCommitLedger implements OpenableLedger {
  readonly #options: GroupCommitOptions
  readonly #events: StoreEvents
  /** The latest; of no use while there is a refusal. */
  #store: OpenStore | undefined
  /** What the store commits now: one commit at a time, so the order of appends is the order of entries. */
  #committing: readonly Append[] = []
  /** When the store was handed it, by the monotonic clock. */
  #sentAtMs = 0
  /** What the next commit will hold. */
  #waiting: Append[] = []
  #sendIsScheduled = false
  /** Of both. */
  #unsettledEntries = 0
  #lastAccepted: Promise<undefined> = Promise.resolve(undefined)
  /** What every append is told meanwhile; undefined while the ledger works. */
  #refusal: { readonly code: LedgerErrorCode; readonly cause?: unknown } | undefined = {
    code: 'LEDGER_UNAVAILABLE',
  }
  /** Whether it was ever open: from then on it opens its store again by itself. */
  #isBegun = false
  /** Before that, why the store that was just opened is of no use. */
  #lost: { readonly cause: unknown } | undefined
  /** Commits and openings that failed since a commit worked or the store was open for long. */
  #failures = 0
  /** The latest store, by the monotonic clock; undefined until it is. */
  #openedAtMs: number | undefined
  #reopenTimer: NodeJS.Timeout | undefined
  /** The latest opening, which closing waits for; it never rejects. */
  #reopening: Promise<void> = Promise.resolve()
  #tokensRemembered = 0
  #isClosing = false
  #closed: Promise<void> | undefined

  constructor(options: GroupCommitOptions) {
    this.#options = options
    this.#events = {
      committed: (outcome) => {
        this.#committed(outcome)
      },
      failed: (cause) => {
        this.#fail(cause)
      },
    }
  }

  open(first: FirstEntries = () => Promise.resolve([])): Promise<void> {
    const opening = this.#begin(first)
    this.#reopening = opening.catch(() => undefined)
    return opening
  }

  async #begin(first: FirstEntries): Promise<void> {
    this.#lost = undefined
    const store = await this.#options.openStore(this.#events)
    const entries = await entriesOrEnd(store, first)
    if (this.#isClosing) {
      await store.end()
      throw new LedgerError('LEDGER_CLOSED')
    }
    this.#use(store)
    await this.#writeFirst(entries)
    this.#isBegun = true
    this.#accept()
  }

  #accept(): void {
    if (!this.#isClosing) this.#refusal = undefined
  }

  /** While every other append is still refused. */
  async #writeFirst(first: readonly Entry[]): Promise<void> {
    this.#assertNotLost()
    if (first.length === 0) return
    try {
      await this.#enqueue(first)
    } catch (error) {
      this.#assertNotLost()
      throw error
    }
  }

  #assertNotLost(): void {
    if (this.#lost !== undefined) throw this.#lost.cause
  }

  async append(entries: readonly Entry[], condition?: AppendCondition): Promise<void> {
    this.#assertTaken()
    if (!isAlwaysTaken(entries)) this.#assertRoomFor(entries)
    await this.#enqueue(entries, condition)
  }

  /** @throws RangeError | TypeError at once, before anything is enqueued. */
  #enqueue(entries: readonly Entry[], condition?: AppendCondition): Promise<undefined> {
    if (condition?.tokenUse !== undefined && isAlwaysTaken(entries)) {
      throw new TypeError('a use is taken by what a token is used for, and by nothing else')
    }
    const canonicalEntries = entries.map(canonicalEntry)
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const changes = entries.filter(isRevocationChange)
    this.#waiting.push({ canonicalEntries, condition, changes, resolve, reject })
    this.#unsettledEntries += entries.length
    this.#lastAccepted = promise
    this.#sendWhenIdle()
    return promise
  }

  healthy(): boolean {
    return this.#refusal === undefined
  }

  isFull(): boolean {
    return this.#options.room?.isShort() === true
  }

  tokensRemembered(): number {
    return this.#tokensRemembered
  }

  close(): Promise<void> {
    this.#closed ??= this.#drainAndEnd()
    return this.#closed
  }

  async #drainAndEnd(): Promise<void> {
    this.#isClosing = true
    this.#refusal = { code: 'LEDGER_CLOSED' }
    clearTimeout(this.#reopenTimer)
    await Promise.allSettled([this.#lastAccepted, this.#options.room?.stop()])
    await settlesWithin(this.#reopening, this.#options.openTimeoutMs)
    await this.#store?.end()
  }

  #assertTaken(): void {
    if (this.#refusal === undefined) return
    throw new LedgerError(this.#refusal.code, { cause: this.#refusal.cause })
  }

  #assertRoomFor(entries: readonly Entry[]): void {
    if (this.#unsettledEntries + entries.length > this.#options.waitingEntriesMax) {
      throw new LedgerError('LEDGER_OVERLOADED')
    }
    if (this.isFull() && entries.some(isOfRequests)) throw new LedgerError('LEDGER_FULL')
  }

  /**
   * Not at once: what a turn of the event loop appends shares a commit. A long turn is not waited for, because the
   * disk would have nothing to do meanwhile; but what is appended together always shares one.
   */
  #sendWhenIdle(): void {
    if (this.#committing.length > 0) return
    if (this.#waiting.length === worthSending) {
      queueMicrotask(() => {
        this.#send()
      })
    }
    if (this.#sendIsScheduled) return
    this.#sendIsScheduled = true
    setImmediate(() => {
      this.#sendIsScheduled = false
      this.#send()
    })
  }

  #send(): void {
    if (this.#waiting.length === 0 || this.#committing.length > 0) return
    this.#committing = this.#waiting
    this.#waiting = []
    this.#sentAtMs = systemClock.monotonicMs()
    this.#store?.commit(this.#committing)
  }

  #committed({ overtaken, denied, standing, tokensRemembered }: CommitOutcome): void {
    this.#failures = 0
    this.#tokensRemembered = tokensRemembered
    const ended = this.#committing
    if (ended.length > overtaken.size + denied.size) this.#tellHowLong()
    this.#committing = []
    // Before anybody is answered: whoever was overtaken decides again, and must know what stands.
    if (standing !== undefined) this.#options.onRevocations(standing)
    // The disk works while the appends are settled.
    this.#send()
    for (const append of ended) {
      this.#unsettledEntries -= append.canonicalEntries.length
      const denial = denied.get(append)
      if (overtaken.has(append)) append.reject(new LedgerError('LEDGER_OVERTAKEN'))
      else if (denial !== undefined) append.reject(new TokenUseDenied(denial))
      else append.resolve(undefined)
    }
  }

  #tellHowLong(): void {
    this.#options.onCommit?.((systemClock.monotonicMs() - this.#sentAtMs) / 1000)
  }

  /**
   * The store may hold what was being committed, or not: nobody may act on it, and nothing may follow
   * it before the store was opened again and says where it ends.
   */
  #fail(cause: unknown): void {
    const isInDoubt = this.#committing.length > 0
    if (isInDoubt) this.#tellHowLong()
    const failed = [...this.#committing, ...this.#waiting]
    this.#committing = []
    this.#waiting = []
    this.#unsettledEntries = 0
    if (this.#isBegun) this.#refuseAndReopenAfter(this.#pauseAfterLossMs(isInDoubt), cause)
    else this.#lost = { cause }
    for (const { reject } of failed) reject(new LedgerError('LEDGER_UNAVAILABLE', { cause }))
  }

  /**
   * Servers and firewalls end connections on which nothing happens, and that says nothing of the
   * store: it is opened again at once, though not more often than once a second.
   */
  #pauseAfterLossMs(isInDoubt: boolean): number {
    if (this.#openedAtMs === undefined) return this.#pauseAfterFailureMs()
    const openForMs = systemClock.monotonicMs() - this.#openedAtMs
    if (openForMs >= mendedAfterMs) this.#failures = 0
    return isInDoubt ? this.#pauseAfterFailureMs() : Math.max(0, reopenDelayMinMs - openForMs)
  }

  #pauseAfterFailureMs(): number {
    this.#failures += 1
    return reopenDelayMs(this.#failures)
  }

  #refuseAndReopenAfter(pauseMs: number, cause: unknown): void {
    if (this.#isClosing) return
    this.#refusal = { code: 'LEDGER_UNAVAILABLE', cause }
    this.#reopenTimer = setTimeout(() => {
      this.#reopening = this.#reopen()
    }, pauseMs)
  }

  async #reopen(): Promise<void> {
    const refusalBefore = this.#refusal
    this.#openedAtMs = undefined
    try {
      const store = await this.#options.openStore(this.#events)
      if (this.#isClosing) {
        await store.end()
        return
      }
      // One that has failed meanwhile has had the next opening arranged already.
      if (this.#refusal !== refusalBefore) return
      this.#use(store)
      this.#refusal = undefined
    } catch (cause) {
      this.#refuseAndReopenAfter(this.#pauseAfterFailureMs(), cause)
    }
  }

  #use(store: OpenStore): void {
    this.#store = store
    this.#tokensRemembered = store.tokensRemembered
    this.#options.onRevocations(store.standing)
    this.#openedAtMs = systemClock.monotonicMs()
  }
}

/** A crowd that fills the queue may be what is to be stopped; who may do that is few, and one entry at a time. */
const isAlwaysTaken = (entries: readonly Entry[]) =>
  entries.length === 0 || entries.some(isRevocationChange)

/**
 * What there is no room for on a disk that is nearly full: it is kept for heads, and for how things end that
 * have begun. What nobody was given yet is not given then.
 */
const kindsOfRequests: ReadonlySet<EntryKind> = new Set([
  'request.granted',
  'request.refused',
  'signature.begun',
  'token.issued',
  'assertion.issued',
  'service.turned-away',
])

const isOfRequests = (entry: Entry) =>
  kindsOfRequests.has(entry.kind) && !(entry.kind === 'signature.begun' && entry.purpose === 'head')

/** A store that nobody will use is not left open. */
async function entriesOrEnd(store: OpenStore, first: FirstEntries): Promise<readonly Entry[]> {
  try {
    return await first()
  } catch (error) {
    await store.end()
    throw error
  }
}
