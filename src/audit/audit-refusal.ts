import type { ProvingRefusal } from '../caller/proven-caller.ts'
import type { PolicyRefusal } from '../policy/decision.ts'

/** Every reason for which nobody is told what is in the ledger. */
export type AuditRefusal =
  | ProvingRefusal
  | PolicyRefusal
  /** Whoever asks is stopped, or what lets it ask is. */
  | { readonly reason: 'revoked' }
  /** The ledger ends before the entry that was named: it is another ledger, or an earlier state of it. */
  | { readonly reason: 'entries_missing' }
  /** The ledger has nothing of this attempt about the time at which its id was made. */
  | { readonly reason: 'attempt_unknown' }
