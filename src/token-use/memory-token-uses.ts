import { atLeastMsSince, type Clock, type Instant, instantNow, laterBy } from '../base/clock.ts'
import {
  rememberedAfterSeconds,
  type TokenUse,
  type TokenUses,
  type UseDenial,
} from './token-uses.ts'

/** What is known of one token. */
export interface UsedToken {
  readonly tokenId: string
  readonly purpose: string
  readonly uses: number
  readonly expiresAtSeconds: number
}

/** In this process, and in nothing that outlives it. */
export interface MemoryTokenUses extends TokenUses {
  /** Charges at once. Undefined: it did. */
  takeNow(use: TokenUse): UseDenial | undefined
  /** As they were known before; also more than there would be room for. */
  restore(token: UsedToken): void
  find(tokenId: string): UsedToken | undefined
  /** Every one that is remembered. */
  tokens(): Iterable<UsedToken>
}

interface Remembered extends UsedToken {
  /** By both clocks, so that setting one of them forgets nothing too early. */
  readonly forgetAt: Instant
}

/** @param tokensMax Some 400 bytes each. */
export function createMemoryTokenUses(deps: {
  readonly clock: Clock
  readonly tokensMax: number
}): MemoryTokenUses {
  const { clock, tokensMax } = deps
  const known = new Map<string, Remembered>()
  /** Before that none expires, so that a full memory is not searched by each who comes. */
  let nextExpiry: Instant | undefined

  const forgetExpired = () => {
    nextExpiry = undefined
    for (const { tokenId, forgetAt } of known.values()) {
      if (atLeastMsSince(forgetAt, clock) >= 0) known.delete(tokenId)
      else if (nextExpiry === undefined || forgetAt.ms < nextExpiry.ms) nextExpiry = forgetAt
    }
  }
  const msUntilRoom = () => {
    if (known.size < tokensMax) return 0
    if (nextExpiry === undefined || atLeastMsSince(nextExpiry, clock) >= 0) forgetExpired()
    if (known.size < tokensMax || nextExpiry === undefined) return 0
    return -atLeastMsSince(nextExpiry, clock)
  }
  const remember = (token: UsedToken) => {
    const { tokenId, purpose, uses, expiresAtSeconds } = token
    const now = instantNow(clock)
    const forgetAtMs = (expiresAtSeconds + rememberedAfterSeconds) * 1000
    const forgetAt = laterBy(forgetAtMs - now.ms, now)
    known.set(tokenId, { tokenId, purpose, uses, expiresAtSeconds, forgetAt })
  }
  const knownDenial = (use: TokenUse) => denialOf(known.get(use.tokenId), use)
  const takeNow = (use: TokenUse): UseDenial | undefined => {
    const before = known.get(use.tokenId)
    const denial = denialOf(before, use)
    if (denial !== undefined) return denial
    if (before !== undefined) {
      known.set(use.tokenId, { ...before, uses: before.uses + 1 })
      return undefined
    }
    const waitMs = msUntilRoom()
    if (waitMs > 0) return { ok: false, why: 'full', retryAfterSeconds: Math.ceil(waitMs / 1000) }
    remember({ ...use, uses: 1 })
    return undefined
  }

  return {
    knownDenial,
    takeNow,
    take: (use) => Promise.resolve(takeNow(use) ?? { ok: true }),
    tidy: () => {
      forgetExpired()
      return Promise.resolve()
    },
    restore: remember,
    find: (tokenId) => known.get(tokenId),
    tokens: () => known.values(),
    get remembered() {
      return known.size
    },
  }
}

function denialOf(token: UsedToken | undefined, use: TokenUse): UseDenial | undefined {
  if (token === undefined) return undefined
  if (token.uses >= use.usesMax) return { ok: false, why: 'spent' }
  return token.purpose === use.purpose ? undefined : { ok: false, why: 'elsewhere' }
}
