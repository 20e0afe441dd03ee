import { SignerError, type SignerErrorCode } from '../signer/signer.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
  tokenEndpointErrorMeanings,
} from '../token-endpoint/token-endpoint.ts'

/**
 * How a flight failed, as replicas tell it one another: by its code, because nothing else is theirs to
 * tell. Whoever is told has signed and sent nothing itself. What is about one replica alone is told to
 * nobody: its ledger, its own queue for the vault, what it remembers of Entra's refusals, its identity and
 * its clock.
 */
export const toldFailures = {
  codeOf: (error: unknown): string | undefined => {
    if (error instanceof SignerError) {
      return error.asked && isSignerCode(error.code) ? error.code : undefined
    }
    const isEntras = error instanceof TokenEndpointError && isTokenEndpointCode(error.code)
    return isEntras ? error.code : undefined
  },

  errorFrom: (code: string): Error | undefined => {
    if (isSignerCode(code)) return new SignerError(code, 'no')
    if (isTokenEndpointCode(code)) return new TokenEndpointError(code, 'no')
    return undefined
  },
}

/** Entra finds an assertion expired by the clock of the replica that made it. */
const isTokenEndpointCode = (code: string): code is TokenEndpointErrorCode =>
  Object.hasOwn(tokenEndpointErrorMeanings, code) && code !== 'ENTRA_ASSERTION_EXPIRED'

const isSignerCode = (code: string): code is ToldSignerCode => Object.hasOwn(signerCodes, code)

/** The others are of one replica whenever they happen. */
type ToldSignerCode = Exclude<SignerErrorCode, 'SIGNER_CREDENTIAL' | 'SIGNER_TOO_LATE'>

const signerCodes: Readonly<Record<ToldSignerCode, true>> = {
  SIGNER_THROTTLED: true,
  SIGNER_FORBIDDEN: true,
  SIGNER_KEY_DISABLED: true,
  SIGNER_KEY_OUTSIDE_VALIDITY: true,
  SIGNER_KEY_MISSING: true,
  SIGNER_REJECTED: true,
  SIGNER_UNAVAILABLE: true,
  SIGNER_TIMEOUT: true,
  SIGNER_WRONG_SIGNATURE: true,
  SIGNER_UNACCOUNTABLE: true,
  SIGNER_UNRECOGNISED: true,
}
