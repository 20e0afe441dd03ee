import { chainHash, genesis } from '../../../src/ledger/chain.ts'
import type { Link, Row } from '../../../src/ledger/chain.ts'
import { canonicalJson } from '../../../src/base/canonical-json.ts'
import { createTestHeadKey } from '../heads.ts'
import type { TestHeadKey } from '../heads.ts'
import { newId, nonceSha256, sha256, us } from './story.ts'
import type { LedgerEntry, PlannedHead, Random, Story } from './story.ts'

/** Small, because they sign often. */
export const storyHeadKey = createTestHeadKey(us.headsKeyId, 1024)
/** Of somebody else, who says that it is the other one. */
const strangersKey = createTestHeadKey(us.headsKeyId, 1024)

/** A story's ledger as the service has written it, with its heads. */
export interface StoryLedger {
  readonly entries: readonly LedgerEntry[]
  readonly rows: readonly Row[]
  /** In order; those of the service that verify. */
  readonly heads: readonly SignedHead[]
}

export interface SignedHead {
  /** Of the last entry that it stands for. */
  readonly sequence: number
  readonly compact: string
  readonly planned: PlannedHead
}

/** How the service's identity, or its thief, signs heads that nobody else should take for good. */
export type HeadFault = 'by-another-key' | 'of-another-entry'

const minute = 60_000

/** A token from the cache: says nothing of signatures. */
export const filler = (atMs: number): LedgerEntry => ({
  kind: 'token.issued',
  atMs,
  attempt: newId(),
  caller: { issuer: 'github', subject: 's' },
  grant: 'deploy',
  application: 'events',
  tenant: us.tenant,
  obtainedBy: 'a',
  tokenSha256: 't',
  expiresAtSeconds: Math.floor(atMs / 1000) + 3600,
})

/** Entries in the order of their times, with others between them that say nothing of signatures. */
export function entriesOf(story: Story, random: Random): readonly LedgerEntry[] {
  const fillers: LedgerEntry[] = []
  for (let atMs = story.startMs + minute; atMs < story.nowMs; atMs += 30 * minute) {
    fillers.push(filler(atMs + Math.floor(random() * 25 * minute)))
  }
  return [...story.entries, headKeyOf(story.startMs), ...fillers].toSorted(
    (one, other) => one.atMs - other.atMs,
  )
}

function headKeyOf(atMs: number): LedgerEntry {
  const { n, e } = storyHeadKey.publicKey.export({ format: 'jwk' })
  return {
    kind: 'head.key-loaded',
    atMs,
    keyId: us.headsKeyId,
    publicKey: { kty: 'RSA', n, e },
  }
}

export interface Writing {
  /** What is there already; absent: nothing is. */
  readonly before?: StoryLedger
  readonly entries: readonly LedgerEntry[]
  /** Those that are still to be signed, in order. */
  readonly planned: readonly PlannedHead[]
  readonly faultAt?: { readonly head: number; readonly fault: HeadFault }
}

/** Each head is signed when it is due, for all that is there by then. */
export function writeStory({ before, entries, planned, faultAt }: Writing): StoryLedger {
  const written: LedgerEntry[] = [...(before?.entries ?? [])]
  const rows: Row[] = [...(before?.rows ?? [])]
  const heads: SignedHead[] = [...(before?.heads ?? [])]
  const add = (entry: LedgerEntry) => {
    written.push(entry)
    rows.push(rowOf(rows.at(-1) ?? genesis, entry))
  }
  let next = 0
  const signUpTo = (atMs: number) => {
    for (let due = planned[next]; due !== undefined && due.atMs <= atMs; due = planned[next]) {
      const fault = faultAt?.head === next ? faultAt.fault : undefined
      const key = fault === 'by-another-key' ? strangersKey : storyHeadKey
      const signed = headOf(rows, due, key)
      const shift = fault === 'of-another-entry' ? 1 : 0
      for (const entry of headEntries(signed, shift)) add(entry)
      if (fault === undefined) heads.push(signed)
      next += 1
    }
  }
  for (const entry of entries) {
    signUpTo(entry.atMs)
    add(entry)
  }
  signUpTo(Infinity)
  return { entries: written, rows, heads }
}

export function rowOf({ sequence, hash }: Link, entry: LedgerEntry): Row {
  const canonical = Buffer.from(canonicalJson(entry as never))
  return { sequence: sequence + 1, hash: chainHash(hash, canonical), canonical }
}

export const headByStranger = (rows: readonly Row[], planned: PlannedHead): SignedHead =>
  headOf(rows, planned, strangersKey)

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

function headOf(rows: readonly Row[], planned: PlannedHead, key: TestHeadKey): SignedHead {
  const [first, tip] = [rows[0], rows.at(-1)]
  if (first === undefined || tip === undefined) throw new RangeError('there is nothing to sign')
  const { sequence } = tip
  const { atMs } = planned
  const statement = { ledger: base64url(first.hash), sequence, hash: base64url(tip.hash), atMs }
  return { sequence, planned, compact: key.head(statement) }
}

/** What the service writes of it: it begins, it is made, and it is its own proof. */
function headEntries(
  { planned, sequence, compact }: SignedHead,
  shift: number,
): readonly LedgerEntry[] {
  const { atMs, signature, requestId, nonce } = planned
  const cut = compact.lastIndexOf('.')
  return [
    {
      kind: 'signature.begun',
      atMs,
      signature,
      attempt: signature,
      purpose: 'head',
      application: 'countersign',
      tenant: '',
      keyId: us.headsKeyId,
      algorithm: 'PS256',
      digest: sha256(compact.slice(0, cut)),
      nonceSha256: nonceSha256(nonce),
    },
    {
      kind: 'signature.made',
      atMs,
      signature,
      vaultRequestId: requestId,
      signatureSha256: sha256(Buffer.from(compact.slice(cut + 1), 'base64url')),
    },
    { kind: 'head.signed', atMs, signature, sequence: sequence + shift, head: compact },
  ]
}
