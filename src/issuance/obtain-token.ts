import { assertionLifetimeDefaultSeconds } from '../assertion/client-assertion.ts'
import type { CachedToken } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { assertInForce, beginWithGrant } from './append-decided.ts'
import { attemptLastsMs, timeLeftMs } from './attempt-deadline.ts'
import { type CertificateTry, withEitherCertificate } from './either-certificate.ts'
import { exchangeAssertion } from './exchange-assertion.ts'
import type { InternalAssertion } from './internal-assertions.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { recordSuccess } from './record-success.ts'
import { signAssertion, type SignedAssertion, type SignOrder } from './sign-assertion.ts'

/**
 * Obtains a token for an attempt that leads, unless it is known that Entra refuses it: with a young
 * assertion if there is one, and with a signature of its own otherwise. The exchange is this attempt's
 * in any case.
 *
 * @throws GovernorError | RememberedRefusal | SignerError | TokenEndpointError | LedgerError
 */
export function obtainToken(
  admitted: AdmittedAttempt,
  key: TokenKey,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  return deps.underWay.during(() => withProvenCertificate(admitted, key, deps))
}

function withProvenCertificate(
  admitted: AdmittedAttempt,
  key: TokenKey,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  const { clientId } = admitted.application
  const { tenant, scope } = key
  return withEitherCertificate(admitted, deps, (one) => {
    const subject = { clientId, keyId: one.credential.key.keyId, tenant, scope }
    const patienceMs = timeLeftMs(admitted, attemptLastsMs, deps.clock)
    return deps.entraRefusals.remembering(subject, patienceMs, (probesEntra) =>
      exchangeWith(one, probesEntra, admitted, key, deps),
    )
  })
}

async function exchangeWith(
  one: CertificateTry,
  probesEntra: boolean,
  admitted: AdmittedAttempt,
  key: TokenKey,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  const sign = () => signForExchange(admitted, one, probesEntra, deps)
  const assertion = await deps.assertions.obtain(admitted, one.credential, sign)
  // Whoever signs has written it with the signature's beginning.
  await beginWithGrant(admitted, deps)
  // While the vault signs, tenant or application may have been taken away: nobody is contacted about it then.
  assertInForce(deps)
  try {
    return await exchangeAssertion(assertion.signed, admitted, key, deps)
  } catch (error) {
    if (!blamesSharing(error, assertion)) throw error
    deps.assertions.forget(assertion)
    return exchangeAssertion(await sign(), admitted, key, deps)
  }
}

/** Once it resolves, the signature is written and may be used by any number of exchanges. */
async function signForExchange(
  admitted: AdmittedAttempt,
  one: CertificateTry,
  probesEntra: boolean,
  deps: IssuanceDeps,
): Promise<SignedAssertion> {
  const lifetimeSeconds = assertionLifetimeDefaultSeconds
  const order: SignOrder = { purpose: 'exchange', lifetimeSeconds, probesEntra }
  const signed = await signAssertion(admitted, one, order, deps)
  await recordSuccess(signed.made, admitted.attempt, deps)
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
