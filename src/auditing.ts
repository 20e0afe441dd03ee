// What auditors read, as one more part of the wiring.
import { type AuditReads, createAuditReads } from './audit/audit-reads.ts'
import { createEntryPages, type EntryPages } from './audit/entry-pages.ts'
import { createLedgerTurns } from './audit/ledger-turns.ts'
import { type AttemptStories, createAttemptStories } from './audit/read-attempt.ts'
import type { Clock } from './base/clock.ts'
import type { Config, LedgerConfig } from './config/config.ts'
import { type AuditPageDeps, signOutPath } from './http/audit-page.ts'
import type { Ledger } from './ledger/ledger.ts'
import { type LedgerTail, tailOfFile } from './ledger/ledger-tail.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { createReporting, logsMsDefault } from './reporting.ts'

export interface Auditing {
  readonly reads: AuditReads
  readonly pages: EntryPages
  readonly stories: AttemptStories
  readonly page: AuditPageDeps['page']
  readonly close: () => Promise<void>
}

const databaseTimeoutMs = 5000

export async function createAuditing(deps: {
  readonly config: Config
  readonly ledger: Ledger
  readonly identityClientId: string | undefined
  readonly clock: Clock
  /** What a reload may have changed, as it is now. */
  readonly inForce: () => Config
}): Promise<Auditing> {
  const { config, identityClientId, clock, inForce } = deps
  const { tail, close } = await followed(config.ledger, clock)
  const reporting = createReporting({
    config,
    clock,
    signOutPath,
    identityClientId,
    inForce,
    logsMs: logsMsDefault,
  })
  const turns = createLedgerTurns()
  return {
    reads: createAuditReads(deps),
    pages: createEntryPages(tail, turns),
    stories: createAttemptStories(tail, turns, clock),
    page: () => reporting.page(),
    close: async () => {
      await Promise.all([close(), reporting.close()])
    },
  }
}

interface Followed {
  readonly tail: LedgerTail
  readonly close: () => Promise<void>
}

async function followed(place: LedgerConfig, clock: Clock): Promise<Followed> {
  if (place.kind === 'sqlite') {
    return { tail: tailOfFile(place.file), close: () => Promise.resolve() }
  }
  const [{ createDatabaseSession }, { tailOfDatabase }] = await Promise.all([
    import('./database-access/database-session.ts'),
    import('./ledger/postgres-tail.ts'),
  ])
  // It is connected by the first who asks; of its own, because a page takes longer than what others ask for.
  const session = createDatabaseSession({
    locate: () => locateLedger(place),
    clock,
    timeoutMs: databaseTimeoutMs,
  })
  return { tail: tailOfDatabase(session), close: () => session.close() }
}
