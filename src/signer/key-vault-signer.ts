import { constants, hash, verify } from 'node:crypto'
import {
  type CryptographyClient,
  KeyClient,
  parseKeyVaultKeyIdentifier,
} from '@azure/keyvault-keys'
import type { Clock } from '../base/clock.ts'
import { eitherOf, withDeadline } from '../base/deadline.ts'
import type { SignatureAlgorithm, SigningKey } from '../base/signing-key.ts'
import type { VaultAccess } from '../vault-access/vault-access.ts'
import { type AzureFailure, azureFailureFrom } from '../vault-access/azure-failure.ts'
import {
  type Signature,
  type Signer,
  SignerError,
  type SignerErrorCode,
  type SignRequest,
} from './signer.ts'

/**
 * Signs with keys of Azure Key Vault: one client per vault, one cryptography client per key version,
 * both warm after {@link Signer.prepare}, because concurrent first calls on a cold client go out
 * without their body or without their token.
 *
 * @param product Name and version for the User-Agent, such as `countersign/1.0.0`.
 */
export function createKeyVaultSigner(access: VaultAccess, product: string, clock: Clock): Signer {
  const vaults = new Map<string, KeyClient>()
  const prepared = new Map<string, CryptographyClient>()

  const vaultClient = (vaultUrl: string): KeyClient => {
    const known = vaults.get(vaultUrl)
    if (known !== undefined) return known
    const client = new KeyClient(vaultUrl, access.credential, access.clientOptions)
    vaults.set(vaultUrl, client)
    return client
  }

  return {
    prepare: async (key, signal) => {
      if (prepared.has(key.keyId)) return
      assertValid(key, clock.nowSeconds())
      const { vaultUrl, name, version } = parseKeyVaultKeyIdentifier(key.keyId)
      if (version === undefined) throw new TypeError('a signing key is named with its version')
      const client = vaultClient(vaultUrl).getCryptographyClient(name, { keyVersion: version })
      await readKey(client, access.readTimeoutMs, signal)
      prepared.set(key.keyId, client)
    },
    sign: async (request) => {
      const client = prepared.get(request.key.keyId)
      if (client === undefined) throw new TypeError('prepare the key before signing with it')
      assertValid(request.key, clock.nowSeconds())
      return verified(request, await askVault(client, request, product))
    },
  }
}

/** The SDK would refuse it too, with an error that does not say whether anything was sent. */
function assertValid({ notBeforeSeconds, notAfterSeconds }: SigningKey, nowSeconds: number): void {
  const begun = notBeforeSeconds === undefined || notBeforeSeconds <= nowSeconds
  const ended = notAfterSeconds !== undefined && notAfterSeconds <= nowSeconds
  if (!begun || ended) throw new SignerError('SIGNER_KEY_OUTSIDE_VALIDITY', 'no', { asked: false })
}

/**
 * The SDK reads the key before the first operation that it can do by itself; this one sends nothing
 * else, and its answer (an empty signature does not verify) is of no interest.
 */
async function readKey(
  client: CryptographyClient,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await withDeadline(timeoutMs, (late) =>
      client.verifyData('RS256', new Uint8Array(), new Uint8Array(), {
        abortSignal: eitherOf(late, signal),
      }),
    )
  } catch (error) {
    throw signerErrorFrom(azureFailureFrom(error), undefined, error)
  }
}

interface VaultReply {
  readonly value: Uint8Array
  readonly vaultRequestId: string | undefined
}

async function askVault(
  client: CryptographyClient,
  request: SignRequest,
  product: string,
): Promise<VaultReply> {
  let vaultRequestId: string | undefined
  // The SDK promises bytes and passes on what the answer held.
  let value: unknown
  try {
    const { result } = await withDeadline(request.timeoutMs, (abortSignal) =>
      client.sign(request.algorithm, digestOf(request.signingInput), {
        abortSignal,
        requestOptions: {
          headers: {
            'User-Agent': `${product} (signature-nonce ${request.nonce})`,
            'x-ms-client-request-id': request.signatureId,
          },
        },
        // Called for refusals too: a signature that was denied has a record in the vault's log as well.
        onResponse: (response) => {
          // Empty is absent: there is nothing to join on.
          vaultRequestId =
            response.headers.get('x-ms-request-id')?.slice(0, requestIdMax) || undefined
        },
      }),
    )
    value = result
  } catch (error) {
    throw signerErrorFrom(azureFailureFrom(error), vaultRequestId, error)
  }
  if (value instanceof Uint8Array && value.length > 0) return { value, vaultRequestId }
  throw new SignerError('SIGNER_UNRECOGNISED', 'unknown', { vaultRequestId })
}

const digestOf = (signingInput: string): Uint8Array => hash('sha256', signingInput, 'buffer')

/** Nothing leaves before it verifies here: a vault, or a proxy before it, may answer anything. */
function verified(request: SignRequest, reply: VaultReply): Signature {
  const { value, vaultRequestId } = reply
  const verifies = verify(
    'sha256',
    Buffer.from(request.signingInput, 'ascii'),
    { key: request.key.publicKey, ...paddingOf[request.algorithm] },
    value,
  )
  if (!verifies) throw new SignerError('SIGNER_WRONG_SIGNATURE', 'unknown', { vaultRequestId })
  if (vaultRequestId === undefined) throw new SignerError('SIGNER_UNACCOUNTABLE', 'unknown')
  return { value, vaultRequestId }
}

/** A GUID; whatever is longer is not one, and the ledger need not hold it whole. */
const requestIdMax = 128

/** RFC 7518 §3.3 and §3.5: the salt of PS256 is as long as its hash. */
const paddingOf: Record<SignatureAlgorithm, { padding: number; saltLength?: number }> = {
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
}

function signerErrorFrom(
  failure: AzureFailure,
  vaultRequestId: string | undefined,
  cause: unknown,
): SignerError {
  const facts = { vaultRequestId, cause }
  switch (failure.kind) {
    case 'answered':
      return answeredError(failure.status, failure.code, facts)
    case 'no-connection':
      return new SignerError('SIGNER_UNAVAILABLE', 'no', facts)
    case 'no-answer':
      return new SignerError('SIGNER_UNAVAILABLE', 'unknown', facts)
    case 'timeout':
      return new SignerError('SIGNER_TIMEOUT', 'unknown', facts)
    case 'no-credential':
      return new SignerError('SIGNER_CREDENTIAL', 'no', { ...facts, asked: false })
    case 'unrecognised':
      return new SignerError('SIGNER_UNRECOGNISED', 'unknown', facts)
  }
}

type Facts = { readonly vaultRequestId: string | undefined; readonly cause: unknown }

/**
 * Only a refusal in the vault's own words says that nothing was signed. A 5xx may come after the HSM has done
 * its work, and whatever else may come from somebody on the way, who does not know.
 */
function answeredError(status: number, code: string | undefined, facts: Facts): SignerError {
  const refusal = code === undefined ? undefined : refusalCode(status, code)
  if (refusal !== undefined) return new SignerError(refusal, 'no', facts)
  // Whoever says it wants to be left alone.
  if (status === 429) return new SignerError('SIGNER_THROTTLED', 'unknown', facts)
  if (status >= 400) return new SignerError('SIGNER_UNAVAILABLE', 'unknown', facts)
  return new SignerError('SIGNER_UNRECOGNISED', 'unknown', facts)
}

/** What Key Vault documents as refused before it signs; undefined for whatever it does not. */
function refusalCode(status: number, code: string): SignerErrorCode | undefined {
  switch (status) {
    case 400:
    case 401:
      return 'SIGNER_REJECTED'
    case 403:
      return forbiddenCode(code)
    case 404:
      return 'SIGNER_KEY_MISSING'
    case 429:
      return 'SIGNER_THROTTLED'
    default:
      return undefined
  }
}

function forbiddenCode(code: string) {
  if (code === 'KeyDisabled') return 'SIGNER_KEY_DISABLED'
  const outside = code === 'KeyExpired' || code === 'KeyNotYetValid'
  return outside ? 'SIGNER_KEY_OUTSIDE_VALIDITY' : 'SIGNER_FORBIDDEN'
}
