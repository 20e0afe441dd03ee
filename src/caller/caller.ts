import type { IssuerName } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'

/** Who asks, proven: an issuer that the operator trusts vouches for every claim. */
export interface Caller {
  readonly issuer: IssuerName
  /** `sub` as the issuer gave it, at most 512 characters of it: for the ledger, not for matching alone. */
  readonly subject: string
  /**
   * Every claim of the token, parsed once: frozen all the way down, and without a prototype, so that
   * a claim that is absent is `undefined` whatever its name.
   */
  readonly claims: Readonly<Record<string, unknown>>
  /** base64url SHA-256 of the compact token. */
  readonly tokenSha256: string
  /**
   * What the token is known by, however it is written: base64url SHA-256 of issuer and `jti`. Without a `jti`,
   * of issuer and what is signed: a signature can often be written in another way.
   */
  readonly tokenId: string
  /** `exp` of the token, whole seconds, rounded down. */
  readonly expiresAtSeconds: number
}

/**
 * Why a caller is not proven. The reason goes to the protected log and the counters; outside, most of
 * them look the same. A detail is ours, or a short name from the token that cannot hold a token.
 */
export type CallerRefusal =
  | { readonly reason: 'caller_token_missing' }
  | { readonly reason: 'caller_token_malformed'; readonly detail: TokenFault }
  | { readonly reason: 'caller_issuer_unknown' }
  | {
      readonly reason: CallerRefusalReason
      readonly issuer: IssuerName
      readonly detail: string
    }

/** What makes a token no token at all, found without asking who issued it. */
export type TokenFault =
  | 'too long'
  | 'not three parts'
  | 'not base64url'
  | 'not UTF-8'
  | 'not JSON'
  | 'not a JSON object'
  | 'too many parts'
  | 'a member twice'
  | 'nested too deep'
  | 'a number that is not exact'
  | 'a lone surrogate'
  /** `crit`, `b64`, or a key that the token brings along (RFC 8725 §3.10). */
  | 'a refused header member'
  /** `typ` says that this is another kind of JWT (RFC 8725 §3.11). */
  | 'another type'

/** Reasons that a known issuer's rules give. */
export type CallerRefusalReason =
  | 'caller_algorithm_refused'
  /** No key of the issuer has this `kid` and may verify this algorithm. */
  | 'caller_key_unknown'
  | 'caller_signature_wrong'
  | 'caller_audience_wrong'
  | 'caller_token_expired'
  | 'caller_token_not_yet_valid'
  | 'caller_token_too_long_lived'
  /** A claim that every token of this kind of issuer has is absent or of another form. */
  | 'caller_claim_missing'
  /** `require` of the issuer does not hold. */
  | 'caller_claim_refused'
  /** Entra: a tenant that is not listed. */
  | 'caller_tenant_refused'
  /** Entra: a delegated token. */
  | 'caller_not_an_application'
  /** A token of one of our own applications: no chains. */
  | 'caller_is_ourselves'

export type Identification =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly refusal: CallerRefusal }

/** Proves who asks. Safe for concurrent calls. */
export interface CallerIdentifier {
  /**
   * @param token A bearer token, as it came; never logged.
   * @throws CallerError when the issuer's keys cannot be had, or not had again yet: the caller may be
   *   who it says, and we cannot tell now.
   */
  identify(token: Secret<string>): Promise<Identification>
}

export type CallerErrorCode =
  | 'ISSUER_UNREACHABLE'
  | 'ISSUER_MALFORMED'
  /** Unknown keys have made us ask as often as we may: by our own limit, not the issuer's. */
  | 'ISSUER_BUDGET_SPENT'

export interface CallerErrorOptions extends ErrorOptions {
  readonly retryAfterSeconds?: number
}

export class CallerError extends Error {
  override readonly name = 'CallerError'
  readonly code: CallerErrorCode
  readonly issuer: IssuerName
  /** When it can be told; absent where nobody knows. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: CallerErrorCode, issuer: IssuerName, options?: CallerErrorOptions) {
    super(`${code}: ${issuer}`, options)
    this.code = code
    this.issuer = issuer
    this.retryAfterSeconds = options?.retryAfterSeconds
  }
}
