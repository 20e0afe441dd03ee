import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import { nothingExpected, type Expect } from '../../src/reconcile/expectations.ts'
import { afterRound } from '../../src/reconcile/rounds/after-round.ts'
import { noRounds } from '../../src/reconcile/rounds/round-state.ts'
import type { FindingEvent, RoundState } from '../../src/reconcile/rounds/round-state.ts'
import type { LogSource, LogSources } from '../../src/reconcile/log-source.ts'
import { runRound } from '../../src/reconcile/rounds/round.ts'
import type { Progress } from '../../src/reconcile/rounds/round.ts'
import type { VaultRecord } from '../../src/reconcile/vault-record.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { logFolders } from './log-folders.ts'
import type { ReconcileFiles } from './reconcile-files.ts'
import { minuteMs } from './signed-traffic.ts'

/** Whoever keeps watch over a ledger and a folder of logs, a round at a time, as of a time that the test says. */
export interface WatchedRounds {
  state: RoundState
  expect: Expect
  /** Folders. */
  vaultLogs: readonly string[]
  /** Folders too, which are read as tables of a workspace are. */
  vaultTables: readonly string[]
  /** What was told in this round. */
  round(nowMs: number): Promise<readonly FindingEvent[]>
  /** Of the last round: how much it had to read. */
  read: Progress
}

export const graceMs = 30 * minuteMs

/** @param ledger Its id; null where nobody can tell it. */
export function watchedRounds(
  files: ReconcileFiles,
  from: RoundState = noRounds,
  ledger: string | null = 'ledger',
): WatchedRounds {
  const watched: WatchedRounds = {
    state: from,
    expect: nothingExpected,
    vaultLogs: [files.logFolder],
    vaultTables: [],
    read: { entries: 0, records: 0 },
    round: async (nowMs) => {
      const outcome = await runRound(watched.state, {
        ledger: ledgerInFile(files.ledgerFile),
        sources: sourcesOf(watched),
        keys: [],
        expect: watched.expect,
        nowMs,
        graceMs,
      })
      watched.read = {
        entries: outcome.ledger.entries,
        records: outcome.accounting.vaultLog.records,
      }
      const next = afterRound(watched.state, outcome, {
        ledger,
        tookMs: 1,
        tell: ['test'],
      })
      const told = next.events
      // Kept as JSON between rounds, as the file does.
      watched.state = JSON.parse(JSON.stringify({ ...next, events: [] })) as RoundState
      return told
    },
  }
  return watched
}

function sourcesOf({
  vaultLogs,
  vaultTables,
}: Pick<WatchedRounds, 'vaultLogs' | 'vaultTables'>): LogSources {
  const none = { signInLogs: [], auditLogs: [] }
  const folders = logFolders({ vaultLogs, ...none })
  const tables = logFolders({ vaultLogs: vaultTables, ...none }).vaultLogs.map(asTable)
  return { ...folders, vaultLogs: [...folders.vaultLogs, ...tables] }
}

/** A table tells what has come and nothing of what is gone, and gives no row before the time that it is asked for. */
const asTable = (folder: LogSource<VaultRecord>): LogSource<VaultRecord> => ({
  name: folder.name,
  arrivals: async (...look) => {
    const { fromMs, mark } = await folder.arrivals(...look)
    return { fromMs, mark }
  },
  records: async function* (fromMs, toMs) {
    for await (const batch of folder.records(fromMs, toMs)) {
      yield batch.filter((record) => record.kind === 'unread' || record.timeMs >= fromMs)
    }
  },
})

export async function appendTo(files: ReconcileFiles, entries: readonly Entry[]): Promise<void> {
  const ledger = await createSqliteLedger({ file: files.ledgerFile })
  await ledger.append(entries)
  await ledger.close()
}
