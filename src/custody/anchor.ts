/** A place outside of the service's reach, as far as the operator has seen to that, which keeps heads. */
export interface Anchor {
  /** For the log. */
  readonly name: string
  /**
   * Keeps a head behind those that it holds; durable when it resolves. Settles within {@link anchorTimeoutMs}:
   * what hangs may still be kept later, and until then nothing else is. Calls come one after the other.
   *
   * @param witnessed What a witness says of it, compact; absent where it is the service that keeps its own.
   * @throws AnchorError
   */
  keep(head: string, witnessed?: string): Promise<void>
  /** Whether something that was to be kept has neither been yet nor failed. */
  hangs(): boolean
}

/** A stop waits for it too. */
export const anchorTimeoutMs = 5000

export type AnchorErrorCode =
  | 'ANCHOR_MISSING' // its folder is not there: it is to be made on the volume, so that it goes with it
  | 'ANCHOR_FORBIDDEN'
  | 'ANCHOR_TIMEOUT' // it hangs, or what was to be kept before still does
  | 'ANCHOR_FAILED' // full, read-only, or broken

export class AnchorError extends Error {
  override readonly name = 'AnchorError'
  readonly code: AnchorErrorCode

  constructor(code: AnchorErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
