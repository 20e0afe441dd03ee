import { instantNow, laterBy, type Clock } from '../base/clock.ts'
import { parseGrantName, type Cloud } from '../base/ids.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { createMemoryTokenCache } from '../token-cache/memory-token-cache.ts'
import { type CachedToken, TokenCacheError } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { type CountersignService, ServiceError, type TokenOrder } from './countersign-service.ts'

/** What a program is given. */
export type ResourceToken = Pick<CachedToken, 'value' | 'expiresAtSeconds'>

/**
 * Tokens of the agent's resources, kept while they live and refreshed before they end; while the service is
 * away they are given out until then. One flight for each at one time.
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
  /** Told of each refresh that failed. */
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

const refreshesMax = 8

export function createResourceTokens(options: ResourceTokensOptions): ResourceTokens {
  const { service, origin, clock } = options
  const cache = createMemoryTokenCache({ ...rules, clock, bytesMax, onEvicted: () => undefined })
  const underWay = new Set<Promise<void>>()
  let isStopped = false

  const fetch = async (key: TokenKey): Promise<CachedToken> => {
    const { application, tenant, scope } = key
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
      if (kept !== undefined) return kept
      try {
        return await cache.obtain(wish, undefined, () => fetch(key), { timeoutMs: patienceMs })
      } catch (error) {
        throw error instanceof TokenCacheError ? new ServiceError('SERVICE_TIMEOUT') : error
      }
    },
    refresh,
    stop: async () => {
      isStopped = true
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** Which key signs and which grant allows it is the service's business: nothing is dropped by them here. */
const keyIsTheirs = ''
const grantIsTheirs = grantCalled('agent')

function grantCalled(name: string) {
  const grant = parseGrantName(name)
  if (grant === undefined) throw new TypeError('a grant must have a name')
  return grant
}
