import { isoTimeFrom } from '../../base/clock.ts'
import type { TimeWindow } from './time-windows.ts'

/** Tables of Log Analytics that have what a ledger is held to. */
export type WorkspaceTable =
  | 'AZKVAuditLogs'
  | 'AzureDiagnostics'
  | 'AADServicePrincipalSignInLogs'
  | 'AuditLogs'
  /** What `export.logAnalytics` sends to: of it, heads. Letters, digits and underscores. */
  | `${string}_CL`

/**
 * Rows of one window, and one more than are wanted of it, which tells that it has more. Every column comes, because
 * which ones `AzureDiagnostics` has depends on what came to it; the time as text, because its decimals would be lost.
 */
export const rowsQuery = (table: WorkspaceTable, window: TimeWindow, rowsMax: number): string =>
  lines(
    ...of(table),
    `| where TimeGenerated >= ${at(window.fromMs)} and TimeGenerated < ${at(window.toMs)}`,
    `| take ${rowsMax + 1}`,
    '| extend TimeGenerated = tostring(TimeGenerated)',
  )

/** When the table begins: an empty text where it is empty. */
export const oldestQuery = (table: WorkspaceTable): string =>
  lines(
    ...of(table),
    '| summarize oldest = min(TimeGenerated)',
    '| project oldest = tostring(oldest)',
  )

/** When something was ingested last: likewise. */
export const newestQuery = (table: WorkspaceTable): string =>
  lines(
    ...of(table),
    '| summarize newest = max(ingestion_time())',
    '| project newest = tostring(newest)',
  )

/** What came in each minute from that one on: how many rows, and the oldest of them. */
export const arrivalsQuery = (table: WorkspaceTable, sinceMs: number): string =>
  lines(
    ...of(table),
    `| where ingestion_time() >= ${at(sinceMs)}`,
    '| summarize oldest = min(TimeGenerated), amount = count() by minute = bin(ingestion_time(), 1m)',
    '| project minute = tostring(minute), oldest = tostring(oldest), amount',
  )

function of(table: WorkspaceTable): readonly string[] {
  if (table.endsWith('_CL')) return [table, '| where Kind == "head.signed"']
  if (table !== 'AzureDiagnostics') return [table]
  // It has records of all services, and of what else Key Vault says besides its audits.
  return [table, '| where ResourceProvider == "MICROSOFT.KEYVAULT" and Category == "AuditEvent"']
}

const at = (ms: number): string => `datetime(${isoTimeFrom(ms)})`

const lines = (...all: readonly string[]): string => all.join('\n')
