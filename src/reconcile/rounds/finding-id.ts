import { hash } from 'node:crypto'
import type { DirectoryAudit } from '../directory-audit.ts'
import type { Finding, FindingKind, LogsRemoved } from '../finding.ts'
import { keyNameText } from '../key-name.ts'
import { hourOf } from '../coverage.ts'
import type { SignInRecord } from '../sign-in-record.ts'
import { identityOf } from '../sign-record-identity.ts'
import type { VaultRecord } from '../vault-record.ts'

/**
 * The same for the same evidence, whenever and by whomever it is found: 32 hexadecimal digits. What may still
 * change about a finding, such as how many heads a log is silent about, is no part of it.
 *
 * @param ledger Tells ledgers apart, so that no two deployments have findings of one id.
 */
export const findingIdOf = (ledger: string, finding: Finding): string =>
  idFrom(ledger, finding.kind, evidenceOf(finding))

const idFrom = (
  ledger: string,
  kind: FindingKind,
  evidence: readonly (string | number)[],
): string => hash('sha256', JSON.stringify([ledger, kind, ...evidence]), 'hex').slice(0, 32)

/** What makes it this finding and no other of its kind. */
function evidenceOf(finding: Finding): readonly (string | number)[] {
  switch (finding.kind) {
    case 'ledger.broken': {
      const { fault } = finding
      return [fault.fault, fault.fault === 'evidence' ? fault.reason : fault.sequence]
    }
    case 'logs.silent':
      return [finding.vault, hourOf(finding.fromMs)]
    case 'logs.removed':
      return [finding.removed.what, removalOf(finding)]
    case 'logs.unreadable':
      return [finding.of, finding.log]
    case 'sign.unrecorded':
    case 'sign.unproved':
      return [finding.signature, finding.vaultRequestId]
    case 'key.exposed':
    case 'key.changed':
      return evidenceIn(finding.record)
    case 'signin.unexplained':
    case 'signin.ambiguous':
    case 'signin.foreign-credential':
      return evidenceIn(finding.signIn)
    case 'application.changed':
      return evidenceIn(finding.audit)
    case 'sign.unexplained':
    case 'sign.assumed':
    case 'sign.differs':
    case 'sign.repeated':
    case 'sign.foreign-identity':
    case 'sign.unexpected-address':
    case 'sign.refused-elsewhere':
      return evidenceIn(finding.record)
  }
}

/** What went: a group of files, or the record of a finding. */
export const removalOf = ({ removed }: LogsRemoved): string =>
  removed.what === 'files' ? removed.group : removed.of

export type LogRecord = VaultRecord | SignInRecord | DirectoryAudit

/** What tells a record from others of its log. */
function evidenceIn(record: LogRecord): readonly (string | number)[] {
  switch (record.kind) {
    case 'sign':
      return [identityOf(record)]
    case 'other': {
      const { correlationId, operationName, timeMs, object } = record
      const name = object === undefined ? '' : `${object.collection} ${keyNameText(object)}`
      return [correlationId, operationName, timeMs, name]
    }
    case 'sign-in': {
      const { id, uti = '', appId, timeMs } = record
      return [id, uti, appId, timeMs]
    }
    case 'directory-audit': {
      const { id, timeMs, activity } = record
      return [id, timeMs, activity]
    }
  }
}

const kindsAbout: Readonly<Record<LogRecord['kind'], readonly FindingKind[]>> = {
  sign: [
    'sign.unexplained',
    'sign.assumed',
    'sign.differs',
    'sign.repeated',
    'sign.foreign-identity',
    'sign.unexpected-address',
    'sign.refused-elsewhere',
  ],
  other: ['key.exposed', 'key.changed'],
  'sign-in': ['signin.unexplained', 'signin.ambiguous', 'signin.foreign-credential'],
  'directory-audit': ['application.changed'],
}

/** Of all findings that a record may be the evidence of. */
export const idsOfRecord = (ledger: string, record: LogRecord): readonly string[] =>
  kindsAbout[record.kind].map((kind) => idFrom(ledger, kind, evidenceIn(record)))

/** The record that it is about; undefined: it is about something else, or about a record that is missing. */
export function recordOf(finding: Finding): LogRecord | undefined {
  if ('record' in finding) return finding.record
  if ('signIn' in finding) return finding.signIn
  return 'audit' in finding ? finding.audit : undefined
}

/** When what it is about happened, milliseconds since the Unix epoch; undefined for a ledger that is broken. */
export function timeOfFinding(finding: Finding): number | undefined {
  switch (finding.kind) {
    case 'ledger.broken':
      return undefined
    case 'logs.silent':
    case 'logs.unreadable':
      return finding.fromMs
    case 'logs.removed':
      return finding.removed.what === 'files' ? finding.removed.fromMs : finding.removed.atMs
    case 'sign.unrecorded':
    case 'sign.unproved':
      return finding.madeAtMs
    case 'signin.unexplained':
    case 'signin.ambiguous':
    case 'signin.foreign-credential':
      return finding.signIn.timeMs
    case 'application.changed':
      return finding.audit.timeMs
    case 'sign.unexplained':
    case 'sign.assumed':
    case 'sign.differs':
    case 'sign.repeated':
    case 'sign.foreign-identity':
    case 'sign.unexpected-address':
    case 'sign.refused-elsewhere':
    case 'key.exposed':
    case 'key.changed':
      return finding.record.timeMs
  }
}
