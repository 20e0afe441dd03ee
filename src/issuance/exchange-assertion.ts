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
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import type { SignedAssertion } from './sign-assertion.ts'

/** Entra answers well under a second; a caller's patience ends near half a minute. */
const exchangeTimeoutMs = 10_000

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
  const sentAtMs = deps.clock.nowMs()
  const sentAtMonotonicMs = Math.floor(deps.clock.monotonicMs())
  let token: AccessToken
  try {
    token = await deps.tokenEndpoint.exchange({
      exchangeId,
      tenantId: admitted.tenant,
      clientId: admitted.application.clientId,
      scope,
      life,
      assertion: signed.compact,
      timeoutMs: exchangeTimeoutMs,
    })
  } catch (error) {
    if (!(error instanceof TokenEndpointError)) throw error
    deps.events.exchangeFailed(error.code)
    await deps.ledger.append([failed(facts(), error)])
    throw error
  }
  deps.events.exchangeMade(deps.clock.nowMs() - sentAtMs)
  const cached = cachedTokenFrom(token, {
    obtainedAtSeconds: Math.floor(sentAtMs / 1000),
    obtainedAtMonotonicMs: sentAtMonotonicMs,
    obtainedBy: admitted.attempt,
    keyId: admitted.credential.key.keyId,
  })
  await deps.ledger.append([succeeded(facts(), token, cached)])
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

type Obtained = Pick<
  CachedToken,
  'obtainedAtSeconds' | 'obtainedAtMonotonicMs' | 'obtainedBy' | 'keyId'
>

/** Its life is counted from when it was asked for, so that it is never too long. */
const cachedTokenFrom = (token: AccessToken, obtained: Obtained): CachedToken => ({
  value: token.value,
  ...obtained,
  expiresAtSeconds: obtained.obtainedAtSeconds + token.expiresInSeconds,
  expiresAtMonotonicMs: obtained.obtainedAtMonotonicMs + token.expiresInSeconds * 1000,
  ...(token.refreshInSeconds === undefined ? {} : { refreshInSeconds: token.refreshInSeconds }),
  sha256: sha256Base64url(token.value.reveal()),
})
