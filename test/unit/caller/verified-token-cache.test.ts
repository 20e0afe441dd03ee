import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/caller/caller.ts'
import {
  createVerifiedTokenCache,
  type VerifiedToken,
} from '../../../src/caller/verified-token-cache.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const startSeconds = 1_795_000_000
const minute = 60

const callerOf = (tokenSha256: string, expiresAtSeconds: number): Caller => ({
  issuer: issuerName('platform'),
  subject: 'job',
  claims: {},
  tokenSha256,
  tokenId: tokenSha256,
  expiresAtSeconds,
})

function tokenOf(text: string, changes: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    caller: callerOf(text, startSeconds + 60 * minute),
    text,
    keyIsTrusted: () => true,
    ...changes,
  }
}

function createCache(limits = { entriesMax: 100, bytesMax: 1_000_000 }) {
  const clock = fixedClock(startSeconds)
  return { clock, cache: createVerifiedTokenCache(limits, clock) }
}

describe('createVerifiedTokenCache', () => {
  it('finds a token that was verified a moment ago, and no other', () => {
    const { cache } = createCache()
    const token = tokenOf('a')
    cache.keep(token)
    expect(cache.find('a')).toBe(token.caller)
    expect(cache.find('b')).toBeUndefined()
  })

  it('forgets it five minutes after it was verified', () => {
    const { cache, clock } = createCache()
    cache.keep(tokenOf('a'))
    clock.advance(5 * minute - 0.001)
    expect(cache.find('a')).toBeDefined()
    clock.advance(0.001)
    expect(cache.find('a')).toBeUndefined()
  })

  it('forgets it in the millisecond in which the token expires', () => {
    const { cache, clock } = createCache()
    cache.keep(tokenOf('a', { caller: callerOf('a', startSeconds + minute) }))
    clock.advance(minute - 0.001)
    expect(cache.find('a')).toBeDefined()
    clock.advance(0.001)
    expect(cache.find('a')).toBeUndefined()
  })

  it('forgets it for good once its key is not trusted any more', () => {
    const { cache } = createCache()
    let trusted = true
    cache.keep(tokenOf('a', { keyIsTrusted: () => trusted }))
    expect(cache.find('a')).toBeDefined()
    trusted = false
    expect(cache.find('a')).toBeUndefined()
    trusted = true
    expect(cache.find('a')).toBeUndefined()
  })

  it('keeps it no longer because the wall clock went back', () => {
    const { cache, clock } = createCache()
    cache.keep(tokenOf('a'))
    cache.keep(tokenOf('short', { caller: callerOf('short', startSeconds + minute) }))
    clock.jump(-7200)
    expect(cache.find('a')).toBeDefined()
    clock.advance(minute)
    expect(cache.find('a')).toBeDefined()
    expect(cache.find('short')).toBeUndefined()
    clock.advance(4 * minute)
    expect(cache.find('a')).toBeUndefined()
  })

  it('keeps it no longer because the machine slept', () => {
    const { cache, clock } = createCache()
    cache.keep(tokenOf('a'))
    clock.jump(5 * minute)
    expect(cache.find('a')).toBeUndefined()
  })

  it('holds no more tokens than it may, and lets go of the least used', () => {
    const { cache } = createCache({ entriesMax: 2, bytesMax: 1_000_000 })
    cache.keep(tokenOf('a'))
    cache.keep(tokenOf('b'))
    cache.find('a')
    cache.keep(tokenOf('c'))
    expect(cache.find('a')).toBeDefined()
    expect(cache.find('b')).toBeUndefined()
  })

  it('holds no more bytes than it may', () => {
    const { cache } = createCache({ entriesMax: 100, bytesMax: 50_000 })
    const long = (name: string) => name.repeat(8000)
    for (const name of ['a', 'b', 'c']) cache.keep(tokenOf(long(name)))
    expect(cache.find(long('a'))).toBeUndefined()
    expect(cache.find(long('b'))).toBeDefined()
    expect(cache.find(long('c'))).toBeDefined()
  })
})
