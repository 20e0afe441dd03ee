import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { type CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import type { SigningKey } from '../base/signing-key.ts'
import type { VaultAccess } from '../vault-access/vault-access.ts'
import { type AzureFailure, azureFailureFrom } from '../vault-access/azure-failure.ts'
import { dataKeyBytes } from './data-key.ts'
import {
  SealingError,
  type SealingErrorCode,
  type WrappingKey,
  type WrappingKeyLocation,
} from './wrapping-key.ts'

/** The SDK leaves this one to the vault, where RSA-OAEP would be done here: each wrapping has a record in the vault's log. */
const algorithm = 'RSA-OAEP-256'

/** What a vault counts a request for. */
export type AskedKey = Pick<SigningKey, 'keyId' | 'heldBy' | 'publicKey'>

/**
 * A key of Azure Key Vault that wraps data keys.
 *
 * @param onAsked Told of the requests that the vault has had for the key, when it has answered.
 */
export function createKeyVaultWrappingKey(
  location: WrappingKeyLocation,
  access: VaultAccess,
  clock: Clock,
  onAsked: (key: AskedKey, requests: number) => void,
): WrappingKey {
  const client = new KeyClient(location.vaultUrl, access.credential, access.clientOptions)
  const { readTimeoutMs: timeoutMs } = access

  /** @param version Undefined for the current one. */
  const proven = async (version: string | undefined): Promise<ProvenVersion> => {
    const key = await readVersion(client, location.vaultKeyName, version, timeoutMs)
    const keyVersion = versionFrom(key.id, location)
    if (keyVersion === undefined || keyVersion !== (version ?? keyVersion)) {
      throw new SealingError('SEALING_UNRECOGNISED')
    }
    const keyId = keyIdOf(location, keyVersion)
    const asked = askedKeyFrom(keyId, key)
    if (asked !== undefined) onAsked(asked, 1)
    const objection = objectionTo(key, location.requireHsm, clock.nowSeconds())
    if (objection !== undefined) throw new SealingError(objection)
    // The SDK reads the key before the first operation of a client.
    let readsLeft = 1
    return {
      keyId,
      onAsked: () => {
        if (asked !== undefined) onAsked(asked, 1 + readsLeft)
        readsLeft = 0
      },
      client: client.getCryptographyClient(location.vaultKeyName, { keyVersion }),
      timeoutMs,
    }
  }

  return {
    wrap: async (secret) => {
      const version = await proven(undefined)
      const wrapped = await wrapWith(version, secret)
      const givenBack = await unwrapWith(version, wrapped, 'SEALING_NOT_GIVEN_BACK')
      if (!givenBack.equals(secret)) throw new SealingError('SEALING_NOT_GIVEN_BACK')
      return { keyId: version.keyId, wrapped }
    },
    unwrap: async ({ keyId, wrapped }) => {
      const version = versionFrom(keyId, location)
      if (version === undefined) throw new SealingError('SEALING_KEY_FOREIGN')
      return unwrapWith(await proven(version), wrapped, 'SEALING_DATA_KEY_DAMAGED')
    },
  }
}

interface ProvenVersion {
  readonly keyId: string
  /** To be called when the vault has been asked, whatever it has said. */
  readonly onAsked: () => void
  readonly client: CryptographyClient
  readonly timeoutMs: number
}

const keyIdOf = ({ vaultUrl, vaultKeyName }: WrappingKeyLocation, version: string) =>
  `${vaultUrl}/keys/${vaultKeyName}/${version}`

/**
 * The version that a key id names, if it is one of the configured key: whoever can write the database
 * must not send us, with our token, to a vault of theirs. Names have no case in a vault.
 */
function versionFrom(keyId: string | undefined, location: WrappingKeyLocation): string | undefined {
  const version = keyId?.slice(keyIdOf(location, '').length).toLowerCase()
  if (version === undefined || !/^[0-9a-z]{32}$/.test(version)) return undefined
  return keyId?.toLowerCase() === keyIdOf(location, version).toLowerCase() ? version : undefined
}

async function readVersion(
  client: KeyClient,
  name: string,
  version: string | undefined,
  timeoutMs: number,
): Promise<KeyVaultKey> {
  try {
    return await withDeadline(timeoutMs, (abortSignal) =>
      client.getKey(name, { abortSignal, ...(version === undefined ? {} : { version }) }),
    )
  } catch (error) {
    throw new SealingError(codeFrom(azureFailureFrom(error)), { cause: error })
  }
}

/** Undefined for what is no RSA key: it is refused, and not asked again. */
function askedKeyFrom(keyId: string, { keyType, key }: KeyVaultKey): AskedKey | undefined {
  if (key?.n === undefined || key.e === undefined) return undefined
  const n = Buffer.from(key.n).toString('base64url')
  const e = Buffer.from(key.e).toString('base64url')
  try {
    const publicKey = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
    return { keyId, heldBy: keyType === 'RSA-HSM' ? 'hsm' : 'software', publicKey }
  } catch {
    return undefined
  }
}

/** What speaks against the key, if anything. */
function objectionTo(
  { keyType, keyOperations = [], key, properties }: KeyVaultKey,
  requireHsm: boolean,
  nowSeconds: number,
): SealingErrorCode | undefined {
  // RFC 7518 §4.3 refuses smaller ones.
  const isStrongRsa = (keyType === 'RSA' || keyType === 'RSA-HSM') && (key?.n?.length ?? 0) >= 256
  if (!isStrongRsa) return 'SEALING_KEY_NOT_RSA'
  const operations: readonly string[] = keyOperations
  if (!operations.includes('wrapKey') || !operations.includes('unwrapKey')) {
    return 'SEALING_KEY_CANNOT_WRAP'
  }
  if (operations.some((operation) => operation !== 'wrapKey' && operation !== 'unwrapKey')) {
    return 'SEALING_KEY_HAS_OTHER_USES'
  }
  if (properties.managed === true) return 'SEALING_KEY_OF_CERTIFICATE'
  if (requireHsm && (keyType !== 'RSA-HSM' || properties.hsmPlatform === '0')) {
    return 'SEALING_KEY_NOT_IN_HSM'
  }
  if (properties.exportable === true) return 'SEALING_KEY_EXPORTABLE'
  if (properties.enabled === false) return 'SEALING_KEY_DISABLED'
  const { notBefore, expiresOn } = properties
  const begun = notBefore === undefined || notBefore.getTime() <= nowSeconds * 1000
  const ended = expiresOn !== undefined && expiresOn.getTime() <= nowSeconds * 1000
  return begun && !ended ? undefined : 'SEALING_KEY_OUTSIDE_VALIDITY'
}

async function wrapWith(version: ProvenVersion, secret: KeyObject): Promise<Uint8Array> {
  const bytes = secret.export()
  try {
    return await operate(version, 'SEALING_UNRECOGNISED', (abortSignal) =>
      version.client.wrapKey(algorithm, bytes, { abortSignal }),
    )
  } finally {
    bytes.fill(0)
  }
}

/** @param otherwise What it is when the vault has no objection but to the bytes, or they come to no data key. */
async function unwrapWith(
  version: ProvenVersion,
  wrapped: Uint8Array,
  otherwise: SealingErrorCode,
): Promise<KeyObject> {
  const bytes = await operate(version, otherwise, (abortSignal) =>
    version.client.unwrapKey(algorithm, wrapped, { abortSignal }),
  )
  if (bytes.length !== dataKeyBytes) throw new SealingError(otherwise)
  const secret = createSecretKey(bytes)
  bytes.fill(0)
  return secret
}

async function operate(
  { timeoutMs, onAsked }: ProvenVersion,
  whenRejected: SealingErrorCode,
  act: (abortSignal: AbortSignal) => Promise<{ readonly result: unknown }>,
): Promise<Uint8Array> {
  // The SDK promises bytes and passes on what the answer held.
  let result: unknown
  try {
    result = (await withDeadline(timeoutMs, act)).result
  } catch (error) {
    const failure = azureFailureFrom(error)
    const isRejected = failure.kind === 'answered' && failure.status === 400
    throw new SealingError(isRejected ? whenRejected : codeFrom(failure), {
      cause: new Error(factsOf(failure)),
    })
  } finally {
    onAsked()
  }
  if (result instanceof Uint8Array) return result
  throw new SealingError('SEALING_UNRECOGNISED')
}

/**
 * For the log instead of the SDK's error, whose text may quote the body of an answer, and whose members
 * hold that of the request: a data key is in one or the other.
 */
function factsOf(failure: AzureFailure): string {
  if (failure.kind !== 'answered') return `the vault: ${failure.kind}`
  // Codes are short words; what is longer may be anything.
  const code = /^[A-Za-z]{1,32}$/.exec(failure.code ?? '')?.[0]
  return `the vault: ${failure.status} ${code ?? 'without a code'}`
}

function codeFrom(failure: AzureFailure): SealingErrorCode {
  switch (failure.kind) {
    case 'no-connection':
    case 'no-answer':
    case 'timeout':
      return 'SEALING_UNREACHABLE'
    case 'no-credential':
      return 'SEALING_CREDENTIAL'
    case 'answered':
      return answeredCode(failure.status, failure.code)
    case 'unrecognised':
      return 'SEALING_UNRECOGNISED'
  }
}

function answeredCode(status: number, code: string | undefined): SealingErrorCode {
  if (status === 429 || status >= 500) return 'SEALING_UNREACHABLE'
  if (status === 404) return 'SEALING_KEY_MISSING'
  if (status === 401) return 'SEALING_FORBIDDEN'
  if (status !== 403) return 'SEALING_UNRECOGNISED'
  if (code === 'KeyDisabled') return 'SEALING_KEY_DISABLED'
  const isOutside = code === 'KeyExpired' || code === 'KeyNotYetValid'
  return isOutside ? 'SEALING_KEY_OUTSIDE_VALIDITY' : 'SEALING_FORBIDDEN'
}
