/** One use of a caller token that is good for a few alone. */
export interface TokenUse {
  /** `Caller.tokenId`: what the token is known by, however it is written. */
  readonly tokenId: string
  /** What it is used for: every use of one token is for the same. */
  readonly purpose: string
  /** How many there are for it, this one too. */
  readonly usesMax: number
  /** `exp` of the token: it is remembered until then and {@link rememberedAfterSeconds} more. */
  readonly expiresAtSeconds: number
}

export type UseAnswer = { readonly ok: true } | UseDenial

export type UseDenial =
  | {
      readonly ok: false
      /** `spent`: it has had all its uses; `elsewhere`: they are for something else. */
      readonly why: 'spent' | 'elsewhere'
    }
  /** There is room for no further token, until one expires. */
  | { readonly ok: false; readonly why: 'full'; readonly retryAfterSeconds: number }

/**
 * Remembers what caller tokens have been used for, in bounded memory: a token that cannot be remembered
 * is not used. Safe for concurrent calls: of any number that want the last use, one gets it.
 */
export interface TokenUses {
  /**
   * Why the token has no such use left, as far as that is known here: so that whoever sends it again costs
   * nobody anything. Undefined says nothing. Asks nobody and charges nothing.
   */
  knownDenial(use: TokenUse): UseDenial | undefined
  /**
   * Charges one use, and is durable when it resolves: a restart does not give it back, and nothing else
   * does. Nobody tries again: when the answer is lost, the use may be too.
   *
   * @throws TokenUsesError when it is not known to be charged; whoever waits must then not act.
   */
  take(use: TokenUse): Promise<UseAnswer>
  /** Tokens that are remembered, as far as that was looked at lately. */
  readonly remembered: number
  /** Forgets tokens that have expired; to be called each minute. @throws TokenUsesError */
  tidy(): Promise<void>
}

/** Clocks differ, and are set back: so much longer a token is remembered than it is good for. */
export const rememberedAfterSeconds = 600

/** One code for each thing that an operator would do differently. */
export type TokenUsesErrorCode =
  | 'TOKEN_USES_UNAVAILABLE' // the database did not answer, or the disk took nothing
  | 'TOKEN_USES_UNREADABLE' // the file holds something else: only ever at the start

export class TokenUsesError extends Error {
  override readonly name = 'TokenUsesError'
  readonly code: TokenUsesErrorCode

  /** @param about Names the file, for the operator. */
  constructor(code: TokenUsesErrorCode, options: ErrorOptions, about?: string) {
    super(about === undefined ? code : `${code}: ${about}`, options)
    this.code = code
  }

  /** Whether it may be had again without anybody's help. */
  get transient(): boolean {
    return this.code === 'TOKEN_USES_UNAVAILABLE'
  }
}
