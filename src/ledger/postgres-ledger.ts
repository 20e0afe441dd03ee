import type { Client } from 'pg'
import { withDeadline } from '../base/deadline.ts'
import { cut, disconnect, type Waits } from '../database-access/connection.ts'
import type { Link } from './chain.ts'
import { cutRowFrom } from './cut.ts'
import { GroupCommitLedger } from './group-commit.ts'
import type { CommitOutcome, OpenStore, StoreEvents } from './group-commit.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import { asLedgerDatabaseError, askingLedger, nameOfLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import type { OnCommit, OnRevocations, OpenableLedger } from './ledger.ts'
import { changeStanding, standingAt } from './postgres-revocations.ts'
import { appendsWithUse, deniedOf, sift } from './pending-append.ts'
import type { AppendWithUse, PendingAppend } from './pending-append.ts'
import { proveTokenUses, type TakenUses, takeTokenUses } from './postgres-token-uses.ts'
import {
  beginAtTip,
  commitInDoubt,
  connectToWrite,
  insertBehind,
  isSameHash,
  isWarning,
  type Tip,
} from './postgres-writer.ts'
import { standingAfter } from './standing-revocations.ts'
import type { StandingRevocations } from './standing-revocations.ts'

export interface PostgresLedgerOptions {
  /** Asked for at each opening, so that a password may change while the service runs. */
  readonly locate: () => Promise<LedgerDatabase>
  /** Entries that may wait for their commit; 50,000 unless said, some 30 MB of them. */
  readonly waitingEntriesMax?: number
  /**
   * A commit that takes longer counts as failed; 10 s unless said. Most of it may be spent waiting for
   * another replica that commits.
   */
  readonly commitTimeoutMs?: number
  /** How long each step of an opening may take; 5 s unless said. */
  readonly connectTimeoutMs?: number
  /** Absent where nothing is issued. */
  readonly onRevocations?: OnRevocations
  readonly onCommit?: OnCommit
  /**
   * Caller tokens whose uses all replicas remember together, a few hundred bytes of the database each;
   * 1,000,000 unless said.
   */
  readonly tokensMax?: number
}

/**
 * A ledger that any number of processes share: each commit locks the tip, chains behind it whoever
 * wrote it, and moves it, in one transaction. The tip is never remembered, so that after a commit whose
 * outcome nobody knows the next one follows what is durable. With the tip comes the epoch of the
 * revocations, so that whoever has not heard of one hears of it before anything of its own follows it.
 *
 * Opening makes its tables where there are none and the role may, and throws a LedgerDatabaseError when
 * the database cannot be reached, does not sync to its disk, holds something else, or its tip does not
 * verify.
 */
export function createPostgresLedger(options: PostgresLedgerOptions): OpenableLedger {
  const { locate, waitingEntriesMax = 50_000, onRevocations = () => undefined, onCommit } = options
  const { commitTimeoutMs = 10_000, connectTimeoutMs = 5000, tokensMax = 1_000_000 } = options
  const limits: Limits = { commitTimeoutMs, connectTimeoutMs, tokensMax }
  const durable: Durable = { end: undefined }
  return new GroupCommitLedger({
    openStore: async (events) => openStore(await locate(), limits, durable, events),
    waitingEntriesMax,
    openTimeoutMs: openingSteps * connectTimeoutMs,
    onRevocations,
    onCommit,
  })
}

type Limits = Required<
  Pick<PostgresLedgerOptions, 'commitTimeoutMs' | 'connectTimeoutMs' | 'tokensMax'>
>

/** The connection, what the server and its tables are, and the tip: each may take as long. */
const openingSteps = 3

/** The last entry of ours that was answered as durable, over all openings: a database without it is another. */
interface Durable {
  end: Link | undefined
}

/** Of the time that a commit may take; the rest is for the commit itself. */
const lockWaitShare = 0.9

async function openStore(
  ledger: LedgerDatabase,
  limits: Limits,
  durable: Durable,
  events: StoreEvents,
): Promise<OpenStore> {
  const { commitTimeoutMs, connectTimeoutMs } = limits
  const waits: Waits = {
    connectMs: connectTimeoutMs,
    lockMs: Math.floor(commitTimeoutMs * lockWaitShare),
    answerMs: commitTimeoutMs,
  }
  const client = await connectToWrite(ledger, waits)
  try {
    const found = await withDeadline(connectTimeoutMs, () =>
      askingLedger(ledger, () => continued(client, ledger, durable)),
    )
    return new PostgresStore(client, ledger, found, limits, durable, events)
  } catch (error) {
    cut(client)
    throw asLedgerDatabaseError(ledger, error)
  }
}

type Found = Pick<OpenStore, 'standing' | 'tokensRemembered'>

/** What stands beside the chain, in a ledger that goes on from where it was. */
async function continued(client: Client, ledger: LedgerDatabase, { end }: Durable): Promise<Found> {
  const tip = await beginAtTip(client, ledger)
  if (end !== undefined) await assertHolds(client, ledger, tip, end)
  const standing = await standingAt(tip.epoch, client)
  // A right that is missing must not fail the commits of everybody, once a token is used.
  await proveTokenUses(client)
  await client.query('ROLLBACK')
  return { standing, tokensRemembered: tip.tokensRemembered }
}

/** A standby that took over, or a backup, may have missed what was answered as durable. */
async function assertHolds(
  client: Client,
  ledger: LedgerDatabase,
  tip: Link,
  { sequence, hash }: Link,
): Promise<void> {
  const { rows } = await client.query<{ hash: Buffer }>(
    'SELECT hash FROM entry WHERE sequence = $1',
    [sequence],
  )
  const [stored] = rows
  if (stored === undefined && (await isPruned(client, sequence))) return
  if (stored === undefined || !isSameHash(stored.hash, hash)) throw rewound(ledger, tip, sequence)
}

/** By somebody who has held it to what others keep of it. */
async function isPruned(client: Client, sequence: number): Promise<boolean> {
  const { rows } = await client.query<{ statement: string }>('SELECT statement FROM cut')
  const [cut] = rows
  return cut !== undefined && cutRowFrom(Buffer.from(cut.statement)).sequence >= sequence
}

const rewound = (ledger: LedgerDatabase, tip: Link, sequence: number) =>
  new LedgerDatabaseError(
    'LEDGER_REWOUND',
    `${nameOfLedger(ledger)} ends at entry ${tip.sequence} without entry ${sequence} of this process, which it has answered as durable: a standby took over, or a backup was restored, that had not received it`,
  )

interface Commit extends CommitOutcome {
  /** The new tip; undefined when nothing was to be stored. */
  readonly end: Link | undefined
}

/** One connection, until its first failure. */
class PostgresStore implements OpenStore {
  readonly standing: StandingRevocations
  readonly tokensRemembered: number
  readonly #client: Client
  readonly #ledger: LedgerDatabase
  readonly #limits: Limits
  readonly #durable: Durable
  readonly #events: StoreEvents
  /** What the server has warned of since the last commit began. */
  #warning: string | undefined
  /** As far as this replica has heard. */
  #latest: StandingRevocations
  #isOver = false

  constructor(
    client: Client,
    ledger: LedgerDatabase,
    { standing, tokensRemembered }: Found,
    limits: Limits,
    durable: Durable,
    events: StoreEvents,
  ) {
    this.standing = standing
    this.tokensRemembered = tokensRemembered
    this.#latest = standing
    this.#client = client
    this.#ledger = ledger
    this.#limits = limits
    this.#durable = durable
    this.#events = events
    client.on('end', () => {
      this.#fail(new Error('the connection is lost'))
    })
    client.on('error', (error) => {
      this.#fail(error)
    })
    client.on('notice', (notice) => {
      if (isWarning(notice)) this.#warning = notice.message
    })
  }

  commit(appends: readonly PendingAppend[]): void {
    withDeadline(this.#limits.commitTimeoutMs, () => this.#append(appends)).then(
      (commit) => {
        this.#committed(commit)
      },
      (error: unknown) => {
        this.#fail(error)
      },
    )
  }

  async end(): Promise<void> {
    this.#isOver = true
    await disconnect(this.#client)
  }

  async #append(appends: readonly PendingAppend[]): Promise<Commit> {
    this.#warning = undefined
    const tip = await beginAtTip(this.#client, this.#ledger)
    const before = this.#durable.end?.sequence ?? 0
    if (tip.sequence < before) throw rewound(this.#ledger, tip, before)
    const isKnown = tip.epoch === this.#latest.epoch
    const found = isKnown ? this.#latest : await standingAt(tip.epoch, this.#client)
    const { timely, changes, overtaken } = sift(tip.epoch, appends)
    const wanting = appendsWithUse(timely)
    const taken = await this.#take(wanting, tip)
    const denied = deniedOf(wanting, taken.answers)
    const canonicalEntries = timely.flatMap((append) =>
      denied.has(append) ? [] : append.canonicalEntries,
    )
    const end =
      canonicalEntries.length === 0
        ? undefined
        : await insertBehind(tip, canonicalEntries, this.#client, this.#ledger)
    if (changes.length > 0) await changeStanding(changes, this.#client)
    await this.#client.query('COMMIT')
    this.#assertNoWarning()
    const standing = isKnown && changes.length === 0 ? undefined : standingAfter(found, changes)
    return { end, overtaken, denied, standing, tokensRemembered: taken.tokensRemembered }
  }

  #take(
    wanting: readonly AppendWithUse<PendingAppend>[],
    tip: Tip,
  ): Promise<TakenUses> | TakenUses {
    const uses = wanting.map(({ tokenUse }) => tokenUse)
    if (uses.length === 0) return { answers: [], tokensRemembered: tip.tokensRemembered }
    return takeTokenUses(uses, this.#limits.tokensMax, this.#client)
  }

  #assertNoWarning(): void {
    if (this.#warning !== undefined) throw commitInDoubt(this.#ledger, this.#warning)
  }

  #committed({ end, ...outcome }: Commit): void {
    if (this.#isOver) return
    this.#durable.end = end ?? this.#durable.end
    this.#latest = outcome.standing ?? this.#latest
    this.#events.committed(outcome)
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    // Whatever the server still does with it ends there: what was not committed is rolled back.
    cut(this.#client)
    this.#events.failed(asLedgerDatabaseError(this.#ledger, error))
  }
}
