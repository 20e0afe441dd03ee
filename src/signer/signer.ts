import type { SignatureId } from '../base/ids.ts'
import type { SignatureAlgorithm, SigningKey } from '../base/signing-key.ts'

/** What {@link Signer.sign} is asked for. */
export interface SignRequest {
  readonly key: SigningKey
  readonly algorithm: SignatureAlgorithm
  /** ASCII of the first two parts of a JWS (RFC 7515 §5.1). The vault sees its SHA-256 only. */
  readonly signingInput: string
  readonly signatureId: SignatureId
  /** Random; reaches the vault's log in the User-Agent and is told to nobody else. */
  readonly nonce: string
  readonly timeoutMs: number
}

export interface Signature {
  readonly value: Uint8Array
  /** The vault's `x-ms-request-id`, which is the `correlationId` of its audit record. */
  readonly vaultRequestId: string
}

/**
 * Has a vault sign. Takes the signing input and not a bare digest, because the signature is verified
 * over what it is meant for.
 *
 * Safe for concurrent calls on a prepared key. One call is at most one request to the vault: nothing
 * is retried here. When the reply is lost the vault may have signed; the error then says
 * `applied: 'unknown'` and the vault's log will tell.
 */
export interface Signer {
  /**
   * Gets a client for this key version ready (challenge, token, connection) by reading the key, not
   * by signing. Must have resolved once before {@link Signer.sign} is called with the key.
   *
   * @param signal Aborted when nobody waits for it any more.
   * @throws SignerError
   */
  prepare(key: SigningKey, signal?: AbortSignal): Promise<void>
  /**
   * Resolves only with a signature that verifies with the key's public half.
   *
   * @throws SignerError
   */
  sign(request: SignRequest): Promise<Signature>
}

/** One code for each thing that an operator would do differently. */
export type SignerErrorCode =
  | 'SIGNER_THROTTLED' // 429: ask less, or wait
  | 'SIGNER_FORBIDDEN' // role, access policy, firewall or private link
  | 'SIGNER_KEY_DISABLED'
  | 'SIGNER_KEY_OUTSIDE_VALIDITY' // the key's nbf or exp
  | 'SIGNER_KEY_MISSING' // 404
  | 'SIGNER_CREDENTIAL' // no token for the vault: managed identity and its kin
  | 'SIGNER_REJECTED' // 400 or 401: our request was wrong
  | 'SIGNER_UNAVAILABLE' // 5xx, a refusal that is not in the vault's words, no connection, connection lost
  | 'SIGNER_TIMEOUT' // nobody has answered in time, here or on the way (408, 499)
  | 'SIGNER_TOO_LATE' // this process stood still between its leave to ask and asking
  | 'SIGNER_WRONG_SIGNATURE' // 200, and the signature does not verify
  | 'SIGNER_UNACCOUNTABLE' // 200 without the request id that the audit record would be found by
  | 'SIGNER_UNRECOGNISED' // something that this table does not know

export class SignerError extends Error {
  override readonly name = 'SignerError'
  readonly code: SignerErrorCode
  /** `unknown`: the vault may have signed; reconcile will tell. */
  readonly applied: 'no' | 'unknown'
  /** Absent when no answer came. */
  readonly vaultRequestId: string | undefined
  /** False: it failed in this process, before a vault was asked for it, and says nothing of the vault. */
  readonly asked: boolean

  constructor(
    code: SignerErrorCode,
    applied: 'no' | 'unknown',
    options: {
      readonly vaultRequestId?: string | undefined
      /** Absent: it was. */
      readonly asked?: false
      readonly cause?: unknown
    } = {},
  ) {
    super(code, { cause: options.cause })
    this.code = code
    this.applied = applied
    this.vaultRequestId = options.vaultRequestId
    this.asked = options.asked ?? true
  }

  /** Whether asking again later is all that anybody need do. */
  get transient(): boolean {
    return transientCodes.has(this.code)
  }
}

const transientCodes = new Set<SignerErrorCode>([
  'SIGNER_THROTTLED',
  'SIGNER_UNAVAILABLE',
  'SIGNER_TIMEOUT',
  'SIGNER_TOO_LATE',
  'SIGNER_CREDENTIAL',
])
