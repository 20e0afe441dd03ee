import { z } from 'zod'
import { canonicalJson } from '../base/canonical-json.ts'
import { parseJson } from '../base/parse-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { Row } from './chain.ts'
import type { CertificateLoaded, HeadKeyLoaded, LedgerPruned } from './entry.ts'

/**
 * Where what is left of a ledger begins: all up to an entry was pruned, and this stands for it. It is kept
 * beside the chain, because it is what the chain begins with. Whoever writes the database can put another one
 * there, with an entry `ledger.pruned` that tells of it, but none with a head of the heads' key for a hash of their
 * own: `by`, `heldBy` and `exportSha256` are their word.
 */
export interface Cut {
  readonly kind: 'ledger.cut'
  /** Milliseconds since the Unix epoch, by the clock of who pruned. */
  readonly atMs: number
  /** Tells ledgers apart: base64url of the hash of the first entry there ever was. */
  readonly ledger: string
  /** Of the first entry that was pruned with this one: one more than the cut before, if there was one. */
  readonly from: number
  /** Of the last entry that was pruned, and its hash, base64url. */
  readonly sequence: number
  readonly hash: string
  /** The head for that entry, compact. */
  readonly head: string
  /** Who else held that head. */
  readonly heldBy: 'anchor' | 'witness'
  /** Who pruned, as the machine and the database name them. */
  readonly by: string
  /** Of the file that holds what was pruned; absent: there is none. */
  readonly exportSha256?: string
  /** That signed heads before, so that this one can be checked without asking anybody. */
  readonly headKeys: readonly Pick<HeadKeyLoaded, 'keyId' | 'publicKey'>[]
  /** That signed before, for proofs that come later. */
  readonly certificates: readonly CertificateOnRecord[]
}

export type CertificateOnRecord = Pick<
  CertificateLoaded,
  'keyId' | 'thumbprintSha256' | 'notAfterSeconds' | 'der'
>

const hashForm = z.string().regex(/^[\w-]{43}$/)

const cutForm = z.strictObject({
  kind: z.literal('ledger.cut'),
  atMs: z.int(),
  ledger: hashForm,
  from: z.int().positive(),
  sequence: z.int().positive(),
  hash: hashForm,
  head: z.string(),
  heldBy: z.enum(['anchor', 'witness']),
  by: z.string(),
  exportSha256: hashForm.exactOptional(),
  headKeys: z.array(
    z.strictObject({
      keyId: z.string(),
      publicKey: z.strictObject({ kty: z.literal('RSA'), n: z.string(), e: z.string() }),
    }),
  ),
  certificates: z.array(
    z.strictObject({
      keyId: z.string(),
      thumbprintSha256: z.string(),
      notAfterSeconds: z.number(),
      der: z.string(),
    }),
  ),
}) satisfies z.ZodType<Cut>

/** What stands in the place of all rows up to the cut, as it is stored and exported. */
export function cutRowFrom(canonical: Uint8Array): Row {
  const cut = parseCut(canonical)
  return {
    // Where it is no cut nothing continues it.
    sequence: cut?.sequence ?? Number.NaN,
    hash: Buffer.from(cut?.hash ?? '', 'base64url'),
    canonical,
    isCut: true,
  }
}

export const canonicalCut = (cut: Cut): string =>
  canonicalJson({
    ...cut,
    headKeys: cut.headKeys.map(({ keyId, publicKey }) => ({ keyId, publicKey: { ...publicKey } })),
    certificates: cut.certificates.map((certificate) => ({ ...certificate })),
  })

/** Undefined for what is none. */
export const parseCut = (canonical: Uint8Array): Cut | undefined =>
  cutForm.safeParse(parseJson(Buffer.from(canonical).toString())).data

/** What the chain says of the cut. */
export const prunedEntry = (cut: Cut): LedgerPruned => ({
  kind: 'ledger.pruned',
  atMs: cut.atMs,
  from: cut.from,
  upTo: cut.sequence,
  hash: cut.hash,
  heldBy: cut.heldBy,
  by: cut.by,
  ...(cut.exportSha256 === undefined ? {} : { exportSha256: cut.exportSha256 }),
  cutSha256: sha256Base64url(canonicalCut(cut)),
})
