import { atLeastMsSince, type Clock, instantNow, systemClock } from '../base/clock.ts'
import { watchDiskRoom } from './disk-room.ts'
import { GroupCommitLedger } from './group-commit.ts'
import { lockWaitMs as usualLockWaitMs } from './ledger-file.ts'
import { startLedgerThread } from './ledger-thread.ts'
import { fileIdentityOf } from './ledger-writer.ts'
import type { FileIdentity } from './ledger-writer.ts'
import type { Ledger, OnCommit, OnRevocations } from './ledger.ts'

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
  /** Absent where nothing is issued. */
  readonly onRevocations?: OnRevocations
  readonly onCommit?: OnCommit
  /** Caller tokens whose uses are remembered at a time, some 200 bytes of the file each; 100,000 unless said. */
  readonly tokensMax?: number
  /** By which tokens expire; the machine's unless said. */
  readonly clock?: Clock
  /** Of the disk, in bytes, for what has to be written although it is nearly full; 64 MiB unless said. */
  readonly keptBytes?: number
  /** How much there is for us in a folder; the system's own count unless said. */
  readonly freeBytes?: (folder: string) => Promise<number>
}

/** Some 50,000 entries, which is as many as may wait, with their pages in the log of the database. */
const keptBytesUsual = 64 * 1024 * 1024

/**
 * Opens the ledger of one process, in a SQLite file that a thread of its own writes.
 *
 * @throws LedgerFileError when the file is in use, is no ledger, or its tip does not verify.
 */
export async function createSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger> {
  const { file, waitingEntriesMax = 50_000, commitTimeoutMs = 10_000, onCommit } = options
  const { lockWaitMs = usualLockWaitMs, onRevocations = () => undefined } = options
  const { tokensMax = 100_000, clock = systemClock } = options
  const begun = instantNow(clock)
  /** By both clocks, so that setting one of them forgets nothing too early. */
  const nowSeconds = () => Math.floor((begun.ms + atLeastMsSince(begun, clock)) / 1000)
  /** Which file the entries so far are in. */
  let continues: FileIdentity | undefined
  const { keptBytes = keptBytesUsual, freeBytes } = options
  const room = await watchDiskRoom({
    file,
    keptBytes,
    ...(freeBytes === undefined ? {} : { freeBytes }),
  })
  const ledger = new GroupCommitLedger({
    room,
    // A new thread is refused the file for as long as the one before it has not let go of it.
    openStore: async (events) => {
      const thread = await startLedgerThread(
        { file, commitTimeoutMs, lockWaitMs, continues },
        events,
        () => ({ nowSeconds: nowSeconds(), tokensMax }),
      )
      continues ??= fileIdentityOf(file)
      return thread
    },
    waitingEntriesMax,
    openTimeoutMs: commitTimeoutMs,
    onRevocations,
    onCommit,
  })
  try {
    await ledger.open()
  } catch (error) {
    await room.stop()
    throw error
  }
  return ledger
}
