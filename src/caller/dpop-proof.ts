import { compactVerify, errors } from 'jose'
import { z } from 'zod'
import { callerAlgorithms } from '../base/caller-algorithms.ts'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { RequestTarget } from './caller.ts'
import { compactParts } from './compact-token.ts'
import { type ProofKey, proofKeyFrom } from './key-set.ts'
import { parseStrictJsonObject } from './strict-json.ts'

/** What a proof has to be about. */
export interface ProofContext {
  /** `jkt` of the token's `cnf`: base64url SHA-256 of the key (RFC 7638). */
  readonly keyThumbprint: string
  readonly token: Secret<string>
  readonly target: RequestTarget
  /** Origin under which callers reach us; what a request says of that counts for nothing. */
  readonly publicUrl: string
  readonly nowSeconds: number
}

/** What is wrong with a proof, in our words alone. */
export type ProofFault =
  'malformed' | 'another key' | 'algorithm' | 'signature' | 'htm' | 'htu' | 'ath' | 'iat'

export type ProofVerdict =
  | {
      readonly ok: true
      /** Of the key and the `jti`, for whoever remembers that it was used. */
      readonly id: string
      /** How long the same proof would be good. */
      readonly goodForSeconds: number
    }
  | { readonly ok: false; readonly fault: ProofFault }

/** Real proofs are under 1 KiB, and those of an RSA key of 8192 bits under 4. */
const proofCharactersMax = 8 * 1024

/** Ours: clocks of clients go that wrong, either way, and a proof is made for one request of this moment. */
const clockSeconds = 60

/** Without what changes the signing input or brings another key along. */
const headerSchema = z.looseObject({
  typ: z.literal('dpop+jwt'),
  alg: z.enum(callerAlgorithms),
  jwk: z.record(z.string(), z.unknown()),
  crit: z.undefined().optional(),
  b64: z.undefined().optional(),
  jku: z.undefined().optional(),
  x5u: z.undefined().optional(),
  x5c: z.undefined().optional(),
})

const claimsSchema = z.looseObject({
  jti: z.string().min(1).max(256),
  htm: z.string(),
  htu: z.string(),
  iat: z.number(),
  ath: z.string(),
})
type ProofClaims = z.output<typeof claimsSchema>

/**
 * Judges a DPoP proof (RFC 9449 §4.3) but for whether it was used before, by everything that the RFC
 * names: the key of the token before any signature is computed over, so that a stranger's key costs
 * nothing.
 */
export async function judgeDpopProof(text: string, context: ProofContext): Promise<ProofVerdict> {
  const proof = parseProof(text)
  if (proof === undefined) return refused('malformed')
  const { key, alg, claims } = proof
  if (key.thumbprint !== context.keyThumbprint) return refused('another key')
  if (!key.algorithms.includes(alg)) return refused('algorithm')
  if (!(await isSigned(text, key, alg))) return refused('signature')
  const fault = faultOf(claims, context)
  if (fault !== undefined) return refused(fault)
  return {
    ok: true,
    id: sha256Base64url(`${key.thumbprint} ${claims.jti}`),
    goodForSeconds: Math.ceil(claims.iat + clockSeconds - context.nowSeconds) + 1,
  }
}

const refused = (fault: ProofFault) => ({ ok: false, fault }) as const

function parseProof(text: string) {
  // Several headers of one name come as one text with commas, which no proof has.
  if (text.length > proofCharactersMax) return undefined
  const parts = compactParts(text)
  if (!parts.ok) return undefined
  const header = headerSchema.safeParse(parts.header)
  const payload = parseStrictJsonObject(Buffer.from(parts.payload))
  const claims = payload.ok ? claimsSchema.safeParse(payload.object) : undefined
  if (!header.success || claims?.success !== true) return undefined
  const { alg, jwk } = header.data
  const key = proofKeyFrom(jwk)
  return key === undefined ? undefined : { key, alg, claims: claims.data }
}

async function isSigned(text: string, { publicKey }: ProofKey, algorithm: string) {
  try {
    await compactVerify(text, publicKey, { algorithms: [algorithm] })
    return true
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    return false
  }
}

function faultOf(
  { htm, htu, ath, iat }: ProofClaims,
  { token, target, publicUrl, nowSeconds }: ProofContext,
): ProofFault | undefined {
  if (htm !== target.method) return 'htm'
  if (!isThis(htu, publicUrl, target.path)) return 'htu'
  if (ath !== sha256Base64url(token.reveal())) return 'ath'
  return Math.abs(nowSeconds - iat) <= clockSeconds ? undefined : 'iat'
}

/** As parsers of URLs write both (case, default port, dots), without query and fragment; other escapes are another path. */
function isThis(htu: string, publicUrl: string, path: string): boolean {
  // A target of another form, with a host of its own, is none that a proof could be about.
  if (!path.startsWith('/')) return false
  const [said, own] = [URL.parse(htu), URL.parse(`${publicUrl}${path}`)]
  if (said === null || own === null || said.username !== '' || said.password !== '') return false
  return said.origin === own.origin && said.pathname === own.pathname
}
