// A ledger that somebody else follows, as one more part of the wiring: for a witness.
import type { Clock } from './base/clock.ts'
import type { KeptLedger } from './ledger/ledger-source.ts'
import { type LedgerTail, tailOfFile } from './ledger/ledger-tail.ts'

export interface OpenTail {
  readonly tail: LedgerTail
  readonly close: () => Promise<void>
}

/** The tail of a ledger wherever it is kept; most are files, and load no driver of a database. */
export async function openTail(kept: KeptLedger, clock: Clock): Promise<OpenTail> {
  if (kept.in === 'file') return { tail: tailOfFile(kept.file), close: () => Promise.resolve() }
  const [{ createDatabaseSession }, { tailOfDatabase }] = await Promise.all([
    import('./database-access/database-session.ts'),
    import('./ledger/postgres-tail.ts'),
  ])
  const session = createDatabaseSession({ locate: () => Promise.resolve(kept.ledger), clock })
  return { tail: tailOfDatabase(session), close: () => session.close() }
}
