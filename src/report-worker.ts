// A thread of its own, because reading a whole ledger and drawing it takes the service's loop from everybody else.
import { closeSync, openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from './base/clock.ts'
import { trustAlso } from './base/trusted-roots.ts'
import { type ChainEvidence, chainViewFrom } from './chain-view.ts'
import { verifyLedger } from './custody/verify-ledger.ts'
import type { LedgerDatabase } from './ledger/ledger-database.ts'
import { sqliteCode } from './ledger/ledger-file.ts'
import { ledgerInDatabase, ledgerInFile, type LedgerSource } from './ledger/ledger-source.ts'
import { readLedgerOverview } from './reconcile/ledger-overview.ts'
import { ledgerViewFrom } from './reconcile/ledger-view.ts'
import { readWithin } from './reconcile/log-budget.ts'
import type { Report } from './reconcile/reconcile.ts'
import { reconcileSources } from './reconcile/reconcile-sources.ts'
import { reportPage, reportPagePolicy } from './reconcile/report-page.ts'
import { reportViewFrom } from './reconcile/report-view-from.ts'
import { withDamage } from './reconcile/with-damage.ts'
import { type ConfiguredReading, openLogs } from './reconciling.ts'

export interface ReportWork {
  readonly ledger: { readonly file: string } | { readonly database: LedgerDatabase }
  /** Roots that count besides the system's own; a thread has its own. */
  readonly caFiles: readonly string[]
  /** Heads that were kept elsewhere: the ledger must fit them. */
  readonly anchors: readonly string[]
  /** The logs that the ledger is held to, and how; undefined where there are none. */
  readonly reading: ConfiguredReading | undefined
  /** For so long they are read: the page shows what was. */
  readonly logsMs: number
  readonly nowMs: number
  /** Where whoever looks may sign out; undefined where nobody signs in. */
  readonly signOutPath: string | undefined
}

/** A page as HTML, and its Content-Security-Policy. */
export interface PageMade {
  readonly html: string
  readonly policy: string
}

export type ReportMade = { readonly page: PageMade } | { readonly failure: unknown }

if (parentPort === null) throw new TypeError('this file runs as a worker thread')
parentPort.postMessage(await made(workerData as ReportWork))

async function made(work: ReportWork): Promise<ReportMade> {
  try {
    return { page: await pageOf(work) }
  } catch (failure) {
    return { failure }
  }
}

async function pageOf(work: ReportWork): Promise<PageMade> {
  const { nowMs, signOutPath } = work
  trustAlso(work.caFiles)
  const source = sourceOf(work.ledger)
  const report = await reportOf(source, work)
  const evidence = await evidenceOf(source, work.anchors)
  const overview = await readLedgerOverview(source, nowMs)
  const view =
    report === undefined
      ? ledgerViewFrom(source.name, overview, evidence, nowMs)
      : reportViewFrom(withDamage(report, evidence.fault), overview, evidence)
  const html = reportPage(view, signOutPath === undefined ? undefined : { signOutPath })
  return { html, policy: reportPagePolicy }
}

/** Undefined where no log is named. One that is away keeps nobody from the others. */
async function reportOf(
  ledger: LedgerSource,
  { reading, logsMs, nowMs }: ReportWork,
): Promise<Report | undefined> {
  if (reading === undefined) return undefined
  const { logs: named, identity, ...request } = reading
  const logs = await openLogs(named, identity, { nowMs: () => nowMs })
  try {
    const sources = readWithin(logs.sources, logsMs, systemClock)
    return await reconcileSources({ ...request, ledger, sources, nowMs })
  } finally {
    await logs.close()
  }
}

function withUndecided(view: ChainEvidence, reasons: readonly string[]): ChainEvidence {
  return { ...view, undecided: [...(view.undecided ?? []), ...reasons] }
}

function sourceOf(ledger: ReportWork['ledger']): LedgerSource {
  return 'file' in ledger ? ledgerInFile(ledger.file) : ledgerInDatabase(ledger.database)
}

/** Of a file that is damaged as a database nothing is known but that. */
async function evidenceOf(
  source: LedgerSource,
  anchors: readonly string[],
): Promise<ChainEvidence> {
  const unread = anchors.filter((file) => !isRead(file))
  const read = anchors.filter((file) => !unread.includes(file))
  try {
    const evidence = { headKeys: [], certificates: [], anchors: read }
    const view = chainViewFrom(await verifyLedger(source.pages(), evidence))
    return withUnread(view, unread)
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error
    return { fault: 'its file is damaged' }
  }
}

function isRead(file: string): boolean {
  try {
    closeSync(openSync(file, 'r'))
    return true
  } catch {
    return false
  }
}

/** A copy that is away says nothing of the ledger, and keeps nobody from looking. */
function withUnread(view: ChainEvidence, unread: readonly string[]): ChainEvidence {
  const { keepers = [] } = view
  const away = unread.map((file) => ({
    name: `${file} (anchor cannot be read)`,
    kind: 'anchor' as const,
  }))
  return withUndecided(
    { ...view, keepers: [...keepers, ...away] },
    unread.map((file) => `the anchor ${file} cannot be read`),
  )
}
