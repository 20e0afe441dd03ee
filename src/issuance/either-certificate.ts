import type { ApplicationName } from '../base/ids.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { GovernorError, type PermitRequest } from '../signer/governor.ts'
import { SignerError } from '../signer/signer.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { timeLeftMs } from './attempt-deadline.ts'
import type { SigningCredential } from './credentials.ts'
import { RememberedRefusal } from './entra-refusals.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { NothingProven } from './nothing-proven.ts'

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
/** It is proven, and somebody has stopped its key version. */
const revoked = 'CERTIFICATE_KEY_REVOKED'

/**
 * Acts with the certificate that has the duty, and with the other one when the first could not be used:
 * the only place where anything is tried again. Once, while the attempt has time, and only when it is
 * certain that nothing came of the first try: a vault that may have signed is not asked to sign again.
 *
 * @throws NothingProven; LedgerError; whatever `act` throws; of two refusals, the one that ends sooner
 */
export async function withEitherCertificate<T>(
  admitted: AdmittedAttempt,
  deps: IssuanceDeps,
  act: (one: CertificateTry) => Promise<T>,
): Promise<T> {
  const { application, credentials } = admitted
  const [first, second] = deps.duty.inOrder(application.name, credentials)
  if (first === undefined) throw nothingToTry(application.name, deps)
  if (second === undefined) return act(onlyTry(first, whyNoOther(application.name, deps)))
  try {
    return await act({ credential: first, whilePaused: 'refuse' })
  } catch (error) {
    const hasTime = timeLeftMs(admitted, secondTryTakesMs, deps.clock) === secondTryTakesMs
    if (!hasTime || !isOfItsCertificate(error, admitted)) throw error
    return await act(otherTry(second, error)).catch((again: unknown) => {
      throw soonerOf(error, again)
    })
  }
}

/** What is proven and was stopped meanwhile is decided again, and then refused for what it is. */
const nothingToTry = (application: ApplicationName, { credentials }: IssuanceDeps) =>
  credentials.current(application).length === 0
    ? new NothingProven()
    : new LedgerError('LEDGER_OVERTAKEN')

/** The key version that an attempt sets out with; undefined while none is proven. */
export function firstKeyId(
  { application, credentials }: AdmittedAttempt,
  deps: IssuanceDeps,
): string | undefined {
  const [first] = deps.duty.inOrder(application.name, credentials)
  return first?.key.keyId
}

const onlyTry = (credential: SigningCredential, why: string): CertificateTry => ({
  credential,
  whilePaused: 'wait',
  ...(credential.place === 'standby' ? { insteadBecause: why } : {}),
})

const whyNoOther = (
  application: ApplicationName,
  { credentials }: Pick<IssuanceDeps, 'credentials'>,
) => (credentials.current(application).length > 1 ? revoked : notProven)

type FirstFailure = GovernorError | RememberedRefusal | SignerError | TokenEndpointError

const otherTry = (credential: SigningCredential, error: FirstFailure): CertificateTry => ({
  credential,
  whilePaused: 'wait',
  insteadBecause: (isFromMemory(error) ? error.remembered : undefined) ?? error.code,
})

const isFromMemory = (error: unknown): error is GovernorError | RememberedRefusal =>
  error instanceof GovernorError || error instanceof RememberedRefusal

/** Whether nothing has come of it, and the other certificate could do better. */
function isOfItsCertificate(error: unknown, admitted: AdmittedAttempt): error is FirstFailure {
  if (error instanceof GovernorError) return isOfItsVault(error, admitted)
  if (error instanceof RememberedRefusal) return error.reach === 'certificate'
  if (error instanceof SignerError) return error.applied === 'no' && !ownFaults.has(error.code)
  return error instanceof TokenEndpointError && certificateCodes.has(error.code)
}

/** The service's own identity is the same for every vault, and its own standstill nobody else's fault. */
const ownFaults: ReadonlySet<string> = new Set(['SIGNER_CREDENTIAL', 'SIGNER_TOO_LATE'])

/** Entra's, of the certificate that has signed: another one may be accepted. */
export const certificateCodes: ReadonlySet<string> = new Set([
  'ENTRA_CERTIFICATE_UNKNOWN',
  'ENTRA_CERTIFICATE_INVALID',
])

/** One caller's crowd is not the vault's fault, and who nobody waits for can wait for its budget. */
function isOfItsVault({ code }: GovernorError, { priority }: AdmittedAttempt): boolean {
  switch (code) {
    case 'GOVERNOR_VAULT_PAUSED':
    case 'GOVERNOR_KEY_PAUSED':
      return true
    case 'GOVERNOR_BUDGET_SPENT':
    case 'GOVERNOR_QUEUE_FULL':
      return priority === 'caller'
    // The standby's budget is in the same database.
    case 'GOVERNOR_BUDGET_AWAY':
    case 'GOVERNOR_CALLER_QUEUE_FULL':
    case 'GOVERNOR_ABANDONED':
      return false
  }
}

function soonerOf(first: unknown, second: unknown): unknown {
  const isSooner =
    isFromMemory(first) &&
    isFromMemory(second) &&
    first.retryAfterSeconds < second.retryAfterSeconds
  return isSooner ? first : second
}
