import type { LedgerFault } from './ledger-facts.ts'
import type { SignRecord } from './vault-record.ts'

/** A difference between the ledger and the vault's log, with the evidence for it. */
export type Finding = SignUnexplained | SignAssumed | SignDiffers | SignUnrecorded | LedgerBroken

export type FindingKind = Finding['kind']

/** The key signed and the ledger does not know. */
export interface SignUnexplained {
  readonly kind: 'sign.unexplained'
  readonly record: SignRecord
  /** The record carries the nonce of this signature, which it cannot be: a second one in its name. */
  readonly nonceOf?: string
}

/** Ours if nonce, key version and time do not deceive: the vault's answer never arrived. */
export interface SignAssumed {
  readonly kind: 'sign.assumed'
  readonly record: SignRecord
  readonly signature: string
  readonly attempt: string
}

/** Ours by the vault's id, but not what the ledger says it is. */
export interface SignDiffers {
  readonly kind: 'sign.differs'
  readonly record: SignRecord
  readonly signature: string
  readonly differences: readonly Difference[]
}

export interface Difference {
  readonly what: 'key' | 'algorithm' | 'outcome'
  readonly ledger: string
  readonly vault: string
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

export interface LedgerBroken {
  readonly kind: 'ledger.broken'
  readonly fault: LedgerFault
}

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
  | 'log-does-not-reach' // signatures of the ledger outside of what the log covers
  | 'log-not-understood' // places in the log that may hide a signature
  | 'log-empty'
  | 'no-key-to-watch' // neither the ledger nor the operator names one
