import { LogError } from '../log-error.ts'
import type { LogMark, LogSource, LogSources } from '../log-source.ts'
import type { RemovedFiles } from '../removals.ts'
import { clockDifferenceMs } from '../sign-difference.ts'
import type { LookedAt } from './log-beginnings.ts'
import { logNameOf } from './log-kinds.ts'
import type { LogKind } from './log-kinds.ts'
import type { RoundState } from './round-state.ts'

/** What has come to all logs since the round before. */
export interface ArrivedLogs {
  /** Of the oldest record that may have come, by any clock. */
  readonly fromMs: number
  /** Marks of those that could be looked at. */
  readonly logs: RoundState['logs']
  /** All of them: one that could not be looked at cannot be read. */
  readonly sources: LogSources
  readonly looked: ReadonlyMap<string, LookedAt | undefined>
  /** See `Arrivals`, by log. */
  readonly changed: ReadonlyMap<string, readonly string[]>
  readonly removed: readonly RemovedFiles[]
  /** Of these, what vaults' logs have lost. */
  readonly vaultFilesRemoved: readonly RemovedFiles[]
  readonly returned: ReadonlySet<string>
}

/** Of a log that cannot be asked what has come nothing is read either: it is to be read from where it was left. */
export async function arrivalsIn(
  { vaultLogs, signInLogs, auditLogs }: LogSources,
  marks: RoundState['logs'],
  decidedUntilMs: number,
): Promise<ArrivedLogs> {
  const logs: Record<string, LogMark> = {}
  const changed = new Map<string, readonly string[]>()
  const removed: (readonly [LogKind, RemovedFiles])[] = []
  const returned = new Set<string>()
  const looked = new Map<string, LookedAt | undefined>()
  let fromMs = Infinity
  const look = async <LogRecord>(of: LogKind, sources: readonly LogSource<LogRecord>[]) => {
    const found: LogSource<LogRecord>[] = []
    for (const source of sources) {
      const name = logNameOf(of, source.name)
      try {
        const arrived = await source.arrivals(marks[name], decidedUntilMs)
        logs[name] = arrived.mark
        fromMs = Math.min(fromMs, arrived.fromMs)
        changed.set(name, arrived.changed ?? [])
        for (const group of arrived.returned ?? []) returned.add(group)
        for (const files of arrived.removed ?? []) removed.push([of, files])
        looked.set(name, {
          retiredUntilMs: arrived.retiredUntilMs,
          tellsRemovals: arrived.removed !== undefined || marks[name] === undefined,
        })
        found.push(source)
      } catch (error) {
        if (!(error instanceof LogError)) throw error
        looked.set(name, undefined)
        found.push(unreadableAs(source, error))
      }
    }
    return found
  }
  const sources: LogSources = {
    vaultLogs: await look('vault', vaultLogs),
    signInLogs: await look('sign-ins', signInLogs),
    auditLogs: await look('audits', auditLogs),
  }
  // What a record is the counterpart of has a time by another clock.
  return {
    fromMs: fromMs - clockDifferenceMs,
    logs,
    sources,
    looked,
    changed,
    removed: removed.map(([, files]) => files),
    vaultFilesRemoved: removed.flatMap(([of, files]) => (of === 'vault' ? [files] : [])),
    returned,
  }
}

const unreadableAs = <LogRecord>(
  source: LogSource<LogRecord>,
  error: LogError,
): LogSource<LogRecord> => ({
  ...source,
  records: () => {
    throw error
  },
})

/**
 * The marks of logs that were read to their end, and of the others those from before.
 *
 * @param left Those that could not be read.
 */
export function marksAfter(
  now: RoundState['logs'],
  before: RoundState['logs'],
  left: ReadonlySet<string>,
): RoundState['logs'] {
  return Object.fromEntries([
    ...Object.entries(now).filter(([name]) => !left.has(name)),
    ...Object.entries(before).filter(([name]) => left.has(name)),
  ])
}
