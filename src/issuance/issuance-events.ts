import type { IssuerName } from '../base/ids.ts'
import type { CertificateSwitched, Entry, SignatureBegun } from '../ledger/entry.ts'
import type { CircuitChange, GovernorErrorCode } from '../signer/governor.ts'
import type { SignerError } from '../signer/signer.ts'
import type { TokenEndpointErrorCode } from '../token-endpoint/token-endpoint.ts'

/**
 * What operators are told as it happens. One function per business event, so that the log line and
 * the counter cannot drift apart. Nothing here replaces an entry: these may be lost, entries may not.
 */
export interface IssuanceEvents {
  tokenIssued(source: 'cache' | 'exchange'): void
  assertionIssued(): void
  /** The cache was asked for a token that its caller may have. */
  cacheAsked(outcome: 'hit' | 'miss'): void
  /** A token in use was refreshed before its end. */
  tokenRefreshed(): void
  /** A token that was due was left: the grant that used it last does not give it any more. */
  refreshLeft(): void
  /** `cause` as in {@link IssuanceEvents.failed}. Nobody waited, and the token lives on. */
  refreshFailed(attempt: string, code: string, cause: unknown): void
  /** A cached token had to make room. */
  tokenEvicted(): void
  /** A named caller was refused. */
  refused(attempt: string, reason: string): void
  /** A stranger was refused; `detail` is for the protected log. */
  turnedAway(attempt: string, reason: string, issuer: IssuerName | undefined, detail: string): void
  /** Leave to sign was given, so long after it was asked for. */
  permitGranted(waitedMs: number): void
  /** With a standby, the request may have been served all the same. */
  permitRefused(code: GovernorErrorCode): void
  /** Vault or key is left alone, or asked again. */
  circuitChanged(change: CircuitChange): void
  certificateSwitched(entry: CertificateSwitched): void
  signatureMade(purpose: SignatureBegun['purpose'], durationMs: number): void
  signatureFailed(error: Pick<SignerError, 'code' | 'asked'>): void
  exchangeMade(durationMs: number): void
  exchangeFailed(code: TokenEndpointErrorCode): void
  /** No token was obtained by a request whose caller has gone; `cause` as below. */
  flightFailed(attempt: string, code: string, cause: unknown): void
  /** A caller did not wait for its answer. */
  callerGone(attempt: string): void
  /** `cause` holds what the SDKs and Entra said: for the protected log only. */
  failed(attempt: string, code: string, cause: unknown): void
  /** The ledger did not take the entry that says how something ended; `cause` likewise. */
  unrecorded(attempt: string, entry: Entry, cause: unknown): void
}
