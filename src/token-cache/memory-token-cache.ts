import { hash, randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { GrantName } from '../base/ids.ts'
import { Secret } from '../base/secret.ts'
import { waitFor } from './patience.ts'
import {
  obtainedAtMs,
  pauseAfterMs,
  refreshAtMs,
  type RefreshRules,
  servedUntilMs,
} from './refresh-time.ts'
import {
  type CachedToken,
  type DueToken,
  type HeldToken,
  type Patience,
  type TokenCache,
  type TokenWish,
} from './token-cache.ts'
import { blockBytesFor, createTokenBytes, type Place } from './token-bytes.ts'
import { type TokenKey, tokenKeyFrom, type TokenKeyText, tokenKeyText } from './token-key.ts'
import { createWakeUps, type WakeUps } from './wake-ups.ts'

export interface MemoryTokenCacheOptions extends RefreshRules {
  readonly clock: Clock
  readonly bytesMax: number
  /** A token had to go because others were used more lately. */
  readonly onEvicted: () => void
}

/** Tokens in this process alone; a restart forgets. */
export function createMemoryTokenCache(options: MemoryTokenCacheOptions): TokenCache {
  return new MemoryTokenCache(options)
}

/** In use is what was asked for since it was obtained, and within this time. */
const recentlyMs = 30 * 60_000

/** How often challenges may force one key to be refreshed. */
const forcedEveryMs = 30_000

/** Entries that are looked at before others have their turn: some milliseconds. */
const lookedMax = 10_000

/** About what map slots, objects and small texts take, beside the token and the text of its key. */
const overheadBytes = 400

/**
 * What is held of a token, which lies at the place. Flat, and of whole numbers, because there are very
 * many. Milliseconds are of the clock that nobody can set.
 */
interface Kept extends Place, Omit<CachedToken, 'value' | 'expiry' | 'refreshInSeconds'> {
  readonly endsAtMs: number
  grant: GrantName
  /** Absent until it is asked for again. */
  usedAtMs: number | undefined
  /** Not refreshed before; absent when it is not to be tried any more. */
  refreshAtMs: number | undefined
  /** Refreshes that failed one after another. */
  failures: number
  /** When the challenge was that brought it; absent when none did. */
  readonly forcedAtMs: number | undefined
  /** Nothing is to be done before its end, unless it is used. */
  rests: boolean
  wakeUpSlot: number
}

interface Flight {
  readonly text: TokenKeyText
  readonly held: HeldToken
  readonly why: 'miss' | 'challenge' | 'refresh'
  readonly startedAtMs: number
  readonly startedAtSeconds: number
  readonly landing: Promise<CachedToken>
  /** False when its key was dropped: what it brings is for those who wait, and is not kept. */
  isWanted: boolean
}

class MemoryTokenCache implements TokenCache {
  readonly #options: MemoryTokenCacheOptions
  readonly #clock: Clock
  readonly #entries: LRUCache<TokenKeyText, Kept>
  readonly #bytes = createTokenBytes()
  /** Those that whoever comes may join. */
  readonly #flights = new Map<TokenKeyText, Flight>()
  /** And those beside them that another one has taken the place of, which bring something too. */
  readonly #underWay = new Set<Flight>()
  readonly #wakeUps: WakeUps<TokenKeyText>
  readonly #spreadOf = createSpread()

  constructor(options: MemoryTokenCacheOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#wakeUps = createWakeUps(options.clock.monotonicMs())
    this.#entries = new LRUCache({
      maxSize: options.bytesMax,
      sizeCalculation: ({ length }, text) => bytesKeptFor(text, length),
      dispose: (kept, text, reason) => {
        this.#bytes.erase(kept)
        this.#wakeUps.remove(text, kept.wakeUpSlot)
        if (reason === 'evict') options.onEvicted()
      },
    })
  }

  get minRemainingSeconds(): number {
    return this.#options.minRemainingSeconds
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  get entries(): number {
    return this.#entries.size
  }

  get(wish: TokenWish): CachedToken | undefined {
    const text = tokenKeyText(wish.key)
    const kept = this.#ifLasting(text, this.#entries.get(text))
    if (kept === undefined || !this.#grants(wish, text, kept)) return undefined
    const nowMs = this.#nowMs()
    kept.usedAtMs = nowMs
    kept.grant = wish.grant
    if (kept.rests && isDue(kept, nowMs) && !this.#flights.has(text)) {
      this.#wakeAt(text, kept, nowMs)
    }
    return this.#tokenOf(kept)
  }

  obtain(
    { key, grant, obtainedAfterSeconds }: TokenWish,
    keyId: string | undefined,
    fetch: () => Promise<CachedToken>,
    patience: Patience,
  ): Promise<CachedToken> {
    const text = tokenKeyText(key)
    const underWay = this.#flights.get(text)
    if (
      underWay !== undefined &&
      joins(underWay, keyId) &&
      serves(underWay, obtainedAfterSeconds)
    ) {
      return waitFor(underWay.landing, patience)
    }
    const why = obtainedAfterSeconds === undefined ? 'miss' : 'challenge'
    return waitFor(this.#start(text, { key, grant, keyId }, why, fetch).landing, patience)
  }

  drop(matches: (held: HeldToken) => boolean): number {
    for (const flight of this.#underWay) {
      if (!matches(flight.held)) continue
      flight.isWanted = false
      this.#leave(flight)
    }
    const dropped: TokenKeyText[] = []
    for (const [text, { grant, keyId }] of this.#entries.entries()) {
      if (matches({ key: tokenKeyFrom(text), grant, keyId })) dropped.push(text)
    }
    for (const text of dropped) this.#entries.delete(text)
    return dropped.length
  }

  dropHere(matches: (held: HeldToken) => boolean): number {
    return this.drop(matches)
  }

  takeDue(): DueToken | undefined {
    const nowMs = this.#nowMs()
    for (let looked = 0; looked < lookedMax; looked += 1) {
      const text = this.#wakeUps.take(nowMs)
      if (text === undefined) return undefined
      const kept = this.#ifLasting(text, this.#entries.peek(text))
      if (kept === undefined) continue
      this.#rest(text, kept)
      if (isInUse(kept, nowMs) && isDue(kept, nowMs) && !this.#flights.has(text)) {
        return { key: tokenKeyFrom(text), grant: kept.grant }
      }
    }
    return undefined
  }

  async refresh(
    { key, grant }: DueToken,
    keyId: string | undefined,
    fetch: () => Promise<CachedToken>,
  ): Promise<CachedToken> {
    const text = tokenKeyText(key)
    const kept = this.#entries.peek(text)
    const underWay = this.#flights.get(text)
    const flight =
      underWay !== undefined && joins(underWay, keyId)
        ? underWay
        : this.#start(text, { key, grant, keyId }, 'refresh', fetch)
    try {
      return await flight.landing
    } finally {
      // It is there yet, so nothing better has come.
      if (kept !== undefined && this.#entries.peek(text) === kept) this.#pause(text, kept)
    }
  }

  #tokenOf(kept: Kept): CachedToken {
    const { expiresAtSeconds, lifetimeSeconds, sha256, obtainedBy, keyId } = kept
    const value = new Secret(this.#bytes.read(kept))
    const expiry = expiryOf(kept)
    return { value, expiresAtSeconds, expiry, lifetimeSeconds, sha256, obtainedBy, keyId }
  }

  #start(
    text: TokenKeyText,
    held: HeldToken,
    why: Flight['why'],
    fetch: () => Promise<CachedToken>,
  ): Flight {
    const land = async () => {
      try {
        const token = await fetch()
        this.#keep(text, flight, token)
        return token
      } finally {
        this.#underWay.delete(flight)
        this.#leave(flight)
      }
    }
    const flight: Flight = {
      text,
      held,
      why,
      startedAtMs: this.#nowMs(),
      startedAtSeconds: this.#clock.nowSeconds(),
      landing: Promise.resolve().then(land),
      isWanted: true,
    }
    // Those who wait are told; when all have left, there is nobody to tell.
    flight.landing.catch(() => undefined)
    this.#flights.set(text, flight)
    this.#underWay.add(flight)
    return flight
  }

  /** Nobody joins it any more. */
  #leave(flight: Flight): void {
    if (this.#flights.get(flight.text) === flight) this.#flights.delete(flight.text)
  }

  #keep(text: TokenKeyText, flight: Flight, token: CachedToken): void {
    if (!flight.isWanted || !this.#lasts(token.expiry) || !this.#hasRoomFor(text, token)) return
    const before = this.#ifLasting(text, this.#entries.peek(text))
    if (before !== undefined && !this.#isBetter(token, flight, before)) return
    this.#entries.delete(text)
    const { key, grant } = flight.held
    const dueMs = refreshAtMs(token, this.#options, this.#spreadOf(key))
    const { value, expiresAtSeconds, expiry, lifetimeSeconds, sha256, obtainedBy, keyId } = token
    const { slab, offset, length } = this.#bytes.put(value.reveal())
    this.#entries.set(text, {
      slab,
      offset,
      length,
      expiresAtSeconds,
      endsAtMs: Math.floor(expiry.monotonicMs),
      lifetimeSeconds,
      sha256,
      obtainedBy,
      keyId,
      grant: before?.grant ?? grant,
      usedAtMs: undefined,
      refreshAtMs: dueMs,
      failures: 0,
      forcedAtMs: flight.why === 'challenge' ? flight.startedAtMs : undefined,
      rests: false,
      wakeUpSlot: this.#wakeUps.add(text, dueMs),
    })
  }

  #hasRoomFor(text: TokenKeyText, { value }: CachedToken): boolean {
    return bytesKeptFor(text, Buffer.byteLength(value.reveal())) <= this.#options.bytesMax
  }

  /** Nothing that was obtained earlier; nor what ends sooner, unless the other one is not good any more. */
  #isBetter(token: CachedToken, flight: Flight, before: Kept): boolean {
    if (obtainedAtMs(token) < obtainedAtMs({ ...before, expiry: expiryOf(before) })) return false
    if (flight.why === 'challenge') return true
    return this.#remainingMs(token.expiry) > this.#remainingMs(expiryOf(before))
  }

  /** Whether it may be given: a challenge is content with a younger one, or with what one has just brought. */
  #grants({ obtainedAfterSeconds }: TokenWish, text: TokenKeyText, kept: Kept): boolean {
    if (obtainedAfterSeconds === undefined) return true
    if (kept.expiresAtSeconds - kept.lifetimeSeconds > obtainedAfterSeconds) return true
    if (this.#flights.get(text)?.why === 'challenge' || kept.forcedAtMs === undefined) return false
    return this.#nowMs() - kept.forcedAtMs < forcedEveryMs
  }

  #ifLasting(text: TokenKeyText, kept: Kept | undefined): Kept | undefined {
    if (kept === undefined || this.#lasts(expiryOf(kept))) return kept
    this.#entries.delete(text)
    return undefined
  }

  #lasts(expiry: Instant): boolean {
    return this.#remainingMs(expiry) >= this.#options.minRemainingSeconds * 1000
  }

  #remainingMs(expiry: Instant): number {
    return atLeastMsUntil(expiry, this.#clock)
  }

  #pause(text: TokenKeyText, kept: Kept): void {
    kept.failures += 1
    const nowMs = this.#nowMs()
    const servedForMs = servedUntilMs({ expiry: expiryOf(kept) }, this.#options) - nowMs
    const pauseMs = pauseAfterMs(kept.failures, servedForMs)
    kept.refreshAtMs = pauseMs === undefined ? undefined : Math.ceil(nowMs + pauseMs)
    if (kept.refreshAtMs !== undefined) this.#wakeAt(text, kept, kept.refreshAtMs)
  }

  #rest(text: TokenKeyText, kept: Kept): void {
    this.#wakeAt(text, kept, servedUntilMs({ expiry: expiryOf(kept) }, this.#options) + 1)
    kept.rests = true
  }

  #wakeAt(text: TokenKeyText, kept: Kept, atMs: number): void {
    this.#wakeUps.remove(text, kept.wakeUpSlot)
    kept.wakeUpSlot = this.#wakeUps.add(text, atMs)
    kept.rests = false
  }

  #nowMs(): number {
    return Math.floor(this.#clock.monotonicMs())
  }
}

const bytesKeptFor = (text: TokenKeyText, tokenBytes: number) =>
  text.length + blockBytesFor(tokenBytes) + overheadBytes

const expiryOf = ({ expiresAtSeconds, endsAtMs }: Kept): Instant => ({
  ms: expiresAtSeconds * 1000,
  monotonicMs: endsAtMs,
})

const isInUse = ({ usedAtMs }: Kept, nowMs: number) =>
  usedAtMs !== undefined && nowMs - usedAtMs < recentlyMs

const isDue = ({ refreshAtMs: atMs }: Kept, nowMs: number) => atMs !== undefined && nowMs >= atMs

/** Whoever can sign does not depend on somebody who only waits for what others bring. */
const joins = ({ held }: Flight, keyId: string | undefined) =>
  held.keyId !== undefined || keyId === undefined

/** A challenge is met by what is asked of Entra after it; and the flight of one serves all others. */
const serves = (flight: Flight, obtainedAfterSeconds: number | undefined) =>
  obtainedAfterSeconds === undefined ||
  flight.why === 'challenge' ||
  flight.startedAtSeconds > obtainedAfterSeconds

/**
 * The same moment for all scopes of an application and tenant, so that one assertion refreshes them,
 * and another one in each process.
 */
function createSpread(): (key: TokenKey) => number {
  const salt = randomUUID()
  return ({ application, tenant }) => {
    const bytes = hash('sha256', `${salt} ${application} ${tenant}`, 'buffer')
    return bytes.readUInt32BE() / 2 ** 32
  }
}
