import { compactVerify, errors } from 'jose'
import type { CallerRefusalReason } from './caller.ts'
import type { TokenHeader } from './compact-token.ts'
import type { NamedIssuer } from './issuer-directory.ts'
import { shortName } from './short-name.ts'
import type { CallerAlgorithm } from '../base/caller-algorithms.ts'
import type { VerificationKey } from './key-set.ts'
import type { KeySource } from './key-source.ts'

export type SignatureProof =
  | { readonly ok: true; readonly key: VerificationKey }
  | { readonly ok: false; readonly reason: CallerRefusalReason; readonly detail: string }

/** A token as far as its signature is concerned. */
export interface SignedToken {
  readonly text: string
  /** base64url SHA-256 of the text. */
  readonly sha256: string
  readonly header: TokenHeader
}

/**
 * Proves that the issuer signed a token, with the one algorithm and key that its header may name.
 *
 * @throws CallerError when the issuer's keys cannot tell now.
 */
export async function proveSignature(
  { text, sha256, header }: SignedToken,
  issuer: NamedIssuer,
  keys: Pick<KeySource, 'find'>,
): Promise<SignatureProof> {
  const algorithm = issuer.settings.algorithms.find((name) => name === header.alg)
  if (algorithm === undefined) {
    return { ok: false, reason: 'caller_algorithm_refused', detail: shortName(header.alg) }
  }
  const key = await keys.find((candidate) => fits(candidate, header.kid, algorithm, issuer), sha256)
  if (key === undefined) {
    return { ok: false, reason: 'caller_key_unknown', detail: `kid ${shortName(header.kid)}` }
  }
  try {
    await compactVerify(text, key.publicKey, { algorithms: [algorithm] })
    return { ok: true, key }
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    return { ok: false, reason: 'caller_signature_wrong', detail: algorithm }
  }
}

/**
 * A token without `kid` fits every key of its algorithm, and is verified when that is only one. At
 * Entra one endpoint shows the keys of all tenants and of others, so each says whose it is.
 */
function fits(
  key: VerificationKey,
  kid: string | undefined,
  algorithm: CallerAlgorithm,
  { tenant }: NamedIssuer,
): boolean {
  if (!key.algorithms.includes(algorithm)) return false
  if (kid !== undefined && key.kid !== kid) return false
  if (tenant === undefined) return true
  return key.issuer?.replace('{tenantid}', tenant.tenantId) === tenant.keyIssuer
}
