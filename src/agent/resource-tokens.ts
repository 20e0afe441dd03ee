import {
  atLeastMsUntil,
  atMostMsSince,
  instantNow,
  laterBy,
  type Clock,
  type Instant,
} from '../base/clock.ts'
import { parseGrantName, type Cloud } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { createMemoryTokenCache } from '../token-cache/memory-token-cache.ts'
import { type CachedToken, TokenCacheError, type TokenWish } from '../token-cache/token-cache.ts'
import { type TokenKey, type TokenKeyText, tokenKeyText } from '../token-cache/token-key.ts'
import {
  type CountersignService,
  isTakenBack,
  ServiceError,
  type TokenOrder,
} from './countersign-service.ts'

/** What a program is given. */
export interface ResourceToken {
  readonly value: Secret<string>
  /** By the wall clock as it is now, wherever it stood when the token came. */
  readonly expiresAtSeconds: number
}

/**
 * Tokens of the agent's resources, kept while they live and refreshed before they end; while the service is
 * away they are given out until then. One flight for each at one time.
 *
 * The service is asked anew for what was not asked for during a minute, so that it can take back what it
 * allowed: then no token is given any more, and none kept.
 */
export interface ResourceTokens {
  /**
   * Never one that is over, and never another order's.
   *
   * @throws ServiceError
   */
  get(order: TokenOrder): Promise<ResourceToken>
  /** Starts the refreshes that are due, and returns at once. */
  refresh(): void
  /** Starts nothing any more; resolves when what is under way has ended. */
  stop(): Promise<void>
}

export interface ResourceTokensOptions {
  readonly service: CountersignService
  /** Of the service: what its tokens are kept under. */
  readonly origin: Cloud
  readonly clock: Clock
  /** Told when the service could not be asked anew, or refused: not of what a program is told itself. */
  readonly onRefreshFailed: (error: unknown) => void
}

const rules = {
  /** Ours: a token that ends on its way to the resource helps nobody. */
  minRemainingSeconds: 2,
  /** When the service itself is about to have a younger one; Azure's clients ask when 300 s are left. */
  refreshAheadSeconds: 900,
}

/** Far more than the resources of one file come to. */
const bytesMax = 16 * 1024 * 1024

/** How long one program waits for what another one's request has begun. */
const patienceMs = 40_000

/** How long what the service said last is taken for what it would say. */
const stillAllowedMs = 60_000

/** How long a program waits to hear it anew, when there is a token that lives. */
const askAnewWithinMs = 2_000

const refreshesMax = 8

export function createResourceTokens(options: ResourceTokensOptions): ResourceTokens {
  const { service, origin, clock } = options
  const cache = createMemoryTokenCache({ ...rules, clock, bytesMax, onEvicted: () => undefined })
  const underWay = new Set<Promise<void>>()
  let isStopped = false

  /** When the service was asked last, however that ended. */
  const asked = new Map<TokenKeyText, Instant>()

  const drop = (text: TokenKeyText) => {
    cache.drop(({ key }) => tokenKeyText(key) === text)
  }

  const fetch = async (key: TokenKey): Promise<CachedToken> => {
    const text = tokenKeyText(key)
    try {
      return await fetched(key)
    } catch (error) {
      if (isTakenBack(error)) drop(text)
      throw error
    } finally {
      asked.set(text, instantNow(clock))
    }
  }

  const fetched = async ({ application, tenant, scope }: TokenKey): Promise<CachedToken> => {
    const before = instantNow(clock)
    const { value, expiresInSeconds, attempt } = await service.token({ application, tenant, scope })
    const expiry = laterBy(expiresInSeconds * 1000, before)
    return {
      value,
      expiry,
      expiresAtSeconds: Math.floor(expiry.ms / 1000),
      lifetimeSeconds: expiresInSeconds,
      sha256: sha256Base64url(value.reveal()),
      obtainedBy: attempt,
      keyId: keyIsTheirs,
    }
  }

  const mayHaveBeenTakenBack = (text: TokenKeyText) => {
    const last = asked.get(text)
    return last === undefined || atMostMsSince(last, clock) >= stillAllowedMs
  }

  const obtain = async (wish: TokenWish, timeoutMs: number): Promise<CachedToken> => {
    try {
      return await cache.obtain(wish, undefined, () => fetch(wish.key), { timeoutMs })
    } catch (error) {
      throw error instanceof TokenCacheError ? new ServiceError('SERVICE_TIMEOUT') : error
    }
  }

  const askAnew = async (wish: TokenWish): Promise<CachedToken> => {
    try {
      return await obtain(wish, askAnewWithinMs)
    } catch (error) {
      // What was taken back is not there any more, nor what has ended meanwhile.
      const kept = cache.get(wish)
      if (kept === undefined) throw error
      options.onRefreshFailed(error)
      return kept
    }
  }

  const refresh = () => {
    while (!isStopped && underWay.size < refreshesMax) {
      const due = cache.takeDue()
      if (due === undefined) return
      const refreshing = cache
        .refresh(due, undefined, () => fetch(due.key))
        .then(() => undefined, options.onRefreshFailed)
        .finally(() => {
          underWay.delete(refreshing)
          refresh()
        })
      underWay.add(refreshing)
    }
  }

  return {
    get: async ({ application, tenant, scope }) => {
      const key = {
        cloud: origin,
        application,
        clientId: null,
        tenant,
        scope,
        life: 'ordinary',
        isolation: null,
      } as const
      const wish = { key, grant: grantIsTheirs }
      const kept = cache.get(wish)
      if (kept === undefined) return given(await obtain(wish, patienceMs), clock)
      return given(mayHaveBeenTakenBack(tokenKeyText(key)) ? await askAnew(wish) : kept, clock)
    },
    refresh,
    stop: async () => {
      isStopped = true
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** What is left of it counts, and not when it came: the clock may have been set meanwhile. */
const given = ({ value, expiry }: CachedToken, clock: Clock): ResourceToken => ({
  value,
  expiresAtSeconds: Math.floor((clock.nowMs() + atLeastMsUntil(expiry, clock)) / 1000),
})

/** Which key signs and which grant allows it is the service's business: nothing is dropped by them here. */
const keyIsTheirs = ''
const grantIsTheirs = grantCalled('agent')

function grantCalled(name: string) {
  const grant = parseGrantName(name)
  if (grant === undefined) throw new TypeError('a grant must have a name')
  return grant
}
