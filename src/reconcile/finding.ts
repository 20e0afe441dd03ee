import type { DirectoryAudit } from './directory-audit.ts'
import type { LedgerFault } from './ledger-facts.ts'
import type { ProofFlaw } from './proof-book.ts'
import type { RemovedFiles } from './removals.ts'
import type { SignInRecord } from './sign-in-record.ts'
import type { OtherRecord, SignRecord } from './vault-record.ts'

/** A difference between the ledger and Azure's logs, with the evidence for it. */
export type Finding =
  | SignUnexplained
  | SignAssumed
  | SignDiffers
  | SignRepeated
  | SignForeignIdentity
  | SignUnexpectedAddress
  | SignRefusedElsewhere
  | SignUnrecorded
  | SignUnproved
  | KeyExposed
  | KeyChanged
  | SignInUnexplained
  | SignInAmbiguous
  | SignInForeignCredential
  | ApplicationChanged
  | LedgerBroken
  | LogsSilent
  | LogsRemoved
  | LogsUnreadable

export type FindingKind = Finding['kind']

/** The key signed and the ledger does not know. */
export interface SignUnexplained {
  readonly kind: 'sign.unexplained'
  readonly record: SignRecord
  /** The record carries the nonce of this signature, which it cannot be: a second one in its name. */
  readonly nonceOf?: string
}

/** Ours if nonce, key version, principal and time do not deceive: no answer of the vault arrived that could be used. */
export interface SignAssumed {
  readonly kind: 'sign.assumed'
  readonly record: SignRecord
  readonly signature: string
  readonly attempt: string
}

/** What the ledger says of a signature that it knows by the id of the vault's answer. */
interface JoinedById {
  readonly record: SignRecord
  readonly signature: string
  /** Absent when the ledger does not say how it began. */
  readonly attempt?: string
}

/** Ours by the vault's id, but not what the ledger says it is. */
export interface SignDiffers extends JoinedById {
  readonly kind: 'sign.differs'
  readonly differences: readonly Difference[]
}

export interface Difference {
  readonly what: 'key' | 'algorithm' | 'outcome' | 'time'
  readonly ledger: string
  readonly vault: string
}

/** A second record under the id of one signature. */
export interface SignRepeated extends JoinedById {
  readonly kind: 'sign.repeated'
  /** That which is taken for the signature itself. */
  readonly first: SignRecord
}

/** Ours by the vault's id, but asked for by a principal that is not us. */
export interface SignForeignIdentity extends JoinedById {
  readonly kind: 'sign.foreign-identity'
}

/** Ours by the vault's id, but asked for from a network that is not ours. */
export interface SignUnexpectedAddress extends JoinedById {
  readonly kind: 'sign.unexpected-address'
}

/** Somebody else asked the key to sign, and was refused. */
export interface SignRefusedElsewhere {
  readonly kind: 'sign.refused-elsewhere'
  readonly record: SignRecord
}

/** The ledger says signed, and the vault's log, which reaches beyond that time, does not have it. */
export interface SignUnrecorded {
  readonly kind: 'sign.unrecorded'
  readonly signature: string
  readonly vaultRequestId: string
  readonly madeAtMs: number
  /** Absent when the ledger does not say how the signature began. */
  readonly attempt?: string
  readonly keyId?: string
}

/** Nothing shows that what was signed is what the ledger says, and by now something should. */
export interface SignUnproved {
  readonly kind: 'sign.unproved'
  readonly signature: string
  readonly vaultRequestId: string
  readonly madeAtMs: number
  readonly because: UnprovedReason
  /** Absent when the ledger does not say how the signature began. */
  readonly attempt?: string
  readonly keyId?: string
}

export type UnprovedReason =
  | Exclude<ProofFlaw, 'without-certificate'>
  /** Nothing was published. */
  | 'missing'
  /** Neither was it, and a process ended before it could have been. */
  | 'process-ended'

/** Somebody took, or was given, what may hold the private key. */
export interface KeyExposed {
  readonly kind: 'key.exposed'
  readonly record: OtherRecord
}

/** Somebody changed the key, its certificate, or who may use it. */
export interface KeyChanged {
  readonly kind: 'key.changed'
  readonly record: OtherRecord
}

/** Entra saw our application prove itself with our certificate, and the ledger does not know. */
export interface SignInUnexplained {
  readonly kind: 'signin.unexplained'
  readonly signIn: SignInRecord
}

/** The same, while it may have been an answer that was lost or an assertion that was handed out. */
export interface SignInAmbiguous {
  readonly kind: 'signin.ambiguous'
  readonly signIn: SignInRecord
  readonly because: 'answer-lost' | 'assertion-handed-out'
}

/** A watched application proved itself with a credential that is none of ours. */
export interface SignInForeignCredential {
  readonly kind: 'signin.foreign-credential'
  readonly signIn: SignInRecord
}

/** A watched application was given, or lost, a credential or an owner. */
export interface ApplicationChanged {
  readonly kind: 'application.changed'
  readonly audit: DirectoryAudit
}

export interface LedgerBroken {
  readonly kind: 'ledger.broken'
  readonly fault: LedgerFault
}

/** Signatures of heads, which are made on a schedule, are in the ledger, and the vault's log is silent. */
export interface LogsSilent {
  readonly kind: 'logs.silent'
  readonly vault: string
  readonly heads: number
  /** Of the first of them and the last. */
  readonly fromMs: number
  readonly toMs: number
}

/** What a log held when somebody read it who keeps watch, and holds no longer. */
export interface LogsRemoved {
  readonly kind: 'logs.removed'
  readonly removed: RemovedFiles | RemovedRecord
}

/** What another finding is about. */
export interface RemovedRecord {
  readonly what: 'record'
  /** The id of that finding. */
  readonly of: string
  readonly ofKind: FindingKind
  readonly atMs: number
}

/** Whoever keeps watch could not read a log, or the ledger, again and again: what it has nobody knows. */
export interface LogsUnreadable {
  readonly kind: 'logs.unreadable'
  readonly of: 'vault' | 'sign-ins' | 'audits' | 'ledger'
  readonly log: string
  readonly why: string
  readonly fromMs: number
}

/** How soon somebody has to look: at once, soon, or when there is time. */
export type Severity = 'high' | 'medium' | 'low'

/** Of findings of a kind, where {@link severityOf} does not tell them apart. */
export const severities: Readonly<Record<FindingKind, Severity>> = {
  'ledger.broken': 'high',
  'sign.unexplained': 'high',
  'signin.foreign-credential': 'high',
  'signin.unexplained': 'high',
  'key.exposed': 'high',
  'sign.foreign-identity': 'high',
  'sign.repeated': 'high',
  'logs.silent': 'high',
  'logs.removed': 'high',
  'logs.unreadable': 'high',
  'application.changed': 'high',
  'key.changed': 'medium',
  'sign.differs': 'medium',
  'sign.unrecorded': 'medium',
  'sign.unproved': 'medium',
  'sign.unexpected-address': 'medium',
  'sign.refused-elsewhere': 'medium',
  'signin.ambiguous': 'low',
  'sign.assumed': 'low',
}

/**
 * Of this one: what is gone weighs as much as what it showed, a proof that is false is worse than none, and one that a
 * crash took is nobody's doing.
 */
export function severityOf(finding: Finding): Severity {
  if (finding.kind === 'logs.removed' && finding.removed.what === 'record') {
    return severities[finding.removed.ofKind]
  }
  if (finding.kind !== 'sign.unproved') return severities[finding.kind]
  switch (finding.because) {
    case 'process-ended':
      return 'low'
    case 'missing':
    case 'too-late':
      return 'medium'
    case 'not-what-was-begun':
    case 'not-what-was-made':
    case 'does-not-verify':
    case 'of-another-time':
    case 'used-before':
      return 'high'
  }
}

/** The worst first. */
export const findingKinds = Object.keys(severities) as readonly FindingKind[]

/** What may turn out either way: counted, and looked at again by a later run. */
export interface Undecided {
  readonly reason: UndecidedReason
  readonly count: number
  /** Of the first and the last of them, where they have a time. */
  readonly fromMs?: number
  readonly toMs?: number
}

export type UndecidedReason =
  | 'record-too-young' // the ledger may still learn of it
  | 'signature-too-young' // its record may still arrive
  | 'sign-in-too-young' // the ledger may still learn of it
  | 'sign-in-before-ledger' // the ledger begins later
  | 'ledger-pruned' // what the ledger said of that time was removed from it
  | 'evidence-not-checked' // heads or proofs of the ledger, by keys that were not given
  | 'service-not-known' // requests that were refused, and nobody knows whether they were ours
  | 'log-does-not-reach' // signatures of the ledger outside of what the log covers
  | 'hour-not-delivered' // signatures of an hour of which the log has no record at all
  | 'log-not-understood' // places in the log that may hide a signature
  | 'log-unreadable' // it, or one of several, is away: the others were looked at
  | 'log-empty'
  | 'vault-without-log' // a watched key is in it, and the log has no record of it
  | 'no-key-to-watch' // neither the ledger nor the operator names one
  | 'no-application-to-watch' // sign-ins or audits are given, and nobody names an application
  | 'proof-without-certificate' // the ledger has none for the key on record
  | 'change-of-unknown-application' // the record names neither its client id nor an object that is watched
  | 'too-many' // of a kind that is kept: the others are counted alone
