import type { AzureLog } from '../base/azure-log.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import type { SignInRecord } from './sign-in-record.ts'
import type { SignRecord } from './vault-record.ts'

/** An entry of the ledger that belongs to an attempt, whatever stands in it. */
export interface StoryEntry {
  readonly sequence: number
  readonly entry: Readonly<Record<string, unknown>>
}

/** What one log says of an attempt. */
export interface StoryEvent {
  /** Milliseconds since the Unix epoch, by whoever wrote it; undefined when it does not say. */
  readonly atMs: number | undefined
  readonly from: 'ledger' | AzureLog
  /** Of the entry; absent of records. */
  readonly sequence?: number
  /** Kind of the entry, or what the record is about. */
  readonly what: string
  /** Which id both sides have; absent of entries, and of what does not belong to the attempt. */
  readonly joinedBy?: JoinedBy
  /**
   * The signature whose nonce this record carries without being it: whoever reads the vault's log knows the nonce.
   * Absent of what belongs to the attempt.
   */
  readonly carriesNonceOf?: string
  readonly facts: Readonly<Record<string, unknown>>
}

export type JoinedBy =
  | 'x-ms-request-id'
  | 'signature-nonce'
  | 'entra-trace-id'
  | 'uti'
  | 'client-request-id'
  /** It changed the application of the attempt at that time, and is about no attempt. */
  | 'application'

export function entryEvent({ sequence, entry }: StoryEntry): StoryEvent {
  const { kind, atMs, ...facts } = entry
  return {
    atMs: typeof atMs === 'number' ? atMs : undefined,
    from: 'ledger',
    sequence,
    what: typeof kind === 'string' ? kind : 'unreadable',
    facts,
  }
}

export function changeEvent(audit: DirectoryAudit): StoryEvent {
  const { activity, ...facts } = factsOf(audit)
  return {
    atMs: audit.timeMs,
    from: 'audit-log',
    what: String(activity),
    joinedBy: 'application',
    facts,
  }
}

/** What an event says besides. */
export const factsOf = (
  record: SignRecord | SignInRecord | DirectoryAudit,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(record).filter(([name]) => name !== 'kind' && name !== 'timeMs'),
  )
