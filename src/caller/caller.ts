import type { IssuerName } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'

/** Who asks, proven: an issuer that the operator trusts vouches for every claim. */
export interface Caller {
  readonly issuer: IssuerName
  /** `sub` as the issuer gave it, at most 512 characters of it: for the ledger, not for matching alone. */
  readonly subject: string
  /** Every claim of the token, parsed once and frozen; grants match on these. */
  readonly claims: Readonly<Record<string, unknown>>
  /** base64url SHA-256 of the compact token. */
  readonly tokenSha256: string
  /** `exp` of the token, seconds. */
  readonly expiresAtSeconds: number
}

/**
 * Why a caller is not proven. The reason goes to the protected log and the counters; outside, most of
 * them look the same.
 */
export type CallerRefusal =
  | { readonly reason: 'caller_token_missing' }
  | { readonly reason: 'caller_token_malformed'; readonly detail: string }
  | { readonly reason: 'caller_issuer_unknown' }
  | {
      readonly reason: CallerRefusalReason
      readonly issuer: IssuerName
      readonly detail: string
    }

/** Reasons that a known issuer's rules give. */
export type CallerRefusalReason =
  | 'caller_algorithm_refused'
  | 'caller_key_unknown'
  | 'caller_signature_wrong'
  | 'caller_audience_wrong'
  | 'caller_token_expired'
  | 'caller_token_not_yet_valid'
  | 'caller_token_too_long_lived'
  | 'caller_claim_missing'
  | 'caller_claim_refused' // `require` of the issuer does not hold
  | 'caller_tenant_refused' // Entra: a tenant that is not listed
  | 'caller_not_an_application' // Entra: a delegated token
  | 'caller_is_ourselves' // a token of one of our own applications: no chains

export type Identification =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly refusal: CallerRefusal }

/** Proves who asks. Safe for concurrent calls. */
export interface CallerIdentifier {
  /**
   * @param token A bearer token, as it came; never logged.
   * @throws CallerError when the issuer's keys cannot be had: the caller may be who it says, and we
   *   cannot tell now.
   */
  identify(token: Secret<string>): Promise<Identification>
}

export type CallerErrorCode = 'ISSUER_UNREACHABLE' | 'ISSUER_MALFORMED'

export class CallerError extends Error {
  override readonly name = 'CallerError'
  readonly code: CallerErrorCode
  readonly issuer: IssuerName

  constructor(code: CallerErrorCode, issuer: IssuerName, options?: ErrorOptions) {
    super(`${code}: ${issuer}`, options)
    this.code = code
    this.issuer = issuer
  }
}
