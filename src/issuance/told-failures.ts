import { SignerError, type SignerErrorCode } from '../signer/signer.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
  tokenEndpointErrorMeanings,
} from '../token-endpoint/token-endpoint.ts'
import { certificateCodes } from './either-certificate.ts'

/**
 * How a flight failed, as replicas tell it one another: by its code, because nothing else is theirs to
 * tell, and by the key version that the flight set out with, where another one may do better. Whoever is
 * told has signed and sent nothing itself. What is about one replica alone is told to nobody: its ledger,
 * its own queue for the vault, what it remembers of Entra's refusals, its identity and its clock.
 */
export const toldFailures = {
  textOf: (error: unknown, keyId: string | undefined): string | undefined => {
    const code = toldCodeOf(error)
    return code !== undefined && keyId !== undefined && isOfItsKey(code) ? `${code} ${keyId}` : code
  },

  /** Whoever has no key version could do no better. */
  errorFrom: (text: string, keyId: string | undefined): Error | undefined => {
    const [code = '', failedKeyId] = text.split(' ')
    if (failedKeyId !== undefined && keyId !== undefined && failedKeyId !== keyId) return undefined
    if (isSignerCode(code)) return new SignerError(code, 'no')
    if (isTokenEndpointCode(code)) return new TokenEndpointError(code, 'no')
    return undefined
  },
}

function toldCodeOf(error: unknown): string | undefined {
  if (error instanceof SignerError) {
    return error.asked && isSignerCode(error.code) ? error.code : undefined
  }
  const isEntras = error instanceof TokenEndpointError && isTokenEndpointCode(error.code)
  return isEntras ? error.code : undefined
}

/** What a vault does not do with a key it may do with another, which may be in another vault. */
const isOfItsKey = (code: string) => isSignerCode(code) || certificateCodes.has(code)

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
