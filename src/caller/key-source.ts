import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { PrivateAddress } from '../base/address-standing.ts'
import { atMostMsSince, type Clock, type Instant, instantNow } from '../base/clock.ts'
import type { IssuerName } from '../base/ids.ts'
import { createAskBudget } from './ask-budget.ts'
import { CallerError, type CallerErrorCode } from './caller.ts'
import {
  FetchError,
  type FetchErrorCode,
  parseFetchableUrl,
  type FetchJson,
} from './json-fetcher.ts'
import { parseKeySet, type VerificationKey } from './key-set.ts'

/** Where an issuer's keys are: said by the operator, or by the issuer's discovery document. */
export type KeyLocation =
  | { readonly jwksUri: URL }
  | { readonly discoverFrom: string }
  /** A trust bundle: its keys for JWT-SVIDs. */
  | { readonly bundleUrl: URL }

/** The keys of one issuer, as it shows them now. Safe for concurrent calls; one fetch at a time. */
export interface KeySource {
  /**
   * The one key that `fits`; undefined when none does, or more than one, because then nobody knows
   * which was meant.
   *
   * Undefined is said of keys alone that the issuer was asked for after the token first came, so that
   * a key that it has just begun to sign with is never taken for an invented one. An unknown key makes
   * it ask: five times at once and then every ten seconds, however many are invented. While it may not,
   * nobody can tell, and the error says when it may again; by then the new key of a good token is
   * known, whoever else comes. A token that has had its answer does not make it ask for half a minute.
   *
   * @param token What the token is known by. It has to be the whole of it, which only its bearer
   *   knows: a stranger could be first with the id of a key that is still to come.
   * @throws CallerError when the issuer cannot be asked, or not yet again, and what it said before does
   *   not answer.
   */
  find(fits: (key: VerificationKey) => boolean, token: string): Promise<VerificationKey | undefined>
  /** Whether the issuer still shows this key, as far as is known; false when that is too long ago. */
  trusts(fingerprint: string): boolean
}

export interface KeySourceDeps {
  readonly issuer: IssuerName
  readonly location: KeyLocation
  /** Absent: refuse. */
  readonly privateAddress?: PrivateAddress
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
/** Tokens with invented key ids must not turn us against the issuer: it is not asked more often for them. */
const asksForUnknown = { atOnce: 5, everyMs: 10_000 }
/** How long a token whose key was not there is answered with that: one that is sent each second asks twice a minute. */
const refutedMs = 30_000
/** Tokens with unknown keys that are remembered; one that is forgotten counts as new. */
const unsettledMax = 1000
/** Between attempts to reach an issuer that did not answer. */
const retryIntervalMs = 5_000

interface FetchedKeys {
  readonly keys: readonly VerificationKey[]
  readonly fetchedAt: Instant
  /** Which of the fetches brought them, by the order in which they began. */
  readonly ordinal: number
}

export function createKeySource(deps: KeySourceDeps): KeySource {
  const { issuer, clock } = deps
  let fetched: FetchedKeys | undefined
  let failed: { readonly error: CallerError; readonly at: Instant } | undefined
  let fetchesBegun = 0
  let flight: Promise<void> | undefined

  const elapsedMs = (since: Instant | undefined) =>
    since === undefined ? Infinity : atMostMsSince(since, clock)
  const usableKeys = (ageMs = elapsedMs(fetched?.fetchedAt)) => {
    const limitMs = failed === undefined ? freshMs : staleMs
    return ageMs < limitMs ? fetched?.keys : undefined
  }

  /** Never rejects: how it ended is in `fetched` or `failed`. */
  const load = async () => {
    const ordinal = (fetchesBegun += 1)
    try {
      fetched = { keys: await fetchKeys(deps), fetchedAt: instantNow(clock), ordinal }
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
  const refreshAhead = (ageMs: number) => {
    if (ageMs < refreshAheadMs) return
    if (elapsedMs(failed?.at) >= retryIntervalMs) void refresh()
  }

  const budget = createAskBudget(clock, asksForUnknown)
  /** By token, the fetches that had begun when it first came with a key that was not known. */
  const unsettled = new LRUCache<string, number>({ max: unsettledMax })
  const refutes = (fetchesBefore: number) =>
    fetched !== undefined &&
    fetched.ordinal > fetchesBefore &&
    elapsedMs(fetched.fetchedAt) < refutedMs

  /** @throws CallerError when the issuer may not be asked now. */
  const askAgain = (): Promise<void> => {
    // Whoever asks already asks for all: a new key comes with ten callers at once.
    if (flight !== undefined) return flight
    if (failed !== undefined && elapsedMs(failed.at) < retryIntervalMs) throw failed.error
    const answer = budget.take()
    if (answer.ok) return refresh()
    throw failed?.error ?? new CallerError('ISSUER_BUDGET_SPENT', issuer, answer)
  }

  return {
    find: async (fits, token) => {
      const fetchesBefore = unsettled.get(token) ?? fetchesBegun
      refreshAhead(elapsedMs(fetched?.fetchedAt))
      for (;;) {
        const key = onlyOne(usableKeys()?.filter(fits))
        if (key !== undefined) return key
        unsettled.set(token, fetchesBefore)
        if (refutes(fetchesBefore)) return undefined
        await askAgain()
      }
    },
    trusts: (fingerprint) => {
      const ageMs = elapsedMs(fetched?.fetchedAt)
      refreshAhead(ageMs)
      return usableKeys(ageMs)?.some((key) => key.fingerprint === fingerprint) ?? false
    },
  }
}

const onlyOne = <T>(found: readonly T[] = []) => (found.length === 1 ? found[0] : undefined)

async function fetchKeys({ location, privateAddress, ...deps }: KeySourceDeps) {
  const fetchJson: FetchJson = (url) => deps.fetchJson(url, privateAddress)
  const url = await keySetUrl(location, fetchJson)
  const keys = parseKeySet(await fetchJson(url), 'bundleUrl' in location ? 'jwt-svid' : 'sig')
  if (keys === undefined) throw new FetchError('FETCH_MALFORMED', 'not a key set')
  return keys
}

async function keySetUrl(location: KeyLocation, fetchJson: FetchJson): Promise<URL> {
  if ('bundleUrl' in location) return location.bundleUrl
  return 'jwksUri' in location ? location.jwksUri : discover(location.discoverFrom, fetchJson)
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
  const code = error instanceof FetchError ? callerCodes[error.code] : 'ISSUER_UNREACHABLE'
  return new CallerError(code, issuer, { cause: error })
}

const callerCodes = {
  FETCH_UNREACHABLE: 'ISSUER_UNREACHABLE',
  FETCH_MALFORMED: 'ISSUER_MALFORMED',
  FETCH_ADDRESS_REFUSED: 'ISSUER_ADDRESS_REFUSED',
} as const satisfies Record<FetchErrorCode, CallerErrorCode>
