import { createHmac, createPublicKey, type KeyObject } from 'node:crypto'
import { SignJWT, type JWTHeaderParameters, type JWTPayload } from 'jose'
import { generateSigningKey, type SigningKey } from '../signing-keys.ts'
import type { WorldIssuer } from '../world.ts'
import { issuerKinds } from './claim-sets.ts'
import type { MintOrder, WrongToken } from './mint-order.ts'

/** Claims of a caller token, the wrong one among them where that was ordered. */
export function callerTokenClaims(
  issuer: string,
  { kind, claims: seeded }: WorldIssuer,
  order: MintOrder,
  nowSeconds: number,
): JWTPayload {
  const profile = issuerKinds[kind]
  const own = present({
    ...profile.defaultClaims(issuer, nowSeconds),
    ...seeded,
    ...order.claims,
  })
  const audience = order.audience ?? profile.defaultAudience(issuer, own)
  const claims = {
    ...(profile.keyUse === undefined ? { iss: issuer } : {}),
    sub: profile.subject(own, order.subject),
    aud: profile.audienceAsArray ? [audience].flat() : audience,
    iat: nowSeconds,
    nbf: nowSeconds - profile.backdatedSeconds,
    exp: nowSeconds + (order.lifetimeSeconds ?? profile.lifetimeSeconds),
    ...own,
  }
  return { ...claims, ...wrongClaims(order.wrong, nowSeconds) }
}

/** The compact token, signed as ordered: rightly, unless the order wants the signature wrong. */
export async function signCallerToken(
  claims: JWTPayload,
  { kind }: WorldIssuer,
  key: SigningKey,
  wrong: WrongToken | undefined,
): Promise<string> {
  const { typ } = issuerKinds[kind]
  const header = { alg: 'RS256', kid: key.keyId, ...(typ === undefined ? {} : { typ }) }
  switch (wrong) {
    case 'signature':
      return withChangedSignature(await sign(claims, header, key.privateKey))
    case 'unknown-key': {
      const stranger = await generateSigningKey()
      return sign(claims, { ...header, kid: stranger.keyId }, stranger.privateKey)
    }
    case 'embedded-key': {
      const stranger = await generateSigningKey()
      return sign(claims, { ...header, jwk: stranger.jwk }, stranger.privateKey)
    }
    case 'algorithm-none':
      return `${signingInput({ ...header, alg: 'none' }, claims)}.`
    case 'algorithm-hs256':
      return withHmac({ ...header, alg: 'HS256' }, claims, key)
    case 'expired':
    case 'not-yet-valid':
    case 'issuer':
    case 'audience':
    case undefined:
      return sign(claims, header, key.privateKey)
  }
}

const present = (claims: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null))

/** Further off than any skew that a verifier might allow. */
const farOffSeconds = 7200

function wrongClaims(wrong: WrongToken | undefined, nowSeconds: number): JWTPayload {
  const past = nowSeconds - farOffSeconds
  const future = nowSeconds + farOffSeconds
  if (wrong === 'expired') return { iat: past, nbf: past, exp: past + 300 }
  if (wrong === 'not-yet-valid') return { iat: future, nbf: future, exp: future + 300 }
  if (wrong === 'issuer') return { iss: 'https://elsewhere.example' }
  if (wrong === 'audience') return { aud: 'https://elsewhere.example' }
  return {}
}

const sign = (claims: JWTPayload, header: JWTHeaderParameters, key: KeyObject) =>
  new SignJWT(claims).setProtectedHeader(header).sign(key)

function withChangedSignature(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const octets = Buffer.from(signature, 'base64url')
  octets.writeUInt8(octets.readUInt8(octets.length - 1) ^ 1, octets.length - 1)
  return `${header}.${payload}.${octets.toString('base64url')}`
}

function withHmac(header: JWTHeaderParameters, claims: JWTPayload, key: SigningKey): string {
  const input = signingInput(header, claims)
  const publicPem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', publicPem).update(input).digest('base64url')}`
}

const signingInput = (header: JWTHeaderParameters, claims: JWTPayload) =>
  [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
