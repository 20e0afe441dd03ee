import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { parseHead } from '../../src/custody/head.ts'
import { canonicalEntry, chainHash, genesis, type Link, type Row } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { authority } from './certificate-chains.ts'
import { tokenIssuedEntry } from './entries.ts'
import { createTestHeadKey } from './heads.ts'
import { required } from './required.ts'

export const headKey = createTestHeadKey()
export const otherHeadKey = createTestHeadKey()

const signingKeys = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const signingCertificate = authority('CN=partners', undefined, {}, signingKeys).certificate
export const signingKeyId = 'https://contoso-hsm.vault.azure.net/keys/partner-signing/v1'

export const firstMs = 1_790_000_000_000
const hourMs = 3_600_000

/** A ledger as a service writes it, one entry a second, with the heads that its anchor holds. */
export interface WrittenLedger {
  readonly entries: readonly Entry[]
  readonly rows: readonly Row[]
  /** Compact, in their order. */
  readonly heads: readonly string[]
  /** The entry up to which the last of them stands. */
  readonly sealedUpTo: number
}

export interface LedgerPlan {
  readonly entries: number
  readonly headEvery: number
  readonly proofEvery: number
  /** Of the first entry; absent: a time of long ago, or not. */
  readonly beginsMs?: number
}

/** Continues the chain with an entry. */
export function rowBehind({ sequence, hash }: Link, entry: Entry): Row {
  const canonical = Buffer.from(canonicalEntry(entry))
  return { sequence: sequence + 1, hash: chainHash(hash, canonical), canonical }
}

/** The rows that a ledger has whose chain is made anew behind a place in another. */
export function continued(before: readonly Row[], entries: readonly Entry[]): readonly Row[] {
  const rows = [...before]
  for (const entry of entries) rows.push(rowBehind(rows.at(-1) ?? genesis, entry))
  return rows
}

export const entryOf = ({ canonical }: Row): Entry =>
  JSON.parse(Buffer.from(canonical).toString()) as Entry

export function writeLedger(plan: LedgerPlan): WrittenLedger {
  const entries: Entry[] = []
  const rows: Row[] = []
  const heads: string[] = []
  const beginsMs = plan.beginsMs ?? firstMs
  const nowMs = () => beginsMs + rows.length * 1000
  const add = (entry: Entry) => {
    entries.push(entry)
    rows.push(rowBehind(rows.at(-1) ?? genesis, entry))
  }
  add({ kind: 'service.started', atMs: nowMs(), version: '1.0.0' })
  add(certificateEntry(nowMs()))
  add(headKeyEntry(nowMs()))
  while (rows.length < plan.entries) {
    const at = rows.length
    if (at % plan.headEvery < 3 && at - plan.headEvery * heads.length >= plan.headEvery) {
      const { ledgerEntries, head } = headOf(rows, nowMs(), at)
      ledgerEntries.forEach(add)
      heads.push(head)
    } else if (at % plan.proofEvery === 0) {
      signatureOf(nowMs(), at).forEach(add)
    } else {
      const expiresAtSeconds = Math.floor(nowMs() / 1000) + 3600
      add({ ...tokenIssuedEntry('orders', `token-${at}`), atMs: nowMs(), expiresAtSeconds })
    }
  }
  const sealedUpTo = required(parseHead(required(heads.at(-1)))).statement.sequence
  return { entries, rows, heads, sealedUpTo }
}

/** A head for all of these rows, by the key or another one, and the entries that it leaves. */
export function headOf(rows: readonly Row[], atMs: number, id: number, key = headKey) {
  const [first, tip] = [required(rows[0]), required(rows.at(-1))]
  const hash = Buffer.from(tip.hash).toString('base64url')
  const ledger = Buffer.from(first.hash).toString('base64url')
  const head = key.head({ ledger, sequence: tip.sequence, hash, atMs })
  const cut = head.lastIndexOf('.')
  const value = Buffer.from(head.slice(cut + 1), 'base64url')
  const signature = idOf(id)
  const ledgerEntries: readonly Entry[] = [
    {
      ...begunOf(id, atMs, head.slice(0, cut)),
      purpose: 'head',
      application: 'countersign',
      tenant: '',
      keyId: key.keyId,
    },
    madeOf(id, atMs, value),
    { kind: 'head.signed', atMs, signature, sequence: tip.sequence, head },
  ]
  return { ledgerEntries, head }
}

const idOf = (id: number) => `01990000-0000-7000-8000-${String(id).padStart(12, '0')}`

const begunOf = (id: number, atMs: number, signingInput: string) =>
  ({
    kind: 'signature.begun',
    atMs,
    signature: idOf(id),
    attempt: idOf(id),
    purpose: 'exchange',
    application: 'events',
    tenant: 'fab00000-0000-4000-8000-000000000002',
    keyId: signingKeyId,
    algorithm: 'PS256',
    digest: sha256Base64url(signingInput),
    nonceSha256: sha256Base64url(`${id}`),
  }) as const satisfies Entry

const madeOf = (id: number, atMs: number, value: Uint8Array): Entry => ({
  kind: 'signature.made',
  atMs,
  signature: idOf(id),
  vaultRequestId: idOf(id),
  signatureSha256: sha256Base64url(value),
})

/** Begun, made, and proved: of an assertion that has long been dead. */
export function signatureOf(atMs: number, id: number): readonly Entry[] {
  const signingInput = `header-${id}.payload-${id}`
  const value = sign('sha256', Buffer.from(signingInput), {
    key: signingKeys.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  })
  const signatureValue = value.toString('base64url')
  return [
    begunOf(id, atMs, signingInput),
    madeOf(id, atMs, value),
    { kind: 'signature.proved', atMs, signature: idOf(id), signingInput, signatureValue },
  ]
}

const certificateEntry = (atMs: number): Entry => ({
  kind: 'certificate.loaded',
  atMs,
  certificate: 'partners',
  keyId: signingKeyId,
  thumbprintSha256: sha256Base64url(signingCertificate.raw),
  notAfterSeconds: Math.floor((atMs + hourMs) / 1000),
  der: signingCertificate.raw.toString('base64'),
})

export function headKeyEntry(atMs: number, key = headKey): Entry {
  const { n = '', e = '' } = key.publicKey.export({ format: 'jwk' })
  return { kind: 'head.key-loaded', atMs, keyId: key.keyId, publicKey: { kty: 'RSA', n, e } }
}

/** As an anchor writes it. */
export const anchorText = (heads: readonly string[]): string =>
  heads.map((head) => `${JSON.stringify({ anchoredAtMs: firstMs, head })}\n`).join('')
