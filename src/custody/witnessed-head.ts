import { constants, type KeyObject, verify } from 'node:crypto'
import { z } from 'zod'
import { sha256Base64url } from '../base/sha256.ts'
import { parseCompact, signingInputFrom } from './own-jws.ts'

/**
 * What a witness says: that it has followed the ledger up to this head, and that the head fits all it saw
 * before. It is a JWS (RFC 7515) of a type of its own, without any claim of a JWT and without the form of a
 * head, so that nobody could take it for either.
 */
export interface WitnessStatement {
  /** base64url of the SHA-256 of the compact head. */
  readonly headSha256: string
  /** Milliseconds since the Unix epoch, by the clock of the witness. */
  readonly atMs: number
}

/** Our own, as that of a head is. */
export const witnessType = 'countersign-witness+jws'

/** What each kind of key signs with: the header does not choose. EdDSA is RFC 8037, with Ed25519 alone. */
export type WitnessAlgorithm = 'EdDSA' | 'PS256'

/** Undefined for a key that no witness may have. */
export function witnessAlgorithmOf({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): WitnessAlgorithm | undefined {
  if (asymmetricKeyType === 'ed25519') return 'EdDSA'
  const bits = asymmetricKeyDetails?.modulusLength ?? 0
  return asymmetricKeyType === 'rsa' && bits >= 2048 ? 'PS256' : undefined
}

/** ASCII of header and payload (RFC 7515 §5.1): what is signed. */
export function witnessSigningInput(
  { headSha256, atMs }: WitnessStatement,
  { keyId, algorithm }: { readonly keyId: string; readonly algorithm: WitnessAlgorithm },
): string {
  return signingInputFrom({ alg: algorithm, kid: keyId, typ: witnessType }, { atMs, headSha256 })
}

/** What a witness is said to say, before anybody has looked at its signature. */
export interface UnverifiedWitness {
  readonly keyId: string
  readonly algorithm: WitnessAlgorithm
  readonly statement: WitnessStatement
  readonly signingInput: string
  readonly signature: Uint8Array
}

const headerForm = z.strictObject({
  alg: z.enum(['EdDSA', 'PS256']),
  kid: z.string(),
  typ: z.literal(witnessType),
})

const statementForm = z.strictObject({
  atMs: z.int(),
  headSha256: z.string().regex(/^[\w-]{43}$/),
}) satisfies z.ZodType<WitnessStatement>

/** RSA signatures of up to 8192 bits, and a name: what is longer is none. */
const compactMax = 4096

/** Undefined for whatever is none, such as a head or an assertion. */
export function parseWitnessed(compact: string): UnverifiedWitness | undefined {
  const jws = parseCompact(compact, compactMax)
  const said = headerForm.safeParse(jws?.header)
  const statement = statementForm.safeParse(jws?.payload)
  if (jws === undefined || !said.success || !statement.success) return undefined
  return {
    keyId: said.data.kid,
    algorithm: said.data.alg,
    statement: statement.data,
    signingInput: jws.signingInput,
    signature: jws.signature,
  }
}

/** Whether the key's holder has witnessed this head, and no other. */
export const isWitnessing = (
  { algorithm, statement, signingInput, signature }: UnverifiedWitness,
  compactHead: string,
  publicKey: KeyObject,
): boolean =>
  statement.headSha256 === sha256Base64url(compactHead) &&
  witnessAlgorithmOf(publicKey) === algorithm &&
  verifiesAs(algorithm, Buffer.from(signingInput, 'ascii'), publicKey, signature)

function verifiesAs(
  algorithm: WitnessAlgorithm,
  input: Buffer,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  if (algorithm === 'EdDSA') return verify(undefined, input, key, signature)
  // RFC 7518 §3.5: the salt is as long as the hash.
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return verify('sha256', input, pss, signature)
}
