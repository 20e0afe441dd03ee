import { generateKeyPair, randomBytes, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { WorldCertificate } from '../world.ts'
import { signCertificate, type KeyUsage } from '../x509/certificate.ts'

/** One version of a certificate: the same 32 hex digits name its key and its secret. */
export interface CertificateVersion {
  readonly version: string
  readonly enabled: boolean
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** Of the X.509 certificate, self-signed by the key. */
  readonly der: Buffer
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
  readonly createdSeconds: number
  readonly updatedSeconds: number
}

export interface StoredCertificate {
  readonly name: string
  readonly definition: WorldCertificate
  /** Oldest first, never empty; the last one is current. */
  readonly versions: readonly CertificateVersion[]
}

/** What one vault keeps: certificates with their keys, in memory only. Names are case-insensitive. */
export interface VaultStore {
  list(): readonly StoredCertificate[]
  find(name: string): StoredCertificate | undefined
  /** Makes a version with a new key, valid from now on for as long as the definition says, and current at once. */
  roll(name: string): Promise<CertificateVersion>
  /** Of the version, or of the current one. */
  setEnabled(name: string, version: string | undefined, enabled: boolean): CertificateVersion
}

/** Asked for by name from inside the emulator, where the answer is a message and not a vault's 404. */
export class ObjectUnknownError extends Error {
  override readonly name = 'ObjectUnknownError'
}

/** Key Vault dates its certificates ten minutes back. */
const backdatedSeconds = 600
const renewedForSeconds = 180 * 86_400

const generate = promisify(generateKeyPair)

/** Generates every key, several at a time: thread pool and not event loop does the work. */
export async function createVaultStore(
  definitions: readonly WorldCertificate[],
  clock: EmulatorClock,
): Promise<VaultStore> {
  const startSeconds = clock.nowSeconds()
  const entries = await Promise.all(
    definitions.map(async (definition): Promise<[string, StoredCertificate]> => {
      const { name, enabled, notBeforeSeconds, notAfterSeconds } = definition
      const version = await createVersion(definition, enabled, startSeconds, {
        notBeforeSeconds: startSeconds + notBeforeSeconds,
        notAfterSeconds: startSeconds + notAfterSeconds,
      })
      return [name.toLowerCase(), { name, definition, versions: [version] }]
    }),
  )
  const certificates = new Map(entries)
  const existing = (name: string) => {
    const certificate = certificates.get(name.toLowerCase())
    if (certificate === undefined) throw new ObjectUnknownError(`no certificate '${name}'`)
    return certificate
  }
  const replace = (certificate: StoredCertificate, versions: readonly CertificateVersion[]) =>
    certificates.set(certificate.name.toLowerCase(), { ...certificate, versions })
  return {
    list: () => [...certificates.values()],
    find: (name) => certificates.get(name.toLowerCase()),
    roll: async (name) => {
      const { definition } = existing(name)
      const nowSeconds = clock.nowSeconds()
      const lifetimeSeconds =
        definition.notAfterSeconds > 0 ? definition.notAfterSeconds : renewedForSeconds
      const version = await createVersion(definition, true, nowSeconds, {
        notBeforeSeconds: nowSeconds - backdatedSeconds,
        notAfterSeconds: nowSeconds + lifetimeSeconds,
      })
      // Read again: another roll may have finished while this one made its key.
      const certificate = existing(name)
      replace(certificate, [...certificate.versions, version])
      return version
    },
    setEnabled: (name, version, enabled) => {
      const certificate = existing(name)
      const found = versionOf(certificate, version)
      if (found === undefined) {
        throw new ObjectUnknownError(`certificate '${name}' has no version '${version ?? ''}'`)
      }
      const changed = { ...found, enabled, updatedSeconds: clock.nowSeconds() }
      replace(
        certificate,
        certificate.versions.map((one) => (one === found ? changed : one)),
      )
      return changed
    },
  }
}

/** The version called so, or the current one when none is named. */
export function versionOf(
  certificate: StoredCertificate,
  version: string | undefined,
): CertificateVersion | undefined {
  return version === undefined
    ? certificate.versions.at(-1)
    : certificate.versions.find((one) => one.version === version.toLowerCase())
}

interface Validity {
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
}

async function createVersion(
  definition: WorldCertificate,
  enabled: boolean,
  nowSeconds: number,
  validity: Validity,
): Promise<CertificateVersion> {
  const keys = await generate('rsa', { modulusLength: definition.keySize })
  const { subject } = definition
  const der = signCertificate(
    {
      subject,
      subjectKey: keys.publicKey,
      ...validity,
      keyUsage: keyUsageFrom(definition.keyOps),
      authority: false,
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      alternativeNames: [],
    },
    { subject, ...keys },
  )
  // A certificate that expired before the start was made before it, too.
  const createdSeconds = Math.min(nowSeconds, validity.notBeforeSeconds + backdatedSeconds)
  return {
    version: randomBytes(16).toString('hex'),
    enabled,
    ...keys,
    der,
    ...validity,
    createdSeconds,
    updatedSeconds: createdSeconds,
  }
}

const usages = {
  sign: 'digitalSignature',
  verify: 'digitalSignature',
  wrapKey: 'keyEncipherment',
  unwrapKey: 'keyEncipherment',
  encrypt: 'dataEncipherment',
  decrypt: 'dataEncipherment',
} as const satisfies Record<WorldCertificate['keyOps'][number], KeyUsage>

/** The key usage from which Key Vault would have derived these operations. */
export const keyUsageFrom = (operations: WorldCertificate['keyOps']): readonly KeyUsage[] => [
  ...new Set(operations.map((operation) => usages[operation])),
]
