import type { KeyObject } from 'node:crypto'
import type { WrappedSecret } from './data-key.ts'

/** Where the key is that wraps data keys. It is a key by itself, and does nothing else. */
export interface WrappingKeyLocation {
  /** `https://{vault}`, without a path. */
  readonly vaultUrl: string
  readonly vaultKeyName: string
  /** False accepts a key that software holds. One that may be exported is refused either way. */
  readonly requireHsm: boolean
}

/**
 * A key that a vault holds, and that wraps data keys. Each call proves the version that it uses: RSA,
 * held as {@link WrappingKeyLocation.requireHsm} says, not exportable, of no certificate, and for
 * wrapping and unwrapping alone.
 *
 * Safe for concurrent calls. Nothing is retried here.
 */
export interface WrappingKey {
  /**
   * Wraps with the current version, and answers only when the vault has given the secret back.
   *
   * @throws SealingError
   */
  wrap(secret: KeyObject): Promise<WrappedSecret>
  /**
   * Asks no other key than the configured one, whatever the argument names.
   *
   * @throws SealingError
   */
  unwrap(wrapped: WrappedSecret): Promise<KeyObject>
}

/** One code for each thing that an operator would do differently. */
export type SealingErrorCode =
  | 'SEALING_UNREACHABLE' // no answer, or none for now: wait and try again
  | 'SEALING_CREDENTIAL' // no token for the vault
  | 'SEALING_FORBIDDEN' // needs keys/read, keys/wrap and keys/unwrap
  | 'SEALING_KEY_MISSING'
  | 'SEALING_KEY_DISABLED'
  | 'SEALING_KEY_OUTSIDE_VALIDITY' // the key's nbf or exp
  | 'SEALING_KEY_NOT_RSA' // or smaller than 2048 bits
  | 'SEALING_KEY_CANNOT_WRAP' // or not unwrap
  | 'SEALING_KEY_HAS_OTHER_USES'
  | 'SEALING_KEY_NOT_IN_HSM'
  | 'SEALING_KEY_EXPORTABLE'
  | 'SEALING_KEY_OF_CERTIFICATE' // its private half could leave with the certificate's secret
  | 'SEALING_KEY_FOREIGN' // the data key was wrapped by another key than the configured one
  | 'SEALING_DATA_KEY_DAMAGED' // what was stored is not what was wrapped
  | 'SEALING_NOT_GIVEN_BACK' // the vault did not unwrap to what it had been given to wrap
  | 'SEALING_UNRECOGNISED' // an answer that this table does not know

/** The message is the code: nothing of a data key, and nothing that a vault said, is in it. */
export class SealingError extends Error {
  override readonly name = 'SealingError'
  readonly code: SealingErrorCode

  constructor(code: SealingErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }

  /** Whether asking again later is all that anybody need do. */
  get transient(): boolean {
    return this.code === 'SEALING_UNREACHABLE' || this.code === 'SEALING_CREDENTIAL'
  }
}
