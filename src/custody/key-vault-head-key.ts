import { createPublicKey, type KeyObject } from 'node:crypto'
import { KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import type { Clock } from '../base/clock.ts'
import { eitherOf, withDeadline } from '../base/deadline.ts'
import { isStrongRsa } from '../base/strong-rsa.ts'
import type { VaultAccess } from '../vault-access/vault-access.ts'
import { azureFailureFrom } from '../vault-access/azure-failure.ts'
import {
  HeadKeyError,
  type HeadKeyErrorCode,
  type HeadKeyLocation,
  type HeadKeySource,
} from './head-key.ts'

/** A key of Azure Key Vault that signs heads: one read for each load. */
export function createKeyVaultHeadKey(
  location: HeadKeyLocation,
  access: VaultAccess,
  clock: Clock,
): HeadKeySource {
  const client = new KeyClient(location.vaultUrl, access.credential, access.clientOptions)
  return {
    load: async (signal) => {
      const key = await read(client, location.vaultKeyName, access.readTimeoutMs, signal)
      const objection = objectionTo(key, location.requireHsm, clock.nowSeconds())
      if (objection !== undefined) throw new HeadKeyError(objection)
      const publicKey = publicKeyFrom(key)
      if (publicKey === undefined || !isStrongRsa(publicKey)) {
        throw new HeadKeyError('HEAD_KEY_NOT_RSA')
      }
      return {
        keyId: keyIdFrom(key.id, location),
        publicKey,
        heldBy: key.keyType === 'RSA-HSM' ? 'hsm' : 'software',
        notBeforeSeconds: secondsOf(key.properties.notBefore),
        notAfterSeconds: secondsOf(key.properties.expiresOn),
      }
    },
  }
}

async function read(
  client: KeyClient,
  name: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<KeyVaultKey> {
  try {
    return await withDeadline(timeoutMs, (late) =>
      client.getKey(name, { abortSignal: eitherOf(late, signal) }),
    )
  } catch (error) {
    throw new HeadKeyError(codeFrom(error), { cause: error })
  }
}

function codeFrom(error: unknown): HeadKeyErrorCode {
  const failure = azureFailureFrom(error)
  switch (failure.kind) {
    case 'no-connection':
    case 'no-answer':
    case 'timeout':
      return 'HEAD_KEY_UNREACHABLE'
    case 'no-credential':
      return 'HEAD_KEY_CREDENTIAL'
    case 'answered':
      if (failure.status === 429 || failure.status >= 500) return 'HEAD_KEY_UNREACHABLE'
      if (failure.status === 404) return 'HEAD_KEY_MISSING'
      return failure.status === 401 || failure.status === 403
        ? 'HEAD_KEY_FORBIDDEN'
        : 'HEAD_KEY_UNRECOGNISED'
    case 'unrecognised':
      return 'HEAD_KEY_UNRECOGNISED'
  }
}

/** What speaks against the key, if anything. */
function objectionTo(
  { keyType, keyOperations = [], properties }: KeyVaultKey,
  requireHsm: boolean,
  nowSeconds: number,
): HeadKeyErrorCode | undefined {
  if (keyType !== 'RSA' && keyType !== 'RSA-HSM') return 'HEAD_KEY_NOT_RSA'
  // Before all else: Entra would take its signatures for those of an application.
  if (properties.managed === true) return 'HEAD_KEY_OF_CERTIFICATE'
  const operations: readonly string[] = keyOperations
  if (!operations.includes('sign')) return 'HEAD_KEY_CANNOT_SIGN'
  if (operations.some((operation) => operation !== 'sign' && operation !== 'verify')) {
    return 'HEAD_KEY_HAS_OTHER_USES'
  }
  if (requireHsm && (keyType !== 'RSA-HSM' || properties.hsmPlatform === '0')) {
    return 'HEAD_KEY_NOT_IN_HSM'
  }
  if (properties.exportable === true) return 'HEAD_KEY_EXPORTABLE'
  if (properties.enabled === false) return 'HEAD_KEY_DISABLED'
  const { notBefore, expiresOn } = properties
  const begun = notBefore === undefined || notBefore.getTime() <= nowSeconds * 1000
  const ended = expiresOn !== undefined && expiresOn.getTime() <= nowSeconds * 1000
  return begun && !ended ? undefined : 'HEAD_KEY_OUTSIDE_VALIDITY'
}

function publicKeyFrom({ key }: KeyVaultKey): KeyObject | undefined {
  if (key?.n === undefined || key.e === undefined) return undefined
  const n = Buffer.from(key.n).toString('base64url')
  const e = Buffer.from(key.e).toString('base64url')
  try {
    return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** Whoever is asked to sign is named by us, and not by what answered. Names have no case in a vault. */
function keyIdFrom(keyId: string | undefined, { vaultUrl, vaultKeyName }: HeadKeyLocation): string {
  const expected = `${vaultUrl}/keys/${vaultKeyName}/`
  const version = keyId?.slice(expected.length) ?? ''
  const isOurs = keyId?.toLowerCase().startsWith(expected.toLowerCase()) === true
  if (isOurs && /^[0-9a-z]{32}$/i.test(version)) return `${expected}${version}`
  throw new HeadKeyError('HEAD_KEY_UNRECOGNISED')
}

const secondsOf = (time: Date | undefined) => time && Math.floor(time.getTime() / 1000)
