import type { Instant } from '../base/clock.ts'
import type { AttemptId, GrantName } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import type { TokenKey } from './token-key.ts'

export interface CachedToken {
  readonly value: Secret<string>
  /** As the ledger says it. */
  readonly expiresAtSeconds: number
  /** The same end, as it is trusted here. */
  readonly expiry: Instant
  /** From when its exchange was sent, which is never later than Entra issued it. */
  readonly lifetimeSeconds: number
  /** From then on Entra would rather be asked again; absent when it did not say. */
  readonly refreshInSeconds?: number
  /** base64url SHA-256 of the token, as the ledger names it. */
  readonly sha256: string
  /** The attempt whose exchange obtained it. */
  readonly obtainedBy: AttemptId
  /** The key version whose signature obtained it. */
  readonly keyId: string
}

/** A token that is wanted, and on whose account. */
export interface TokenWish {
  readonly key: TokenKey
  /** The grant that allows it now: refreshing ahead asks it again. */
  readonly grant: GrantName
  /** A resource took offence at older tokens: only one obtained after this second will do. */
  readonly obtainedAfterSeconds?: number
}

/** What {@link TokenCache.drop} can go by. */
export interface HeldToken {
  readonly key: TokenKey
  /** That used it last. */
  readonly grant: GrantName
  /**
   * The key version whose signature obtained it, or will. Undefined of a flight that can sign nothing,
   * and may only find what other replicas have.
   */
  readonly keyId: string | undefined
}

/** How long somebody waits for others. */
export interface Patience {
  readonly timeoutMs: number
  /** Aborted when nobody is there any more to be answered. */
  readonly gone?: AbortSignal
}

/**
 * Access tokens, bounded in bytes, least recently used first out.
 *
 * An answer lives at least the configured minimum longer, unless it was obtained for this very call
 * and Entra gave it less. A failed {@link TokenCache.obtain} is remembered by nobody.
 */
export interface TokenCache {
  /** At once: what is at hand here. Counts as a use of the token. */
  get(wish: TokenWish): CachedToken | undefined
  /**
   * Single flight: of all who call for one key while none has ended, the first one's `fetch` runs,
   * and all share how it ends. Whoever leaves does not end it. Where tokens are shared with other
   * replicas, this is what asks them first.
   *
   * A wish for a token younger than what there is forces such a flight; what it brings contents all
   * of them for 30 s.
   *
   * @param keyId The key version that `fetch` sets out with; undefined when it has none.
   * @throws TokenCacheError when patience ends first; whatever `fetch` throws.
   */
  obtain(
    wish: TokenWish,
    keyId: string | undefined,
    fetch: () => Promise<CachedToken>,
    patience: Patience,
  ): Promise<CachedToken>
  /**
   * Forgets all that match, at once, and returns how many. Flights that match go on for those who
   * wait, and leave nothing behind; whoever comes now begins a new one.
   */
  drop(matches: (held: HeldToken) => boolean): number
  /**
   * The same of what has ended for this replica, and not for others that share tokens with it: they keep
   * what they have until it ends for them.
   */
  dropHere(matches: (held: HeldToken) => boolean): number
  /**
   * A token that was asked for lately and nears its end, to be refreshed or left; undefined when
   * there is none now. It is not given again unless {@link TokenCache.refresh} fails or it is used.
   */
  takeDue(): DueToken | undefined
  /**
   * Puts a fresh token in place of the one that is due. Nobody waits for it but those who find no
   * token that lasts. When it fails, or brings one that ends sooner, the old one stays and is due
   * again after a pause that grows, a few times.
   */
  refresh(
    due: DueToken,
    keyId: string | undefined,
    fetch: () => Promise<CachedToken>,
  ): Promise<CachedToken>
  /** The configured minimum: whoever lets time pass between look-up and answer compares again. */
  readonly minRemainingSeconds: number
  /** Bytes that count against the bound. */
  readonly bytes: number
  readonly entries: number
}

export type DueToken = Pick<HeldToken, 'key' | 'grant'>

export type TokenCacheErrorCode =
  | 'TOKEN_LATE' // others were waited for, and time was up
  | 'TOKEN_CALLER_GONE' // nobody is there any more to be answered

/** Somebody left a flight. The flight goes on, and what comes of it is recorded by who leads it. */
export class TokenCacheError extends Error {
  override readonly name = 'TokenCacheError'
  readonly code: TokenCacheErrorCode

  constructor(code: TokenCacheErrorCode) {
    super(code)
    this.code = code
  }
}
