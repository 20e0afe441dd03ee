import { createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto'
import { CertificateClient, type KeyVaultCertificateWithPolicy } from '@azure/keyvault-certificates'
import { KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import type { VaultAccess } from '../vault-access/vault-access.ts'
import { azureFailureFrom } from '../vault-access/azure-failure.ts'
import {
  type Certificate,
  CertificateError,
  type CertificateErrorCode,
  type CertificateLocation,
  type CertificateSource,
  keyIdsBegin,
} from './certificate.ts'

/** Certificates of Azure Key Vault: two reads each, of the certificate and of the key of its version. */
export function createKeyVaultCertificateSource(
  access: VaultAccess,
  clock: Clock,
): CertificateSource {
  return {
    load: async (location) => {
      const certificate = await readCertificate(location, access)
      const key = await readKey(location, certificate, access)
      return provenCertificate(location, certificate, key, clock.nowSeconds())
    },
  }
}

async function readCertificate(
  location: CertificateLocation,
  access: VaultAccess,
): Promise<KeyVaultCertificateWithPolicy> {
  const { vaultUrl, vaultCertificateName } = location
  const client = new CertificateClient(vaultUrl, access.credential, access.clientOptions)
  try {
    return await withDeadline(access.readTimeoutMs, (abortSignal) =>
      client.getCertificate(vaultCertificateName, { abortSignal }),
    )
  } catch (error) {
    throw readError(location, error)
  }
}

/** The key version has the same version string as the certificate (Key Vault REST, certificate bundle). */
async function readKey(
  location: CertificateLocation,
  certificate: KeyVaultCertificateWithPolicy,
  access: VaultAccess,
): Promise<KeyVaultKey> {
  const { version } = certificate.properties
  if (version === undefined) throw new CertificateError('CERTIFICATE_UNRECOGNISED', location.name)
  const client = new KeyClient(location.vaultUrl, access.credential, access.clientOptions)
  try {
    return await withDeadline(access.readTimeoutMs, (abortSignal) =>
      client.getKey(location.vaultCertificateName, { version, abortSignal }),
    )
  } catch (error) {
    throw readError(location, error)
  }
}

function readError(location: CertificateLocation, cause: unknown): CertificateError {
  return new CertificateError(readErrorCode(cause), location.name, { cause })
}

function readErrorCode(cause: unknown): CertificateErrorCode {
  const failure = azureFailureFrom(cause)
  switch (failure.kind) {
    case 'no-connection':
    case 'no-answer':
    case 'timeout':
      return 'CERTIFICATE_UNREACHABLE'
    case 'no-credential':
      return 'CERTIFICATE_CREDENTIAL'
    case 'answered':
      if (failure.status === 429 || failure.status >= 500) return 'CERTIFICATE_UNREACHABLE'
      if (failure.status === 404) return 'CERTIFICATE_MISSING'
      return failure.status === 401 || failure.status === 403
        ? 'CERTIFICATE_FORBIDDEN'
        : 'CERTIFICATE_UNRECOGNISED'
    case 'unrecognised':
      return 'CERTIFICATE_UNRECOGNISED'
  }
}

function provenCertificate(
  location: CertificateLocation,
  certificate: KeyVaultCertificateWithPolicy,
  key: KeyVaultKey,
  nowSeconds: number,
): Certificate {
  const refuse = (code: CertificateErrorCode, cause?: unknown) =>
    new CertificateError(code, location.name, { cause })

  if (certificate.properties.enabled === false || key.properties.enabled === false) {
    throw refuse('CERTIFICATE_DISABLED')
  }
  const objection = keyObjection(location.requireHsm, certificate, key)
  if (objection !== undefined) throw refuse(objection)

  const der = Buffer.from(certificate.cer ?? [])
  const x509 = parsedCertificate(der)
  const publicKey = publicKeyFrom(key)
  if (x509 === undefined || publicKey === undefined || !isKeyOf(location, certificate, key.id)) {
    throw refuse('CERTIFICATE_UNRECOGNISED')
  }
  if (!isStrongRsa(publicKey)) throw refuse('CERTIFICATE_NOT_RSA')
  if (!x509.publicKey.equals(publicKey)) throw refuse('CERTIFICATE_KEY_MISMATCH')

  const notBeforeSeconds = Math.floor(x509.validFromDate.getTime() / 1000)
  const notAfterSeconds = Math.floor(x509.validToDate.getTime() / 1000)
  if (nowSeconds < notBeforeSeconds || nowSeconds >= notAfterSeconds) {
    throw refuse('CERTIFICATE_OUTSIDE_VALIDITY')
  }
  return {
    name: location.name,
    key: {
      keyId: key.id,
      publicKey,
      heldBy: key.keyType === 'RSA-HSM' ? 'hsm' : 'software',
      notBeforeSeconds: secondsOf(key.properties.notBefore),
      notAfterSeconds: secondsOf(key.properties.expiresOn),
    },
    der,
    thumbprintSha1: hash('sha1', der, 'base64url'),
    thumbprintSha256: hash('sha256', der, 'base64url'),
    notAfterSeconds,
  }
}

/** Whoever is asked to sign is named by us, and not by what answered. */
function isKeyOf(
  location: CertificateLocation,
  { properties: { version = '' } }: KeyVaultCertificateWithPolicy,
  keyId: string | undefined,
): keyId is string {
  return keyId?.toLowerCase() === keyIdsBegin(location) + version.toLowerCase()
}

const secondsOf = (time: Date | undefined) => time && Math.floor(time.getTime() / 1000)

/**
 * What speaks against using the key at all. A certificate's policy says whether the secret interface
 * would give the private key away; the key's own attribute says whether the key interface would.
 */
function keyObjection(
  requireHsm: boolean,
  certificate: KeyVaultCertificateWithPolicy,
  key: KeyVaultKey,
): CertificateErrorCode | undefined {
  if (key.keyType !== 'RSA-HSM' && key.keyType !== 'RSA') return 'CERTIFICATE_NOT_RSA'
  const operations: readonly string[] = key.keyOperations ?? []
  if (!operations.includes('sign') || !operations.includes('verify')) {
    return 'CERTIFICATE_KEY_CANNOT_SIGN'
  }
  if (operations.some((operation) => operation !== 'sign' && operation !== 'verify')) {
    return 'CERTIFICATE_KEY_HAS_OTHER_USES'
  }
  if (requireHsm && (key.keyType !== 'RSA-HSM' || key.properties.hsmPlatform === '0')) {
    return 'CERTIFICATE_KEY_NOT_IN_HSM'
  }
  // Absent counts as exportable: what must be proven is that it is not.
  const sealed = certificate.policy?.exportable === false && key.properties.exportable !== true
  return sealed ? undefined : 'CERTIFICATE_KEY_EXPORTABLE'
}

function parsedCertificate(der: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(der)
  } catch {
    // Not a certificate: the caller of this function says so with its own code.
    return undefined
  }
}

function publicKeyFrom(key: KeyVaultKey): KeyObject | undefined {
  const { n, e } = key.key ?? {}
  if (n === undefined || e === undefined) return undefined
  const jwk = {
    kty: 'RSA',
    n: Buffer.from(n).toString('base64url'),
    e: Buffer.from(e).toString('base64url'),
  }
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    // Not a key: the caller of this function says so with its own code.
    return undefined
  }
}

/** Smaller keys are refused by RFC 7518 §3.3 and §3.5. */
function isStrongRsa(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
}
