import { SignerError, type SignerErrorCode } from '../signer/signer.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
  tokenEndpointErrorMeanings,
} from '../token-endpoint/token-endpoint.ts'

/**
 * How a flight failed, as replicas tell it one another: by its code, because nothing else is theirs to
 * tell. Whoever is told has signed and sent nothing itself. What is about one replica alone is told to
 * nobody: its ledger, its own queue for the vault, and what it remembers of Entra's refusals.
 */
export const toldFailures = {
  codeOf: (error: unknown): string | undefined =>
    error instanceof SignerError || error instanceof TokenEndpointError ? error.code : undefined,

  errorFrom: (code: string): Error | undefined => {
    if (isSignerCode(code)) return new SignerError(code, 'no')
    if (isTokenEndpointCode(code)) return new TokenEndpointError(code, 'no')
    return undefined
  },
}

const isTokenEndpointCode = (code: string): code is TokenEndpointErrorCode =>
  Object.hasOwn(tokenEndpointErrorMeanings, code)

const isSignerCode = (code: string): code is SignerErrorCode => Object.hasOwn(signerCodes, code)

const signerCodes: Readonly<Record<SignerErrorCode, true>> = {
  SIGNER_THROTTLED: true,
  SIGNER_FORBIDDEN: true,
  SIGNER_KEY_DISABLED: true,
  SIGNER_KEY_OUTSIDE_VALIDITY: true,
  SIGNER_KEY_MISSING: true,
  SIGNER_CREDENTIAL: true,
  SIGNER_REJECTED: true,
  SIGNER_UNAVAILABLE: true,
  SIGNER_TIMEOUT: true,
  SIGNER_TOO_LATE: true,
  SIGNER_WRONG_SIGNATURE: true,
  SIGNER_UNACCOUNTABLE: true,
  SIGNER_UNRECOGNISED: true,
}
