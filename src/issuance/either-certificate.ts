import { GovernorError, type PermitRequest } from '../signer/governor.ts'
import { timeLeftMs } from './attempt-deadline.ts'
import type { SigningCredential } from './credentials.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'

/** One try of an attempt, with one of the application's certificates. */
export interface CertificateTry {
  readonly credential: SigningCredential
  readonly whilePaused: PermitRequest['whilePaused']
  /** Why the one that would be next does not sign: a code. Absent for the first choice. */
  readonly insteadBecause?: string
}

/** What signing and, for a token, the exchange take when all is well, and some more. */
const secondTryTakesMs = 2_000

/** The primary one of the pair is not proven, so it could not be tried. */
const notProven = 'CERTIFICATE_NOT_PROVEN'

/**
 * Acts with the certificate that has the duty, and with the other one when the first cannot sign in
 * time: the only place where anything is tried again, once, and while the attempt has time.
 *
 * @throws whatever `act` throws; of two refusals, the one that ends sooner
 */
export async function withEitherCertificate<T>(
  admitted: AdmittedAttempt,
  deps: IssuanceDeps,
  act: (one: CertificateTry) => Promise<T>,
): Promise<T> {
  const { application, credentials } = admitted
  const [first, second] = deps.duty.inOrder(application.name, credentials)
  if (first === undefined) throw new TypeError('an attempt is admitted when it can be signed for')
  if (second === undefined) return act(onlyTry(first))
  try {
    return await act({ credential: first, whilePaused: 'refuse' })
  } catch (error) {
    if (!mayTryOther(error, admitted, deps)) throw error
    const other = { credential: second, whilePaused: 'wait', insteadBecause: error.code } as const
    return await act(other).catch((again: unknown) => {
      throw soonerOf(error, again)
    })
  }
}

const onlyTry = (credential: SigningCredential): CertificateTry => ({
  credential,
  whilePaused: 'wait',
  ...(credential.place === 'standby' ? { insteadBecause: notProven } : {}),
})

/** One caller's crowd is not the vault's fault, and who nobody waits for need not be signed for elsewhere. */
function mayTryOther(
  error: unknown,
  admitted: AdmittedAttempt,
  deps: IssuanceDeps,
): error is GovernorError {
  if (!(error instanceof GovernorError)) return false
  const { code } = error
  if (code === 'GOVERNOR_ABANDONED' || code === 'GOVERNOR_CALLER_QUEUE_FULL') return false
  const isPaused = code === 'GOVERNOR_VAULT_PAUSED' || code === 'GOVERNOR_KEY_PAUSED'
  if (admitted.priority === 'ahead' && !isPaused) return false
  return timeLeftMs(admitted, secondTryTakesMs, deps.clock) === secondTryTakesMs
}

function soonerOf(first: GovernorError, second: unknown): unknown {
  return second instanceof GovernorError && first.retryAfterSeconds < second.retryAfterSeconds
    ? first
    : second
}
