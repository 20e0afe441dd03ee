import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/caller/caller.ts'
import {
  createVerifiedTokenCache,
  type VerifiedToken,
} from '../../../src/caller/verified-token-cache.ts'
import { issuerName } from '../../support/caller-issuer.ts'

const verifiedAtMs = 1_795_000_000_000
const minute = 60_000

const callerOf = (tokenSha256: string, expiresAtMs: number): Caller => ({
  issuer: issuerName('platform'),
  subject: 'job',
  claims: {},
  tokenSha256,
  expiresAtSeconds: expiresAtMs / 1000,
})

function tokenOf(tokenSha256: string, changes: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    caller: callerOf(tokenSha256, verifiedAtMs + 60 * minute),
    verifiedAtMs,
    tokenCharacters: 1000,
    keyIsTrusted: () => true,
    ...changes,
  }
}

const createCache = (limits = { entriesMax: 100, bytesMax: 1_000_000 }) =>
  createVerifiedTokenCache(limits)

describe('createVerifiedTokenCache', () => {
  it('finds a token that was verified a moment ago, and no other', () => {
    const cache = createCache()
    const token = tokenOf('a')
    cache.keep(token)
    expect(cache.find('a', verifiedAtMs)).toBe(token.caller)
    expect(cache.find('b', verifiedAtMs)).toBeUndefined()
  })

  it('forgets it five minutes after it was verified', () => {
    const cache = createCache()
    cache.keep(tokenOf('a'))
    expect(cache.find('a', verifiedAtMs + 5 * minute - 1)).toBeDefined()
    expect(cache.find('a', verifiedAtMs + 5 * minute)).toBeUndefined()
  })

  it('forgets it in the millisecond in which the token expires', () => {
    const cache = createCache()
    cache.keep(tokenOf('a', { caller: callerOf('a', verifiedAtMs + minute) }))
    expect(cache.find('a', verifiedAtMs + minute - 1)).toBeDefined()
    expect(cache.find('a', verifiedAtMs + minute)).toBeUndefined()
  })

  it('forgets it for good once its key is not trusted any more', () => {
    const cache = createCache()
    let trusted = true
    cache.keep(tokenOf('a', { keyIsTrusted: () => trusted }))
    expect(cache.find('a', verifiedAtMs)).toBeDefined()
    trusted = false
    expect(cache.find('a', verifiedAtMs)).toBeUndefined()
    trusted = true
    expect(cache.find('a', verifiedAtMs)).toBeUndefined()
  })

  it('does not believe an entry from the future of a clock that went back', () => {
    const cache = createCache()
    cache.keep(tokenOf('a'))
    expect(cache.find('a', verifiedAtMs - 1)).toBeUndefined()
  })

  it('holds no more tokens than it may, and lets go of the least used', () => {
    const cache = createCache({ entriesMax: 2, bytesMax: 1_000_000 })
    cache.keep(tokenOf('a'))
    cache.keep(tokenOf('b'))
    cache.find('a', verifiedAtMs)
    cache.keep(tokenOf('c'))
    expect(cache.find('a', verifiedAtMs)).toBeDefined()
    expect(cache.find('b', verifiedAtMs)).toBeUndefined()
  })

  it('holds no more bytes than it may', () => {
    const cache = createCache({ entriesMax: 100, bytesMax: 40_000 })
    for (const name of ['a', 'b', 'c']) cache.keep(tokenOf(name, { tokenCharacters: 8000 }))
    expect(cache.find('a', verifiedAtMs)).toBeUndefined()
    expect(cache.find('b', verifiedAtMs)).toBeDefined()
    expect(cache.find('c', verifiedAtMs)).toBeDefined()
  })
})
