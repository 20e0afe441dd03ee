import { callerAlgorithms, type CallerAlgorithm } from '../base/caller-algorithms.ts'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { canonicalJson } from '../base/canonical-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { isStrongRsa } from '../base/strong-rsa.ts'

/** One public key of an issuer that is fit to verify with. */
export interface VerificationKey {
  /** Of everything the issuer says about the key: another use or another number is another key. */
  readonly fingerprint: string
  readonly publicKey: KeyObject
  /** Those that kind, curve and the issuer's own `alg` leave. */
  readonly algorithms: readonly CallerAlgorithm[]
  readonly kid?: string
  /** Entra: whose tokens it signs, with `{tenantid}` in it when it signs for every tenant. */
  readonly issuer?: string
}

/** Issuers show two to eight; a longer list is no key set that we know how to trust. */
const keysMax = 100

const keySetSchema = z.object({ keys: z.array(z.unknown()).max(keysMax) })

const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/)
const describedKey = {
  kid: z.string().optional(),
  use: z.string().optional(),
  key_ops: z
    .array(z.string())
    .refine((operations) => operations.includes('verify'))
    .optional(),
  alg: z.enum(callerAlgorithms).optional(),
  issuer: z.string().optional(),
  // A key set that shows a private half has lost that key.
  d: z.undefined().optional(),
}
const keySchema = z.discriminatedUnion('kty', [
  z.object({ kty: z.literal('RSA'), n: base64url, e: base64url, ...describedKey }),
  z.object({
    kty: z.literal('EC'),
    crv: z.enum(['P-256', 'P-384', 'P-521']),
    x: base64url,
    y: base64url,
    ...describedKey,
  }),
  z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: base64url, ...describedKey }),
])
type DescribedKey = z.output<typeof keySchema>

/**
 * What keys must be for: those that do not say are taken for signatures; a trust bundle says of each
 * key what its signatures are on (SPIFFE Trust Domain and Bundle §4.2.2).
 */
export type KeyUse = 'sig' | 'jwt-svid'

/**
 * The keys of a JWKS (RFC 7517 §5) that are fit to verify with. Others are left out one by one, as
 * the standard wants: they may be meant for somebody else.
 *
 * @returns undefined when it is no key set at all.
 */
export function parseKeySet(
  json: unknown,
  use: KeyUse = 'sig',
): readonly VerificationKey[] | undefined {
  const set = keySetSchema.safeParse(json)
  if (!set.success) return undefined
  return set.data.keys
    .map((key) => verificationKeyFrom(key, use))
    .filter((key) => key !== undefined)
}

/** A key that somebody brings along to prove that it is theirs. */
export interface ProofKey extends Pick<VerificationKey, 'publicKey' | 'algorithms'> {
  /** base64url SHA-256 of its numbers (RFC 7638). */
  readonly thumbprint: string
}

/** Undefined for a JWK that is unfit to verify with, or is not public alone. */
export function proofKeyFrom(jwk: object): ProofKey | undefined {
  if (privateMembers.some((name) => Object.hasOwn(jwk, name))) return undefined
  const key = verificationKeyFrom(jwk, 'sig')
  if (key === undefined) return undefined
  const { publicKey, algorithms } = key
  const thumbprint = sha256Base64url(canonicalJson(numbersOf(keySchema.parse(jwk))))
  return { publicKey, algorithms, thumbprint }
}

/** RFC 7518 §6.2.2, §6.3.2 and §6.4.1. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function verificationKeyFrom(json: unknown, use: KeyUse): VerificationKey | undefined {
  const described = keySchema.safeParse(json)
  if (!described.success) return undefined
  const { data } = described
  if ((data.use ?? 'sig') !== use) return undefined
  const texts = Object.values(data).filter((value) => typeof value === 'string')
  if (!texts.every((text) => text.isWellFormed())) return undefined
  const { kid, alg, issuer } = data
  const publicKey = publicKeyFrom(data)
  const algorithms = algorithmsOf(data).filter((name) => alg === undefined || alg === name)
  if (publicKey === undefined || !isStrong(publicKey) || algorithms.length === 0) return undefined
  return {
    fingerprint: sha256Base64url(canonicalJson(data)),
    publicKey,
    algorithms,
    ...(kid === undefined ? {} : { kid }),
    ...(issuer === undefined ? {} : { issuer }),
  }
}

function publicKeyFrom(described: DescribedKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: numbersOf(described), format: 'jwk' })
  } catch {
    // A point beside its curve, for one: left out like every other unfit key.
    return undefined
  }
}

function numbersOf(described: DescribedKey) {
  switch (described.kty) {
    case 'RSA':
      return { kty: described.kty, n: described.n, e: described.e }
    case 'EC':
      return { kty: described.kty, crv: described.crv, x: described.x, y: described.y }
    case 'OKP':
      return { kty: described.kty, crv: described.crv, x: described.x }
  }
}

function algorithmsOf(described: DescribedKey): readonly CallerAlgorithm[] {
  if (described.kty === 'RSA') return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
  switch (described.crv) {
    case 'P-256':
      return ['ES256']
    case 'P-384':
      return ['ES384']
    case 'P-521':
      return ['ES512']
    case 'Ed25519':
      return ['EdDSA']
  }
}

const isStrong = (key: KeyObject) => key.asymmetricKeyType !== 'rsa' || isStrongRsa(key)
