import type { X509Certificate } from 'node:crypto'
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
  /** base64url SHA-256 of the compact token; absent where a certificate is the proof. */
  readonly tokenSha256?: string
  /**
   * What the token is known by, however it is written: base64url SHA-256 of issuer and `jti`. Without a `jti`,
   * of issuer and what is signed: a signature can often be written in another way. Absent where a certificate
   * is the proof: it may be used again and again.
   */
  readonly tokenId?: string
  /** base64url SHA-256 of the certificate (DER) that is the proof; absent where a token is. */
  readonly certificateSha256?: string
  /** When the proof ends by itself, whole seconds, rounded down: `exp` of the token, or the end of the certificate's path. */
  readonly expiresAtSeconds: number
}

/** Everything in a request that may prove somebody. None of it is believed yet. */
export interface PresentedProofs {
  /** Absent: no `Authorization`, or one that is no token. */
  readonly token?: PresentedToken | undefined
  /** The `DPoP` header (RFC 9449 §4.1) as it came. */
  readonly dpopProof?: string | undefined
  /** Absent: the connection has none, or was not asked for one. */
  readonly certificate?: ClientCertificate | undefined
  /** What a DPoP proof must be about. */
  readonly target: RequestTarget
}

export interface PresentedToken {
  /** Of `Authorization`: a token that is bound to a DPoP key comes under a scheme of its own. */
  readonly scheme: 'Bearer' | 'DPoP'
  /** Never logged. */
  readonly text: Secret<string>
}

export interface RequestTarget {
  readonly method: string
  /** As sent, without the query. */
  readonly path: string
}

/**
 * What a client has shown of itself while its connection was made. TLS has proven that it holds the key
 * of the first certificate, and nothing else. One object for each connection.
 */
export interface ClientCertificate {
  /** As sent: its own first, then what is to lead to a CA; at least one. */
  readonly chain: readonly X509Certificate[]
  /** base64url SHA-256 of its own (DER): `x5t#S256` of RFC 8705. */
  readonly sha256: string
}

/**
 * Why a caller is not proven. The reason goes to the protected log and the counters; outside, most of
 * them look the same. A detail is ours, or a short name from the token that cannot hold a token.
 */
export type CallerRefusal = TokenRefusal | HolderRefusal

/** Of a token, whoever sends it. */
export type TokenRefusal =
  | { readonly reason: 'caller_token_missing' }
  | { readonly reason: 'caller_token_malformed'; readonly detail: TokenFault }
  | { readonly reason: 'caller_issuer_unknown' }
  | {
      readonly reason: CallerRefusalReason
      readonly issuer: IssuerName
      readonly detail: string
    }

/** Of whoever proves to hold a key, or does not. */
export type HolderRefusal =
  /** No issuer has a CA that signed the certificate. */
  | { readonly reason: 'caller_certificate_unknown' }
  /** CAs of two issuers stand above the certificate, so nobody could say which of them vouches. */
  | { readonly reason: 'caller_certificate_ambiguous' }
  | {
      readonly reason: HolderRefusalReason
      readonly issuer: IssuerName
      readonly detail: string
      /** What the token must come with to count; absent: not by DPoP, or nothing would help it. */
      readonly mustCome?: 'with-dpop'
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

/** Reasons that a known issuer's certificates and bound tokens give. */
export type HolderRefusalReason =
  /** A CA of the issuer stands above the certificate, and it proves nobody all the same. */
  | 'caller_certificate_refused'
  /** The issuer's tokens count only if they are bound to a key, or to one of another kind. */
  | 'caller_token_unbound'
  /** The token is bound to a key in a way that is not known here (`cnf`, RFC 7800). */
  | 'caller_binding_unknown'
  /** The token is bound to a key, and the request does not prove that key. */
  | 'caller_binding_unproven'
  /** A DPoP proof by the right key that is not one of this request. */
  | 'caller_dpop_refused'
  /** Beside the token comes a proof that it is not bound to. */
  | 'caller_two_proofs'

export type Identification =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly refusal: CallerRefusal }

/** Proves who asks. Safe for concurrent calls. */
export interface CallerIdentifier {
  /**
   * At once: who was proven a moment ago by what a request presents, where nothing of it has to be proven
   * anew. Undefined says nothing; {@link CallerIdentifier.identify} does.
   */
  known(presented: PresentedProofs): Caller | undefined
  /**
   * By what a request presents, all of it: a token that is bound to a key counts only with the proof of
   * that key, in each request anew, and two proofs that are not bound to one another prove nobody.
   *
   * @throws CallerError when the issuer's keys cannot be had, or not had again yet: the caller may be
   *   who it says, and we cannot tell now.
   */
  identify(presented: PresentedProofs): Promise<Identification>
}

/** Proves by whom and about whom a token is. Safe for concurrent calls. */
export interface TokenIdentifier {
  /** At once: whose token it is, where it was verified a moment ago. Undefined says nothing. */
  known(token: Secret<string>): Caller | undefined
  /**
   * Not who sends it: a token with `cnf` proves its sender only with the proof of that key, which is not
   * looked at here.
   *
   * @param token As it came; never logged.
   * @throws CallerError as {@link CallerIdentifier.identify} does.
   */
  identify(token: Secret<string>): Promise<Identification>
}

/** Proves callers by what they showed while their connection was made. Safe for concurrent calls. */
export interface CertificateIdentifier {
  identify(certificate: ClientCertificate): Identification
}

export type CallerErrorCode =
  | 'ISSUER_UNREACHABLE'
  | 'ISSUER_MALFORMED'
  /** The host of its keys is where no issuer of this kind is asked unless the operator says so. */
  | 'ISSUER_ADDRESS_REFUSED'
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
