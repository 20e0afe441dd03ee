import type { ApplicationName, AttemptId, Scope, TenantId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'

export interface TokenOrder {
  readonly application: ApplicationName
  readonly tenant: TenantId
  readonly scope: Scope
}

export interface AssertionOrder {
  readonly application: ApplicationName
  readonly tenant: TenantId
  /** Absent: what the grant says. */
  readonly lifetimeSeconds?: number
}

/** A token or an assertion. */
export interface IssuedCredential {
  readonly value: Secret<string>
  /** From the moment the request was sent, so that it is never too long. */
  readonly expiresInSeconds: number
  readonly attempt: AttemptId
}

/**
 * The service, as the workload that the agent speaks for may ask it. Safe for concurrent calls, which all
 * end within seconds. Asked once more when the workload's own token was refused and there is another one by
 * then; nothing else is retried.
 */
export interface CountersignService {
  /** @throws ServiceError */
  token(order: TokenOrder): Promise<IssuedCredential>
  /** @throws ServiceError */
  assertion(order: AssertionOrder): Promise<IssuedCredential>
}

/** One code for each thing that somebody would do differently. */
export type ServiceErrorCode =
  | 'SERVICE_REFUSED' // no grant, or it was stopped
  | 'SERVICE_CALLER_REFUSED' // the workload's own proof
  | 'SERVICE_ENTRA_REFUSED' // who must act is in the attempt's problem
  | 'SERVICE_THROTTLED'
  | 'SERVICE_BUSY' // the vault, Entra or the ledger is away
  | 'SERVICE_UNREACHABLE'
  | 'SERVICE_TIMEOUT'
  | 'SERVICE_MALFORMED' // something else answers there
  | 'WORKLOAD_IDENTITY_UNAVAILABLE'

/** What a problem of the service says that may be passed on. */
export interface ToldProblem {
  /** Of openapi.yaml. */
  readonly code?: string
  readonly attempt?: AttemptId
}

export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ServiceErrorCode
  readonly told: ToldProblem | undefined
  /** As the service asked; absent when it did not. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ServiceErrorCode,
    facts: {
      readonly told?: ToldProblem
      readonly retryAfterSeconds?: number | undefined
      readonly cause?: unknown
    } = {},
  ) {
    super(code, { cause: facts.cause })
    this.code = code
    this.told = facts.told
    this.retryAfterSeconds = facts.retryAfterSeconds
  }
}

/**
 * Whether the service now refuses what it may have allowed before: it was revoked, or no grant allows it any
 * more. That a proof of the workload is missing or over is no such thing: what was given before stays good.
 */
export const isTakenBack = (error: unknown): boolean =>
  error instanceof ServiceError &&
  error.code === 'SERVICE_REFUSED' &&
  ['revoked', 'not_granted'].includes(error.told?.code ?? '')
