import type { DirectoryAudit } from './directory-audit.ts'
import { LogError, type LogErrorCode } from './log-error.ts'
import type { UnreadPlace } from './log-file.ts'
import type { Batches } from './reconcile.ts'
import type { RemovedFiles } from './removals.ts'
import type { SignInRecord } from './sign-in-record.ts'
import type { VaultRecord } from './vault-record.ts'

/** One log that a ledger is held to, wherever it is kept. */
export interface LogSource<LogRecord> {
  /** A path, or the name of a workspace and table; tells the log from others, and holds no secret. */
  readonly name: string
  /**
   * What has come since an earlier look. A record may be counted that came before, and none is missed that
   * came later.
   *
   * @param mark What that look gave; absent: there was none.
   * @param decidedUntilMs What is older than this may be dropped by a log as it grows old; absent: nothing may.
   * @throws LogError when it cannot be read.
   */
  arrivals(mark: LogMark | undefined, decidedUntilMs?: number): Promise<Arrivals>
  /**
   * Every record of that time, as often as it was delivered, and those before and behind it that are read
   * anyhow. May be read several times.
   *
   * @param fromMs Milliseconds since the Unix epoch; `-Infinity`: from the first one.
   * @param toMs Where that time ends, which no longer belongs to it; absent: to the last one.
   * @throws LogError likewise, when they are read.
   */
  records(fromMs: number, toMs?: number): SourceRecords<LogRecord>
}

/** Records as they come, many at a time. */
export type SourceRecords<LogRecord> = AsyncIterable<readonly (LogRecord | UnreadPlace)[]>

/** How far a log was looked at; kept as JSON, and understood by its own source alone. */
export type LogMark = Readonly<Record<string, string>>

export interface Arrivals {
  /** Of the oldest record that may have come; `Infinity` when none did, `-Infinity` when any may have. */
  readonly fromMs: number
  readonly mark: LogMark
  /**
   * Files, as places in them are named, that are other ones than in that look, or gone, or seen for the first time: what was not understood in
   * them is not there any more, unless it is read again. Absent where no file is known by name.
   */
  readonly changed?: readonly string[]
  /** What is gone, as long as it is. Absent where nobody can tell. */
  readonly removed?: readonly RemovedFiles[]
  /** Groups of {@link RemovedFiles} that were gone in that look, and are whole again. */
  readonly returned?: readonly string[]
  /**
   * What is older may have gone since that look as it grew old, which is no finding. Absent where nothing has, or
   * nobody can tell.
   */
  readonly retiredUntilMs?: number
}

/** All logs that a ledger is held to; the parts that are empty are not looked at. */
export interface LogSources {
  readonly vaultLogs: readonly LogSource<VaultRecord>[]
  readonly signInLogs: readonly LogSource<SignInRecord>[]
  readonly auditLogs: readonly LogSource<DirectoryAudit>[]
}

/** A log that could not be read, or not to its end. What it has nobody knows, and what others have counts all the same. */
export interface UnreadableLog {
  readonly kind: 'unreadable'
  readonly log: string
  readonly code: LogErrorCode
  /** One sentence for whoever started reconcile; names the log. */
  readonly why: string
}

/** Of each kind all that its sources hold, one after the other; one that cannot be read keeps nobody from the others. */
export async function* recordsOf<LogRecord>(
  sources: readonly LogSource<LogRecord>[],
  fromMs: number,
): Batches<LogRecord> {
  for (const source of sources) {
    try {
      yield* source.records(fromMs)
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      yield [unreadableFrom(source, error)]
    }
  }
}

export const unreadableFrom = (
  { name }: Pick<LogSource<unknown>, 'name'>,
  { code, message }: LogError,
): UnreadableLog => ({ kind: 'unreadable', log: name, code, why: message })
