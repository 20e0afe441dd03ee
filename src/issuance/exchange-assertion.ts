import { type Instant, instantNow, laterBy } from '../base/clock.ts'
import {
  type ApplicationName,
  type AttemptId,
  type ExchangeId,
  newExchangeId,
  type Scope,
  type SignatureId,
  type TenantId,
} from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { ExchangeFailed, ExchangeSucceeded } from '../ledger/entry.ts'
import type { CachedToken } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { type AccessToken, TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { timeLeftMs } from './attempt-deadline.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { recordFailure } from './record-failure.ts'
import { recordSuccess } from './record-success.ts'
import type { SignedAssertion } from './sign-assertion.ts'

/** Entra answers well under a second; a caller's patience ends near half a minute. */
const exchangeTimeoutMs = 10_000
/** Whatever is left: the signature has been made, and is worth an attempt. */
const exchangeTimeoutMinMs = 2_000

/**
 * Exchanges a signed assertion for a token. How that ended is written before anybody is told.
 *
 * @param signed Its signature is written already, by whoever signed it.
 * @throws TokenEndpointError | LedgerError
 */
export async function exchangeAssertion(
  signed: SignedAssertion,
  admitted: AdmittedAttempt,
  { scope, life }: Pick<TokenKey, 'scope' | 'life'>,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  const exchangeId = newExchangeId()
  const facts = (): ExchangeFacts => ({
    atMs: deps.clock.nowMs(),
    exchange: exchangeId,
    signature: signed.signatureId,
    attempt: admitted.attempt,
    application: admitted.application.name,
    tenant: admitted.tenant,
    scope,
  })
  const sentAt = instantNow(deps.clock)
  let token: AccessToken
  try {
    token = await deps.tokenEndpoint.exchange({
      exchangeId,
      tenantId: admitted.tenant,
      clientId: admitted.application.clientId,
      scope,
      life,
      assertion: signed.compact,
      timeoutMs: Math.max(
        exchangeTimeoutMinMs,
        timeLeftMs(admitted, exchangeTimeoutMs, deps.clock),
      ),
    })
  } catch (error) {
    if (!(error instanceof TokenEndpointError)) throw error
    deps.events.exchangeFailed(error.code)
    return recordFailure(error, failed(facts(), error), admitted.attempt, deps)
  }
  deps.events.exchangeMade(deps.clock.monotonicMs() - sentAt.monotonicMs)
  const cached = cachedTokenFrom(token, sentAt, admitted.attempt, signed.keyId)
  await recordSuccess(succeeded(facts(), token, cached), admitted.attempt, deps)
  return cached
}

interface ExchangeFacts {
  readonly atMs: number
  readonly exchange: ExchangeId
  readonly signature: SignatureId
  readonly attempt: AttemptId
  readonly application: ApplicationName
  readonly tenant: TenantId
  readonly scope: Scope
}

const succeeded = (
  facts: ExchangeFacts,
  token: AccessToken,
  cached: CachedToken,
): ExchangeSucceeded => ({
  kind: 'exchange.succeeded',
  ...facts,
  ...(token.traceId === undefined ? {} : { traceId: token.traceId }),
  ...(token.uti === undefined ? {} : { uti: token.uti }),
  tokenSha256: cached.sha256,
  expiresAtSeconds: cached.expiresAtSeconds,
})

const failed = (facts: ExchangeFacts, error: TokenEndpointError): ExchangeFailed => ({
  kind: 'exchange.failed',
  ...facts,
  code: error.code,
  applied: error.applied,
  ...(error.errorCodes.length === 0 ? {} : { errorCodes: error.errorCodes }),
  ...(error.traceId === undefined ? {} : { traceId: error.traceId }),
})

const cachedTokenFrom = (
  token: AccessToken,
  sentAt: Instant,
  attempt: AttemptId,
  keyId: string,
): CachedToken => ({
  value: token.value,
  expiresAtSeconds: Math.floor(sentAt.ms / 1000) + token.expiresInSeconds,
  expiry: laterBy(token.expiresInSeconds * 1000, sentAt),
  lifetimeSeconds: token.expiresInSeconds,
  ...(token.refreshInSeconds === undefined ? {} : { refreshInSeconds: token.refreshInSeconds }),
  obtainedBy: attempt,
  keyId,
  sha256: sha256Base64url(token.value.reveal()),
})
