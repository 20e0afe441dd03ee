// Entries on their way out of the service, as one more part of the wiring.
import type { Logger } from 'pino'
import { Agent } from 'undici'
import type { Clock } from './base/clock.ts'
import type { Config } from './config/config.ts'
import { createEntryExport, type EntryExport } from './custody/entry-export.ts'
import type { ExportCursor } from './custody/export-cursor.ts'
import { createFileExportCursor } from './custody/file-export-cursor.ts'
import { createLogAnalytics } from './custody/log-analytics.ts'
import { type LedgerTail, tailOfFile } from './ledger/ledger-tail.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { createExportTelemetry, type ExportTelemetry } from './telemetry/export-telemetry.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { createUndiciHttpClient } from './vault-access/undici-http-client.ts'
import type { VaultAccess } from './vault-access/vault-access.ts'

export interface Exporting extends Pick<EntryExport, 'look' | 'leaveOff'> {
  readonly telemetry: Pick<ExportTelemetry, 'state' | 'behindSeconds'>
  /** Sends the last entries of the run first, for a moment; the next run sends what is left. */
  close(): Promise<void>
}

/** Of a stop, when everything else is done. */
const finishMs = 3000
/** One export sends one request at a time, and another one may still end. */
const connectionsMax = 2
/** An answer is empty, or an error of some lines. */
const answerBytesMax = 64 * 1024

/** Undefined where nothing is exported. */
export async function createExporting(deps: {
  readonly config: Config
  readonly access: VaultAccess
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}): Promise<Exporting | undefined> {
  const { config, access, clock } = deps
  if (config.export === undefined) return undefined
  const agent = new Agent({ connections: connectionsMax, maxResponseSize: answerBytesMax })
  const destination = await createLogAnalytics(config.export.logAnalytics, {
    credential: access.credential,
    httpClient: createUndiciHttpClient(agent),
  })
  const telemetry = createExportTelemetry(deps)
  const { tail, cursor, close } = await followed(config, destination.name, clock)
  const entries = createEntryExport({
    tail,
    cursor,
    destination,
    deployment: config.publicUrl,
    clock,
    random: Math.random,
    events: telemetry,
  })
  return {
    telemetry,
    look: () => entries.look(),
    leaveOff: () => {
      entries.leaveOff()
    },
    close: async () => {
      await entries.finish(finishMs)
      await Promise.all([close(), agent.close()])
    },
  }
}

interface Followed {
  readonly tail: LedgerTail
  readonly cursor: ExportCursor
  readonly close: () => Promise<void>
}

async function followed(
  { ledger: place }: Config,
  destination: string,
  clock: Clock,
): Promise<Followed> {
  if (place.kind === 'sqlite') {
    return {
      tail: tailOfFile(place.file),
      cursor: createFileExportCursor(`${place.file}-exported`, destination),
      close: () => Promise.resolve(),
    }
  }
  const [{ createDatabaseSession }, { createPostgresExportCursor }, { tailOfDatabase }] =
    await Promise.all([
      import('./database-access/database-session.ts'),
      import('./custody/postgres-export-cursor.ts'),
      import('./ledger/postgres-tail.ts'),
    ])
  // Of its own: a page of entries takes longer than what others ask the database.
  const session = createDatabaseSession({
    locate: () => locateLedger(place),
    clock,
    timeoutMs: 5000,
  })
  return {
    tail: tailOfDatabase(session),
    cursor: createPostgresExportCursor(session, destination),
    close: () => session.close(),
  }
}
