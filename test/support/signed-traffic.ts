import { constants, createHash, generateKeyPairSync, sign } from 'node:crypto'
import type {
  CertificateLoaded,
  Entry,
  SignatureBegun,
  SignatureFailed,
  SignatureMade,
  SignatureProved,
} from '../../src/ledger/entry.ts'
import { authority } from './certificate-chains.ts'

/** A key, what the service wrote about signatures with it, and what the vault wrote. */

export const keyUrl = 'https://contoso-hsm.vault.azure.net/keys/partner-signing'
export const keyVersion = '0a1b'.repeat(8)
export const keyId = `${keyUrl}/${keyVersion}`

export const startMs = Date.parse('2026-11-22T04:00:00.000Z')
export const minuteMs = 60_000

/** When everything in these tests is long past. */
export const laterMs = startMs + 24 * 60 * minuteMs

const digits = (index: number, length: number) => String(index).padStart(length, '0')

/** 22 characters, as 16 bytes have in base64url. */
export const nonceOf = (index: number) => `nonce-${digits(index, 16)}`
export const requestIdOf = (index: number) => `6f0c1d8e-0000-4000-8000-${digits(index, 12)}`
export const signatureIdOf = (index: number) => `0198c0de-0000-7000-8000-${digits(index, 12)}`

/** Small, because it signs often: who compares what is tested, and not RSA. */
const keys = generateKeyPairSync('rsa', { modulusLength: 1024 })
const { certificate } = authority('CN=partners', undefined, {}, keys)
const pss = {
  key: keys.privateKey,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
}

export const loaded: CertificateLoaded = {
  kind: 'certificate.loaded',
  atMs: startMs,
  certificate: 'partners',
  keyId,
  thumbprintSha256: createHash('sha256').update(certificate.raw).digest('base64url'),
  notAfterSeconds: 1_800_000_000,
  der: certificate.raw.toString('base64'),
}

/** One signature a minute. */
export const beganAtMs = (index: number) => startMs + index * minuteMs

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('base64url')
const expiresAtSeconds = (index: number) => beganAtMs(index) / 1000 + 300

/** What is signed: an assertion, or a head, as far as anybody looks at them. */
const signingInputOf = (index: number) =>
  `${base64url({ alg: 'PS256', typ: 'JWT' })}.${base64url({ jti: signatureIdOf(index), exp: expiresAtSeconds(index), atMs: beganAtMs(index) })}`

const signatures = new Map<number, Buffer>()

/** One for each, however often it is asked for: no two of PS256 are alike. */
export function signatureOf(index: number): Buffer {
  const known = signatures.get(index) ?? sign('sha256', Buffer.from(signingInputOf(index)), pss)
  signatures.set(index, known)
  return known
}

export const begun = (index: number, changes: Partial<SignatureBegun> = {}): SignatureBegun => ({
  kind: 'signature.begun',
  atMs: beganAtMs(index),
  signature: signatureIdOf(index),
  attempt: `attempt-${index}`,
  purpose: 'exchange',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  keyId,
  algorithm: 'PS256',
  digest: sha256(signingInputOf(index)),
  nonceSha256: createHash('sha256').update(nonceOf(index)).digest('base64url'),
  expiresAtSeconds: expiresAtSeconds(index),
  ...changes,
})

export const made = (index: number, changes: Partial<SignatureMade> = {}): SignatureMade => ({
  kind: 'signature.made',
  atMs: beganAtMs(index) + 80,
  signature: signatureIdOf(index),
  vaultRequestId: requestIdOf(index),
  signatureSha256: sha256(signatureOf(index)),
  ...changes,
})

export const proved = (index: number, changes: Partial<SignatureProved> = {}): SignatureProved => ({
  kind: 'signature.proved',
  atMs: (expiresAtSeconds(index) + 610) * 1000,
  signature: signatureIdOf(index),
  signingInput: signingInputOf(index),
  signatureValue: signatureOf(index).toString('base64url'),
  ...changes,
})

/** As the service goes on: whatever was made is proved in the end, and each key has its certificate on record. */
export function withProofs(entries: readonly Entry[]): readonly Entry[] {
  const keyIds = new Set(
    entries.flatMap((one) => (one.kind === 'signature.begun' ? one.keyId : [])),
  )
  const made = new Set(
    entries.flatMap((one) => (one.kind === 'signature.made' ? one.signature : [])),
  )
  return [
    ...[...keyIds].filter((id) => id !== keyId).map((id) => ({ ...loaded, keyId: id })),
    ...entries,
    ...[...made].map((signature) => proved(Number(signature.slice(-12)), { signature })),
  ]
}

export const failed = (index: number, changes: Partial<SignatureFailed> = {}): SignatureFailed => ({
  kind: 'signature.failed',
  atMs: beganAtMs(index) + 80,
  signature: signatureIdOf(index),
  code: 'SIGNER_TIMEOUT',
  applied: 'unknown',
  ...changes,
})

/** What a record says, as far as these tests change it. */
export interface RecordChanges {
  readonly atMs?: number
  readonly operationName?: string
  readonly correlationId?: string
  readonly httpStatusCode?: number
  readonly id?: string
  readonly algorithm?: string
  readonly clientInfo?: string
  readonly oid?: string
}

/** The record of the vault's log for that signature, in storage form (a JSON line). */
export function recordLine(index: number, changes: RecordChanges = {}): string {
  const {
    atMs = beganAtMs(index) + 40,
    operationName = 'KeySign',
    correlationId = requestIdOf(index),
    httpStatusCode = 200,
    id = keyId,
    algorithm = 'PS256',
    clientInfo = `countersign/0.1.0 (signature-nonce ${nonceOf(index)})`,
    oid = '51000000-0000-4000-8000-000000000001',
  } = changes
  return JSON.stringify({
    time: new Date(atMs).toISOString().replace('Z', '4321Z'),
    category: 'AuditEvent',
    operationName,
    resultType: 'Success',
    resultSignature: httpStatusCode === 200 ? 'OK' : 'Forbidden',
    resultDescription: '',
    correlationId,
    durationMs: '33',
    callerIpAddress: '203.0.113.9',
    resourceId: '/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM',
    operationVersion: '2025-07-01',
    identity: {
      claim: {
        appid: '51000000-0000-4000-8000-0000000000c1',
        oid,
      },
    },
    properties: {
      id,
      algorithm,
      clientInfo,
      requestUri: `${id.replace('.net/', '.net:8443/')}/sign?api-version=2025-07-01`,
      httpStatusCode,
    },
  })
}

/** Another operation, so late that the log stands for all that was before. */
export const lastRecordLine = (atMs: number = startMs + 12 * 60 * minuteMs): string =>
  recordLine(0, { atMs, operationName: 'KeyGet', correlationId: requestIdOf(999_999) })
