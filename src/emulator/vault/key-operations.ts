import { attestedKeyBundle, keyBundle } from './bundles.ts'
import {
  digestBytesOf,
  isSignatureAlgorithm,
  signDigest,
  verifyDigest,
  type SignatureAlgorithm,
} from './digest-signature.ts'
import {
  answered,
  base64urlFrom,
  forbiddenUse,
  keyIdOf,
  parametersFrom,
  type Parameters,
} from './key-use.ts'
import { refused, type Performed, type VaultContent, type VaultKey } from './performed.ts'
import {
  algorithmUnfit,
  bodyMalformed,
  digestLength,
  propertyInvalid,
  type VaultError,
} from './vault-error.ts'

export const getKey = ({ origin }: VaultContent, key: VaultKey): Performed => ({
  ok: true,
  body: keyBundle(origin, key),
})

export const getKeyAttestation = ({ origin }: VaultContent, key: VaultKey): Performed => ({
  ok: true,
  body: attestedKeyBundle(origin, key),
})

/** Signs the digest as it is given; what it is the digest of, a vault never learns. */
export function sign(content: VaultContent, key: VaultKey, body: Buffer): Performed {
  const forbidden = forbiddenUse(content, key, 'sign')
  if (forbidden !== undefined) return refused(forbidden)
  const parameters = parametersFrom(body)
  if (parameters === undefined) return refused(bodyMalformed)
  const digest = digestFrom(content, key, parameters, 'value')
  if (!digest.ok) return refused(digest.error)
  const { algorithm, bytes } = digest
  return answered(content, key, algorithm, signDigest(algorithm, bytes, key.version.privateKey))
}

export function verify(content: VaultContent, key: VaultKey, body: Buffer): Performed {
  const forbidden = forbiddenUse(content, key, 'verify')
  if (forbidden !== undefined) return refused(forbidden)
  const parameters = parametersFrom(body)
  if (parameters === undefined) return refused(bodyMalformed)
  const digest = digestFrom(content, key, parameters, 'digest')
  if (!digest.ok) return refused(digest.error)
  const signature = base64urlFrom(parameters['value'])
  if (signature === undefined) return refused(propertyInvalid('value'))
  const { algorithm, bytes } = digest
  const value = verifyDigest(algorithm, bytes, signature, key.version.publicKey)
  return { ok: true, body: { value }, algorithm }
}

type Digest =
  | { readonly ok: true; readonly algorithm: SignatureAlgorithm; readonly bytes: Buffer }
  | { readonly ok: false; readonly error: VaultError }

/** What elliptic-curve and symmetric keys sign with: known to a vault, and unfit for an RSA key. */
const foreignAlgorithm = /^(ES(256K?|384|512)|HS(256|384|512))$/

function digestFrom(
  content: VaultContent,
  key: VaultKey,
  parameters: Parameters,
  property: 'value' | 'digest',
): Digest {
  const { alg: algorithm } = parameters
  if (typeof algorithm !== 'string') return { ok: false, error: propertyInvalid('alg') }
  if (!isSignatureAlgorithm(algorithm)) {
    const { keyType } = key.stored.definition
    return {
      ok: false,
      error: foreignAlgorithm.test(algorithm)
        ? algorithmUnfit(keyIdOf(content, key), keyType, algorithm)
        : propertyInvalid('alg'),
    }
  }
  const bytes = base64urlFrom(parameters[property])
  if (bytes === undefined) return { ok: false, error: propertyInvalid(property) }
  const required = digestBytesOf(algorithm)
  return bytes.length === required
    ? { ok: true, algorithm, bytes }
    : { ok: false, error: digestLength(property, bytes.length, algorithm, required) }
}
