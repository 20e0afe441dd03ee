import { createHash } from 'node:crypto'
import type {
  Entry,
  SignatureBegun,
  SignatureFailed,
  SignatureMade,
} from '../../src/ledger/entry.ts'

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

export const loaded: Entry = {
  kind: 'certificate.loaded',
  atMs: startMs,
  certificate: 'partners',
  keyId,
  thumbprintSha256: 'thumbprint',
  notAfterSeconds: 1_800_000_000,
  der: 'AA==',
}

/** One signature a minute. */
export const beganAtMs = (index: number) => startMs + index * minuteMs

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
  digest: 'digest',
  nonceSha256: createHash('sha256').update(nonceOf(index)).digest('base64url'),
  expiresAtSeconds: beganAtMs(index) / 1000 + 300,
  ...changes,
})

export const made = (index: number, changes: Partial<SignatureMade> = {}): SignatureMade => ({
  kind: 'signature.made',
  atMs: beganAtMs(index) + 80,
  signature: signatureIdOf(index),
  vaultRequestId: requestIdOf(index),
  signatureSha256: 'sha256',
  ...changes,
})

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
