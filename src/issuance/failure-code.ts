import { CallerError } from '../caller/caller.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { GovernorError } from '../signer/governor.ts'
import { SignerError } from '../signer/signer.ts'
import { TokenCacheError } from '../token-cache/token-cache.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { RememberedRefusal } from './entra-refusals.ts'
import { NothingProven } from './nothing-proven.ts'

/** Refused before anybody was asked. */
export const costNothing = (error: unknown): error is GovernorError | RememberedRefusal =>
  error instanceof GovernorError || error instanceof RememberedRefusal

/** Whether it is about nobody but a caller that did not wait for its answer. */
export const isCallerGone = (error: unknown): boolean =>
  (error instanceof TokenCacheError && error.code === 'TOKEN_CALLER_GONE') ||
  (error instanceof GovernorError && error.code === 'GOVERNOR_ABANDONED')

/** The code of a failure at one of our boundaries; whatever else is thrown is a mistake of ours. */
export function failureCode(error: unknown): string {
  const known =
    error instanceof GovernorError ||
    error instanceof RememberedRefusal ||
    error instanceof NothingProven ||
    error instanceof SignerError ||
    error instanceof TokenEndpointError ||
    error instanceof CallerError ||
    error instanceof TokenCacheError ||
    error instanceof LedgerError
  return known ? error.code : unexpected
}

/** A mistake of ours. */
export const unexpected = 'UNEXPECTED'
