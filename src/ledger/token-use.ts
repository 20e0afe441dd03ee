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

/** What a ledger remembers of one token. */
export interface UsedToken {
  readonly tokenId: string
  readonly purpose: string
  readonly uses: number
  readonly forgetAtSeconds: number
}

/** Clocks differ, and are set back: so much longer a token is remembered than it is good for. */
export const rememberedAfterSeconds = 600

export const forgetAtSeconds = ({ expiresAtSeconds }: TokenUse): number =>
  Math.floor(expiresAtSeconds) + rememberedAfterSeconds

/**
 * How many that have expired a commit forgets beside as many as it may add: so there is room for what it
 * adds as long as any have, and a crowd that has expired goes bit by bit.
 */
export const forgottenPerCommit = 100
