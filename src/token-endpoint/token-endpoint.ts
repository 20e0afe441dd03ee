import type { ClientId, ExchangeId, Scope, TenantId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import type { TokenLife } from '../base/token-life.ts'

export interface ExchangeRequest {
  /** Sent as `client-request-id`: Entra keeps it with its sign-in record. */
  readonly exchangeId: ExchangeId
  readonly tenantId: TenantId
  readonly clientId: ClientId
  readonly scope: Scope
  /** `long-lived` only asks for it: Entra gives it where client and resource can handle it. */
  readonly life: TokenLife
  readonly assertion: Secret<string>
  readonly timeoutMs: number
}

export interface AccessToken {
  readonly value: Secret<string>
  /** From the moment the request was sent, so that it is never too long. */
  readonly expiresInSeconds: number
  /** From then on Entra would rather be asked again, counted like the end; absent when it did not say. */
  readonly refreshInSeconds: number | undefined
  /** Entra's `x-ms-request-id`; absent when the answer had none. */
  readonly traceId: string | undefined
  /** Entra's `uti` claim; absent when the token is not a JWT that has one. */
  readonly uti: string | undefined
}

/**
 * A tenant's token endpoint. Safe for concurrent calls; nothing is retried here. A lost reply means
 * that Entra may have issued a token that nobody has.
 */
export interface TokenEndpoint {
  /** The URL that assertions for the tenant are addressed to (`aud`), and that they are posted to. */
  urlOf(tenantId: TenantId): string
  /** @throws TokenEndpointError */
  exchange(request: ExchangeRequest): Promise<AccessToken>
}

/** One code for each thing that somebody would do differently. */
export type TokenEndpointErrorCode =
  | 'ENTRA_CERTIFICATE_UNKNOWN'
  | 'ENTRA_CERTIFICATE_INVALID'
  | 'ENTRA_ASSERTION_EXPIRED'
  | 'ENTRA_ASSERTION_REFUSED'
  | 'ENTRA_APPLICATION_ABSENT'
  | 'ENTRA_APPLICATION_DISABLED'
  | 'ENTRA_TENANT_UNKNOWN'
  | 'ENTRA_RESOURCE_ABSENT'
  | 'ENTRA_ROLE_MISSING'
  | 'ENTRA_SCOPE_REFUSED'
  | 'ENTRA_POLICY_BLOCKED'
  | 'ENTRA_THROTTLED'
  | 'ENTRA_REFUSED'
  | 'ENTRA_UNAVAILABLE'
  | 'ENTRA_TIMEOUT'
  | 'ENTRA_MALFORMED'

/** Who can mend it: the operator of this service, an administrator of the tenant, or only time. */
export type WhoMustAct = 'operator' | 'tenant-administrator' | 'nobody'

export class TokenEndpointError extends Error {
  override readonly name = 'TokenEndpointError'
  readonly code: TokenEndpointErrorCode
  /** `unknown`: Entra may have issued a token that never arrived. */
  readonly applied: 'no' | 'unknown'
  /** Entra's numbers, such as 700027; empty when the answer had none. */
  readonly errorCodes: readonly number[]
  readonly traceId: string | undefined
  /** As Entra asked; absent when it did not. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: TokenEndpointErrorCode,
    applied: 'no' | 'unknown',
    facts: {
      readonly errorCodes?: readonly number[]
      readonly traceId?: string | undefined
      readonly retryAfterSeconds?: number | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(code, { cause: facts.cause })
    this.code = code
    this.applied = applied
    this.errorCodes = facts.errorCodes ?? []
    this.traceId = facts.traceId
    this.retryAfterSeconds = facts.retryAfterSeconds
  }
}

interface CodeMeaning {
  readonly who: WhoMustAct
  /** For the caller: no name of ours, no text of Entra's. */
  readonly meaning: string
}

/** What each code means, and who must act; shown to callers, so it names nothing private. */
export const tokenEndpointErrorMeanings: Record<TokenEndpointErrorCode, CodeMeaning> = {
  ENTRA_CERTIFICATE_UNKNOWN: {
    who: 'operator',
    meaning: 'Entra does not accept the certificate of the application, or not yet.',
  },
  ENTRA_CERTIFICATE_INVALID: {
    who: 'operator',
    meaning: 'The certificate of the application is expired, not yet valid or revoked.',
  },
  ENTRA_ASSERTION_EXPIRED: {
    who: 'operator',
    meaning: "The clock of the service and Entra's disagree.",
  },
  ENTRA_ASSERTION_REFUSED: {
    who: 'operator',
    meaning: 'Entra refused the form of the client assertion.',
  },
  ENTRA_APPLICATION_ABSENT: {
    who: 'tenant-administrator',
    meaning: 'The application is not present in the tenant: an administrator there must consent.',
  },
  ENTRA_APPLICATION_DISABLED: {
    who: 'operator',
    meaning: 'The application is disabled or was deleted.',
  },
  ENTRA_TENANT_UNKNOWN: { who: 'operator', meaning: 'Entra does not know the tenant.' },
  ENTRA_RESOURCE_ABSENT: {
    who: 'tenant-administrator',
    meaning: 'The resource of the scope is not present in the tenant.',
  },
  ENTRA_ROLE_MISSING: {
    who: 'tenant-administrator',
    meaning: 'The application has no role that the resource requires.',
  },
  ENTRA_SCOPE_REFUSED: { who: 'operator', meaning: 'Entra refused the scope.' },
  ENTRA_POLICY_BLOCKED: {
    who: 'tenant-administrator',
    meaning: 'A Conditional Access policy of the tenant blocks the application.',
  },
  ENTRA_THROTTLED: { who: 'nobody', meaning: 'Entra asks to be asked less often.' },
  ENTRA_REFUSED: {
    who: 'operator',
    meaning: 'Entra refused for a reason with a number of its own.',
  },
  ENTRA_UNAVAILABLE: { who: 'nobody', meaning: 'Entra did not answer, or not as it should.' },
  ENTRA_TIMEOUT: { who: 'nobody', meaning: 'Entra did not answer in time.' },
  ENTRA_MALFORMED: { who: 'operator', meaning: "What answered is not Entra's token endpoint." },
}
