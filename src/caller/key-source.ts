import { z } from 'zod'
import { atMostMsSince, type Clock, type Instant, instantNow } from '../base/clock.ts'
import type { IssuerName } from '../base/ids.ts'
import { CallerError } from './caller.ts'
import { FetchError, parseFetchableUrl, type FetchJson } from './json-fetcher.ts'
import { parseKeySet, type VerificationKey } from './key-set.ts'

/** Where an issuer's keys are: said by the operator, or by the issuer's discovery document. */
export type KeyLocation = { readonly jwksUri: URL } | { readonly discoverFrom: string }

/** The keys of one issuer, as it shows them now. Safe for concurrent calls; one fetch at a time. */
export interface KeySource {
  /**
   * The one key that `fits`; undefined when none does, or more than one, because then nobody knows
   * which was meant. An unknown key makes it ask the issuer again, every 30 s at most.
   *
   * @throws CallerError when the issuer cannot be asked and what it said before does not answer.
   */
  find(fits: (key: VerificationKey) => boolean): Promise<VerificationKey | undefined>
  /** Whether the issuer still shows this key, as far as is known; false when that is too long ago. */
  trusts(fingerprint: string): boolean
}

export interface KeySourceDeps {
  readonly issuer: IssuerName
  readonly location: KeyLocation
  readonly fetchJson: FetchJson
  readonly clock: Clock
  /** Told each time the issuer could not be asked, also when older keys keep callers served. */
  readonly onIssuerAway: (failure: CallerError) => void
}

/** From this age on the next use asks again without waiting, so that a busy service never waits. */
const refreshAheadMs = 4 * 60_000
/** How long a key that the issuer has withdrawn may still count. */
const freshMs = 5 * 60_000
/** The same while the issuer does not answer: an outage of an hour there is none here. */
const staleMs = 60 * 60_000
/** Tokens with invented key ids must not turn us against the issuer. */
const unknownKeyIntervalMs = 30_000
/** Between attempts to reach an issuer that did not answer. */
const retryIntervalMs = 5_000

interface FetchedKeys {
  readonly keys: readonly VerificationKey[]
  readonly fetchedAt: Instant
}

export function createKeySource(deps: KeySourceDeps): KeySource {
  const { issuer, clock } = deps
  let fetched: FetchedKeys | undefined
  let failed: { readonly error: CallerError; readonly at: Instant } | undefined
  let askedForUnknownAt: Instant | undefined
  let flight: Promise<void> | undefined

  const elapsedMs = (since: Instant | undefined) =>
    since === undefined ? Infinity : atMostMsSince(since, clock)
  const usableKeys = () => {
    const limitMs = failed === undefined ? freshMs : staleMs
    return elapsedMs(fetched?.fetchedAt) < limitMs ? fetched?.keys : undefined
  }

  /** Never rejects: how it ended is in `fetched` or `failed`. */
  const load = async () => {
    try {
      fetched = { keys: await fetchKeys(deps), fetchedAt: instantNow(clock) }
      failed = undefined
    } catch (error) {
      failed = { error: callerErrorFrom(error, issuer), at: instantNow(clock) }
      deps.onIssuerAway(failed.error)
    }
  }
  const refresh = () =>
    (flight ??= load().finally(() => {
      flight = undefined
    }))
  const refreshAhead = () => {
    if (elapsedMs(fetched?.fetchedAt) < refreshAheadMs) return
    if (elapsedMs(failed?.at) >= retryIntervalMs) void refresh()
  }

  return {
    find: async (fits) => {
      refreshAhead()
      const waits = usableKeys() === undefined
      if (waits) await flight
      const key = onlyOne(usableKeys()?.filter(fits))
      if (key !== undefined) return key
      if (!waits) {
        const mayAsk = elapsedMs(askedForUnknownAt) >= unknownKeyIntervalMs
        if (mayAsk && flight === undefined) askedForUnknownAt = instantNow(clock)
        // Whoever asks already asks for all: a new key comes with ten callers at once.
        await (mayAsk ? refresh() : flight)
      }
      if (failed !== undefined) throw failed.error
      return onlyOne(usableKeys()?.filter(fits))
    },
    trusts: (fingerprint) => {
      refreshAhead()
      return usableKeys()?.some((key) => key.fingerprint === fingerprint) ?? false
    },
  }
}

const onlyOne = <T>(found: readonly T[] = []) => (found.length === 1 ? found[0] : undefined)

async function fetchKeys({ location, fetchJson }: KeySourceDeps) {
  const jwksUri =
    'jwksUri' in location ? location.jwksUri : await discover(location.discoverFrom, fetchJson)
  const keys = parseKeySet(await fetchJson(jwksUri))
  if (keys === undefined) throw new FetchError('FETCH_MALFORMED', 'not a key set')
  return keys
}

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.string() })

/**
 * Where the discovery document (OpenID Connect Discovery 1.0 §4) says that the keys are. It must be
 * about this issuer, and may not send us elsewhere: another host has to be configured.
 */
async function discover(issuer: string, fetchJson: FetchJson): Promise<URL> {
  const base = issuer.replace(/\/$/, '')
  const document = discoverySchema.safeParse(
    await fetchJson(new URL(`${base}/.well-known/openid-configuration`)),
  )
  if (!document.success) throw new FetchError('FETCH_MALFORMED', 'not a discovery document')
  if (document.data.issuer !== issuer) {
    throw new FetchError('FETCH_MALFORMED', 'the discovery document is about another issuer')
  }
  const jwksUri = parseFetchableUrl(document.data.jwks_uri)
  if (jwksUri?.origin !== new URL(issuer).origin) {
    throw new FetchError('FETCH_MALFORMED', 'the keys are on another host than the issuer')
  }
  return jwksUri
}

function callerErrorFrom(error: unknown, issuer: IssuerName): CallerError {
  const malformed = error instanceof FetchError && error.code === 'FETCH_MALFORMED'
  return new CallerError(malformed ? 'ISSUER_MALFORMED' : 'ISSUER_UNREACHABLE', issuer, {
    cause: error,
  })
}
