import type { FindingKind } from '../finding.ts'
import type { LogRecord } from './finding-id.ts'
import type { UnreadableState } from './round-state.ts'

/** What is in a log, and what tells it from others in marks and findings. */
export type LogKind = Exclude<UnreadableState['of'], 'ledger'>

/** Under which a log, or the ledger, is remembered. */
export const logNameOf = (of: UnreadableState['of'], log: string): string => `${of} ${log}`

export const isOfKind = (of: UnreadableState['of'], name: string): boolean =>
  name.startsWith(`${of} `)

/** The kind of log that has records of a kind. */
export const kindOf: Readonly<Record<LogRecord['kind'], LogKind>> = {
  sign: 'vault',
  other: 'vault',
  'sign-in': 'sign-ins',
  'directory-audit': 'audits',
}

/** The log that has the record that a finding is about; of some it is that there is none. */
export const logWithRecordOf: Readonly<Partial<Record<FindingKind, LogKind>>> = {
  'sign.unexplained': 'vault',
  'sign.assumed': 'vault',
  'sign.differs': 'vault',
  'sign.repeated': 'vault',
  'sign.foreign-identity': 'vault',
  'sign.unexpected-address': 'vault',
  'sign.refused-elsewhere': 'vault',
  'key.exposed': 'vault',
  'key.changed': 'vault',
  'signin.unexplained': 'sign-ins',
  'signin.ambiguous': 'sign-ins',
  'signin.foreign-credential': 'sign-ins',
  'application.changed': 'audits',
}

/** Whether a log that shows findings of the kind cannot be read: they are not gone because nobody sees them. */
export function isHiddenFrom(
  kind: FindingKind,
  unreadable: readonly Pick<UnreadableState, 'of'>[],
): boolean {
  if (kind === 'ledger.broken' || kind === 'logs.unreadable') return false
  const log = logWithRecordOf[kind] ?? 'vault'
  return unreadable.some(({ of }) => of === log)
}
