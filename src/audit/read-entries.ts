import type { Row } from '../ledger/chain.ts'
import { asAuditor, type AuditDeps, type AuditRequest } from './audit.ts'
import type { AuditRefusal } from './audit-refusal.ts'
import type { EntryPages } from './entry-pages.ts'

export interface EntriesRequest extends Omit<AuditRequest, 'read'> {
  /** Sequence of the last entry that is known; 0 for none. */
  readonly after: number
  readonly entriesMax: number
}

export type EntriesOutcome =
  | { readonly ok: true; readonly rows: readonly Row[] }
  | { readonly ok: false; readonly refusal: AuditRefusal }

/**
 * A page of the ledger, as it is stored.
 *
 * @throws AuditError | CallerError | LedgerError
 */
export function readEntries(
  { after, entriesMax, ...request }: EntriesRequest,
  deps: AuditDeps & { readonly pages: EntryPages },
): Promise<EntriesOutcome> {
  return asAuditor({ ...request, read: 'entries' }, deps, async (): Promise<EntriesOutcome> => {
    const rows = await deps.pages.page(after, entriesMax)
    return rows === undefined
      ? { ok: false, refusal: { reason: 'entries_missing' } }
      : { ok: true, rows }
  })
}
