import { assertionLifetimeDefaultSeconds } from '../assertion/client-assertion.ts'
import type { CachedToken } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { exchangeAssertion } from './exchange-assertion.ts'
import type { InternalAssertion } from './internal-assertions.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import {
  grantedEntry,
  signAssertion,
  type SignedAssertion,
  type SignOrder,
} from './sign-assertion.ts'

/**
 * Obtains a token for an attempt that leads: with a young assertion if there is one, and with a
 * signature of its own otherwise. The exchange is this attempt's in any case.
 *
 * @throws SignerError | TokenEndpointError | LedgerError
 */
export function obtainToken(
  admitted: AdmittedAttempt,
  key: TokenKey,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  return deps.underWay.during(() => signAndExchange(admitted, key, deps))
}

async function signAndExchange(
  admitted: AdmittedAttempt,
  key: TokenKey,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  const assertion = await deps.assertions.obtain(admitted, () =>
    signForExchange(admitted, 'begins', deps),
  )
  // Whoever signs has written it with the signature's beginning.
  if (assertion.attempt !== admitted.attempt) {
    await deps.ledger.append([grantedEntry(admitted, deps.clock.nowMs())])
  }
  try {
    return await exchangeAssertion(assertion.signed, admitted, key, deps)
  } catch (error) {
    if (!blamesSharing(error, assertion)) throw error
    deps.assertions.forget(assertion)
    const own = await signForExchange(admitted, 'is-under-way', deps)
    return exchangeAssertion(own, admitted, key, deps)
  }
}

/** Once it resolves, the signature is written and may be used by any number of exchanges. */
async function signForExchange(
  admitted: AdmittedAttempt,
  attempt: SignOrder['attempt'],
  deps: IssuanceDeps,
): Promise<SignedAssertion> {
  const lifetimeSeconds = assertionLifetimeDefaultSeconds
  const order: SignOrder = { purpose: 'exchange', lifetimeSeconds, attempt }
  const signed = await signAssertion(admitted, order, deps)
  await deps.ledger.append([signed.made])
  return signed
}

/**
 * Entra takes an assertion more than once in practice, and promises nothing: a refusal of one that
 * others used too may be about that alone, so it is worth one signature to find out.
 */
function blamesSharing(error: unknown, assertion: InternalAssertion): boolean {
  if (!(error instanceof TokenEndpointError) || assertion.uses < 2) return false
  return error.code === 'ENTRA_ASSERTION_REFUSED' || error.code === 'ENTRA_ASSERTION_EXPIRED'
}
