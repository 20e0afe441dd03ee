import type { SigningKey } from '../base/signing-key.ts'

/** Where the key of heads is kept. */
export interface HeadKeyLocation {
  /** `https://{vault}`, without a path. */
  readonly vaultUrl: string
  readonly vaultKeyName: string
  /** False accepts a key that no HSM holds; exportable ones and those with other uses are refused either way. */
  readonly requireHsm: boolean
}

/** Reads the key interface of a vault. */
export interface HeadKeySource {
  /**
   * The current version, proven: an RSA key that signs, does nothing else, is no certificate's, cannot be
   * exported, is within its validity, and is held as {@link HeadKeyLocation.requireHsm} says.
   *
   * @param signal Aborted when nobody waits for it any more.
   * @throws HeadKeyError
   */
  load(signal?: AbortSignal): Promise<SigningKey>
}

/** One code for each thing that an operator would do differently. */
export type HeadKeyErrorCode =
  | 'HEAD_KEY_UNREACHABLE' // no answer: wait, it is tried again
  | 'HEAD_KEY_CREDENTIAL' // no token for the vault
  | 'HEAD_KEY_FORBIDDEN' // needs keys/read
  | 'HEAD_KEY_MISSING'
  | 'HEAD_KEY_DISABLED'
  | 'HEAD_KEY_OUTSIDE_VALIDITY'
  | 'HEAD_KEY_NOT_RSA' // or smaller than 2048 bits
  | 'HEAD_KEY_NOT_IN_HSM'
  | 'HEAD_KEY_EXPORTABLE'
  | 'HEAD_KEY_HAS_OTHER_USES'
  | 'HEAD_KEY_CANNOT_SIGN'
  | 'HEAD_KEY_OF_CERTIFICATE' // whose signatures an identity provider would take
  | 'HEAD_KEY_UNRECOGNISED' // an answer that this table does not know

export class HeadKeyError extends Error {
  override readonly name = 'HeadKeyError'
  readonly code: HeadKeyErrorCode

  constructor(code: HeadKeyErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
