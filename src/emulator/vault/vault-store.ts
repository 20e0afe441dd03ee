import { generateKeyPair, randomBytes, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { WorldCertificate, WorldKey, WorldSecret, WorldVault } from '../world.ts'
import { signCertificate, type KeyUsage } from '../x509/certificate.ts'
import { createShelf, type Shelf, type Stored } from './shelf.ts'

/** One version of a key, named by 32 hex digits. */
export interface KeyVersion {
  readonly version: string
  readonly enabled: boolean
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** Undefined: it has no beginning. */
  readonly notBeforeSeconds: number | undefined
  /** Undefined: it has no end. */
  readonly notAfterSeconds: number | undefined
  readonly createdSeconds: number
  readonly updatedSeconds: number
}

/** One version of a certificate: the same 32 hex digits name its key and its secret. */
export interface CertificateVersion extends KeyVersion {
  /** Of the X.509 certificate, self-signed by the key. */
  readonly der: Buffer
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
}

/** One version of a secret that is neither a key's nor a certificate's. */
export interface SecretVersion {
  readonly version: string
  readonly enabled: boolean
  readonly createdSeconds: number
  readonly updatedSeconds: number
}

export type StoredKey = Stored<WorldKey, KeyVersion>
/** Has a key of its own, which is called like it: whatever takes a {@link StoredKey} takes it too. */
export type StoredCertificate = Stored<WorldCertificate, CertificateVersion>

export type StoredSecret = Stored<WorldSecret, SecretVersion>

/** What one vault keeps, in memory only: certificates with their keys, and keys and secrets by themselves. */
export interface VaultStore extends Shelf<WorldCertificate, CertificateVersion> {
  /** Those that belong to no certificate. */
  readonly keys: Shelf<WorldKey, KeyVersion>
  /** Those that belong to no certificate. */
  readonly secrets: Shelf<WorldSecret, SecretVersion>
}

/** Key Vault dates its certificates ten minutes back. */
const backdatedSeconds = 600
const renewedForSeconds = 180 * 86_400

const generate = promisify(generateKeyPair)

type Definitions = Pick<WorldVault, 'name' | 'certificates' | 'keys' | 'secrets'>

/**
 * Generates every key, several at a time: thread pool and not event loop does the work.
 *
 * @throws Error when a key or a secret is called like another one, or like a certificate.
 */
export async function createVaultStore(
  definitions: Definitions,
  clock: EmulatorClock,
): Promise<VaultStore> {
  refuseTwins(definitions, 'keys')
  refuseTwins(definitions, 'secrets')
  const [certificates, keys, secrets] = await Promise.all([
    createShelf('certificate', definitions.certificates, clock, {
      first: firstCertificate,
      next: nextCertificate,
    }),
    createShelf('key', definitions.keys, clock, { first: firstKey, next: nextKey }),
    createShelf('secret', definitions.secrets, clock, { first: firstSecret, next: nextSecret }),
  ])
  return { ...certificates, keys, secrets }
}

function refuseTwins(definitions: Definitions, kind: 'keys' | 'secrets'): void {
  const { name: vault, certificates } = definitions
  const seen = new Set<string>()
  for (const { name } of [...certificates, ...definitions[kind]]) {
    if (seen.has(name.toLowerCase())) {
      const message = `two of its ${kind} are called '${name}'; a certificate has one too`
      throw new Error(`vault ${vault}: ${message}`)
    }
    seen.add(name.toLowerCase())
  }
}

/** Times in the definition of a key are those of its first version. */
async function firstKey(definition: WorldKey, startSeconds: number): Promise<KeyVersion> {
  const fromStart = (seconds: number | undefined) =>
    seconds === undefined ? undefined : startSeconds + seconds
  return {
    ...(await nextKey(definition, startSeconds)),
    enabled: definition.enabled,
    notBeforeSeconds: fromStart(definition.notBeforeSeconds),
    notAfterSeconds: fromStart(definition.notAfterSeconds),
  }
}

async function nextKey({ keySize }: WorldKey, nowSeconds: number): Promise<KeyVersion> {
  return {
    version: randomBytes(16).toString('hex'),
    enabled: true,
    ...(await generate('rsa', { modulusLength: keySize })),
    notBeforeSeconds: undefined,
    notAfterSeconds: undefined,
    createdSeconds: nowSeconds,
    updatedSeconds: nowSeconds,
  }
}

const firstSecret = async (
  definition: WorldSecret,
  startSeconds: number,
): Promise<SecretVersion> => ({
  ...(await nextSecret(definition, startSeconds)),
  enabled: definition.enabled,
})

const nextSecret = (_definition: WorldSecret, nowSeconds: number): Promise<SecretVersion> =>
  Promise.resolve({
    version: randomBytes(16).toString('hex'),
    enabled: true,
    createdSeconds: nowSeconds,
    updatedSeconds: nowSeconds,
  })

async function firstCertificate(
  definition: WorldCertificate,
  startSeconds: number,
): Promise<CertificateVersion> {
  const version = await createVersion(definition, startSeconds, {
    notBeforeSeconds: startSeconds + definition.notBeforeSeconds,
    notAfterSeconds: startSeconds + definition.notAfterSeconds,
  })
  return { ...version, enabled: definition.enabled }
}

/** Valid from now on for as long as the definition says. */
function nextCertificate(
  definition: WorldCertificate,
  nowSeconds: number,
): Promise<CertificateVersion> {
  const { notAfterSeconds } = definition
  return createVersion(definition, nowSeconds, {
    notBeforeSeconds: nowSeconds - backdatedSeconds,
    notAfterSeconds: nowSeconds + (notAfterSeconds > 0 ? notAfterSeconds : renewedForSeconds),
  })
}

interface Validity {
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
}

async function createVersion(
  definition: WorldCertificate,
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
    enabled: true,
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
