import type { KeyObject, X509Certificate } from 'node:crypto'
import type { Link } from '../ledger/chain.ts'
import type { LedgerPruned } from '../ledger/entry.ts'
import type { MoveMark } from '../ledger/move-mark.ts'
import type { AnchorFound } from './anchor-cursor.ts'
import type { Damage } from './damage.ts'
import type { HeadStatement } from './head.ts'
import type { KeyOrigin } from './head-keys.ts'
import type { ProofCounts } from './proof-checks.ts'

/** What a ledger is held to, besides its entries. */
export interface Evidence {
  /** Public keys that heads must be signed with; empty: those that the ledger itself has on record. */
  readonly headKeys: readonly KeyObject[]
  /** Files of anchors, read in the order in which they were written. */
  readonly anchors: readonly string[]
  /** Absent: nobody has witnessed it. */
  readonly witnesses?: readonly WitnessEvidence[]
  /** Absent: no workspace was asked for heads. */
  readonly workspaces?: readonly WorkspaceEvidence[]
  /** Certificates that proofs must verify with; empty: those that the ledger itself has on record. */
  readonly certificates: readonly X509Certificate[]
  /**
   * What its file said of where it goes on, before its entries were read: it ends with that mark's tip. Absent: that
   * it goes on itself, or that it is in no file.
   */
  readonly moved?: MoveMark | 'damaged'
}

/** Heads that a witness has signed too, and kept. */
export interface WitnessEvidence {
  readonly file: string
  /** Public keys of the witness: what none of them has signed does not count. */
  readonly keys: readonly KeyObject[]
}

/** Heads that came to a workspace of Log Analytics with the entries that were exported. */
export interface WorkspaceEvidence {
  /** Of the workspace and its table. */
  readonly name: string
  /** What is there, as an anchor's file has it. */
  readonly file: string
}

/** What was found of a ledger. */
export interface LedgerVerdict {
  /** `undecided`: nothing is damaged, and something could not be checked: see `undecided`. */
  readonly verdict: 'sound' | 'damaged' | 'undecided'
  /** Absent where nothing is wrong. Nothing behind it was looked at. */
  readonly damage?: Damage
  /** In words, why it could not be decided. */
  readonly undecided: readonly string[]
  /** Tells ledgers apart: base64url of the hash of the first entry. Absent of an empty one. */
  readonly ledger?: string
  /** Absent where it begins with its first entry. */
  readonly begins?: {
    /** The last entry that was pruned, of those that are not here. */
    readonly behind: number
  }
  /** How it was pruned last; absent where it never was. */
  readonly pruned?: PrunedFound
  /** The last entry that continues all before it: of a sound ledger, its last. */
  readonly intactUpTo: Link
  readonly heads: HeadsFound
  /** Of anchors, of witnesses and of workspaces. */
  readonly anchors: readonly AnchorFound[]
  readonly proofs: ProofCounts
  /** Entries behind the last head that verifies, wherever that is kept. */
  readonly unsealed: number
  /** Up to which entry an anchor, a witness or a workspace shows that nothing was written anew; undefined: none does. */
  readonly provenUpTo?: number
  /** The same by a witness, whose key the service has not; undefined: none does. */
  readonly witnessedUpTo?: number
}

/** As the chain has it, and as what stands in its place says. */
export type PrunedFound = Pick<LedgerPruned, 'from' | 'upTo' | 'atMs' | 'by' | 'heldBy'> & {
  /** base64url; absent: nothing was exported. */
  readonly exportSha256?: string
  /** Whether what the ledger was held to has a head of that entry: `heldBy` is the word of who pruned otherwise. */
  readonly isHeld: boolean
}

export interface HeadsFound {
  readonly verified: number
  /** Signed with a key that nobody knows, or that is not among those that were given. */
  readonly unknownKey: number
  readonly keys: KeyOrigin | 'none'
  readonly newest?: Pick<HeadStatement, 'sequence' | 'atMs'>
}
