import { constants, type KeyObject, verify } from 'node:crypto'
import { z } from 'zod'
import type { SignatureAlgorithm } from '../base/signing-key.ts'
import { parseCompact, signingInputFrom } from './own-jws.ts'

/**
 * A head: what a ledger held at one moment, signed by a key that does nothing else. It is a JWS (RFC 7515)
 * with a type of its own and none of the claims of a JWT (no iss, sub, aud, exp), so that no verifier could
 * take it for a client assertion.
 */
export interface HeadStatement {
  /** Tells ledgers apart: base64url of the hash of the first entry. */
  readonly ledger: string
  /** Of the last entry that it stands for: how many there were, because they are counted from 1 without a gap. */
  readonly sequence: number
  /** Of that entry in the chain, and so of all before it: base64url of 32 bytes. */
  readonly hash: string
  /** Milliseconds since the Unix epoch, by the clock of who signed. */
  readonly atMs: number
}

/** Our own, so that "JWT" and "client-authentication+jwt" are something else (RFC 8725 §3.11). */
export const headType = 'countersign-head+jws'

/** The one algorithm of heads: the header does not choose. */
export const headAlgorithm: SignatureAlgorithm = 'PS256'

/** ASCII of header and payload (RFC 7515 §5.1): what is hashed and signed. */
export function headSigningInput(statement: HeadStatement, keyId: string): string {
  const { ledger, sequence, hash, atMs } = statement
  const header = { alg: headAlgorithm, kid: keyId, typ: headType }
  return signingInputFrom(header, { atMs, hash, ledger, sequence })
}

/** What a head says, before anybody has looked at its signature. */
export interface UnverifiedHead {
  /** Of the key that it says it was signed with. */
  readonly keyId: string
  readonly statement: HeadStatement
  readonly signingInput: string
  readonly signature: Uint8Array
}

const headerForm = z.strictObject({
  alg: z.literal(headAlgorithm),
  kid: z.string(),
  typ: z.literal(headType),
})

const hashForm = z.string().regex(/^[\w-]{43}$/)

const statementForm = z.strictObject({
  atMs: z.int(),
  hash: hashForm,
  ledger: hashForm,
  sequence: z.int().positive(),
}) satisfies z.ZodType<HeadStatement>

/** RSA signatures of 2048 to 8192 bits: what is longer is no head. */
const compactMax = 8192

/** Undefined for whatever is no head, such as an assertion. */
export function parseHead(compact: string): UnverifiedHead | undefined {
  const jws = parseCompact(compact, compactMax)
  const said = headerForm.safeParse(jws?.header)
  const statement = statementForm.safeParse(jws?.payload)
  if (jws === undefined || !said.success || !statement.success) return undefined
  const { signingInput, signature } = jws
  return { keyId: said.data.kid, statement: statement.data, signingInput, signature }
}

const heldForm = z.object({ head: z.string() })

/** The compact head that an entry `head.signed` holds, whatever it is; undefined where it holds none. */
export const compactHeadIn = (entry: unknown): string | undefined =>
  heldForm.safeParse(entry).data?.head

export const isSignedBy = (head: UnverifiedHead, publicKey: KeyObject): boolean =>
  publicKey.asymmetricKeyType === 'rsa' &&
  verify(
    'sha256',
    Buffer.from(head.signingInput, 'ascii'),
    // RFC 7518 §3.5: the salt is as long as the hash.
    { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
    head.signature,
  )
