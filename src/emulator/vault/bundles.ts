import { createHash } from 'node:crypto'
import type { Collection } from './operation.ts'
import type { VaultCertificate, VaultKey } from './performed.ts'
import { keyUsageFrom, type KeyVersion, type StoredKey } from './vault-store.ts'

/** The JSON that a vault shows of its objects (Key Vault REST, api-version 2025-07-01). */

const recovery = { recoveryLevel: 'Recoverable+Purgeable', recoverableDays: 90 }

export const identifierOf = (
  origin: string,
  collection: Collection,
  name: string,
  version: string,
) => `${origin}/${collection}/${name}/${version}`

const timesOf = (version: KeyVersion) => ({
  enabled: version.enabled,
  nbf: version.notBeforeSeconds,
  exp: version.notAfterSeconds,
  created: version.createdSeconds,
  updated: version.updatedSeconds,
})

/** `"2"` is an HSM of FIPS 140-3 level 3, `"0"` software. */
export const hsmPlatformOf = ({ definition }: StoredKey) =>
  definition.keyType === 'RSA-HSM' ? '2' : '0'

const keyAttributes = ({ stored, version }: VaultKey) => ({
  ...timesOf(version),
  ...recovery,
  exportable: stored.definition.exportable,
  hsmPlatform: hsmPlatformOf(stored),
})

/** Absent, and not false, for a key by itself. */
const managed = (key: VaultKey) => (key.managed ? { managed: true } : {})

const certificateAttributes = ({ version }: VaultCertificate) => ({
  ...timesOf(version),
  ...recovery,
})

export function keyBundle(origin: string, key: VaultKey) {
  const { stored, version } = key
  const { n, e } = version.publicKey.export({ format: 'jwk' })
  return {
    key: {
      kid: identifierOf(origin, 'keys', stored.name, version.version),
      kty: stored.definition.keyType,
      key_ops: stored.definition.keyOps,
      n,
      e,
    },
    attributes: keyAttributes(key),
    ...managed(key),
  }
}

/**
 * A key bundle with an attestation in the real shape. What it attests is worth nothing: an emulator has
 * no HSM whose maker could vouch for it, and says so in the bytes. Software keys have none.
 */
export function attestedKeyBundle(origin: string, key: VaultKey) {
  const bundle = keyBundle(origin, key)
  if (key.stored.definition.keyType !== 'RSA-HSM') return bundle
  const statement = (what: string) =>
    Buffer.from(`emulated, attests nothing: ${what} of ${bundle.key.kid}`).toString('base64url')
  const attestation = {
    certificatePemFile: statement('certificate chain'),
    privateKeyAttestation: statement('private key'),
    publicKeyAttestation: statement('public key'),
    version: '1.0',
  }
  return { ...bundle, attributes: { ...bundle.attributes, attestation } }
}

export const keyItem = (origin: string, key: VaultKey) => ({
  kid: identifierOf(origin, 'keys', key.stored.name, key.version.version),
  attributes: keyAttributes(key),
  ...managed(key),
})

/** base64url(SHA-1(DER)): what REST calls `x5t`. */
export const thumbprintOf = (der: Buffer) => createHash('sha1').update(der).digest('base64url')

export function certificateBundle(origin: string, certificate: VaultCertificate) {
  const { stored, version } = certificate
  const identifier = (collection: Collection) =>
    identifierOf(origin, collection, stored.name, version.version)
  return {
    id: identifier('certificates'),
    kid: identifier('keys'),
    sid: identifier('secrets'),
    x5t: thumbprintOf(version.der),
    cer: version.der.toString('base64'),
    attributes: certificateAttributes(certificate),
    policy: certificatePolicy(origin, certificate),
    pending: { id: `${origin}/certificates/${stored.name}/pending` },
  }
}

export const certificateItem = (origin: string, certificate: VaultCertificate) => ({
  id: identifierOf(origin, 'certificates', certificate.stored.name, certificate.version.version),
  x5t: thumbprintOf(certificate.version.der),
  attributes: certificateAttributes(certificate),
})

const monthSeconds = 30 * 86_400

export function certificatePolicy(origin: string, { stored, version }: VaultCertificate) {
  const { name, definition, versions } = stored
  const { notBeforeSeconds, notAfterSeconds } = version
  const created = versions[0]?.createdSeconds
  return {
    id: `${origin}/certificates/${name}/policy`,
    key_props: {
      exportable: definition.exportable,
      kty: definition.keyType,
      key_size: definition.keySize,
      reuse_key: false,
    },
    secret_props: { contentType: definition.contentType },
    x509_props: {
      subject: definition.subject,
      sans: {},
      ekus: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      key_usage: keyUsageFrom(definition.keyOps),
      validity_months: Math.max(1, Math.round((notAfterSeconds - notBeforeSeconds) / monthSeconds)),
      basic_constraints: { ca: false },
    },
    lifetime_actions: [
      { trigger: { lifetime_percentage: 80 }, action: { action_type: 'EmailContacts' } },
    ],
    issuer: { name: 'Self' },
    attributes: { enabled: true, created, updated: created },
  }
}
