import { fc } from '../support/drawn-cases.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { CallerError, type TokenIdentifier } from '../../src/caller/caller.ts'
import { parseCompactToken } from '../../src/caller/compact-token.ts'
import { createJsonFetcher } from '../../src/caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from '../../src/caller/jwt-caller.ts'
import { parseKeySet } from '../../src/caller/key-set.ts'
import { parseStrictJsonObject } from '../../src/caller/strict-json.ts'
import {
  createIssuerKey,
  signToken,
  startLoopbackIssuer,
  type LoopbackIssuer,
} from '../support/caller-issuer.ts'
import { callerKinds, entraKeyIssuer, entraKeysPath } from '../support/caller-kinds.ts'
import { fixedClock } from '../support/fixed-clock.ts'

const clock = fixedClock(1_795_000_000)
const fetcher = createJsonFetcher()
const key = createIssuerKey('current')
let issuer: LoopbackIssuer
let identifier: TokenIdentifier
let goodTokens: readonly string[]

beforeAll(async () => {
  issuer = await startLoopbackIssuer(key)
  const entraKey = { ...key.jwk, issuer: entraKeyIssuer(issuer.url) }
  issuer.answer(entraKeysPath, { json: { keys: [entraKey] } })
  // One generic issuer and Entra: the other kinds share the generic one's rules and its address.
  const [generic, entra] = [callerKinds[0], callerKinds.at(-1)]
  if (generic === undefined || entra === undefined) throw new TypeError('there are caller kinds')
  const kinds = [generic, entra]
  identifier = createJwtCallerIdentifier({
    issuers: kinds.map((kind) => kind.settings(issuer.url)),
    ownClientIds: [],
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => {
      throw failure
    },
  })
  const now = clock.nowSeconds()
  goodTokens = await Promise.all(kinds.map((kind) => signToken(key, kind.claims(issuer.url, now))))
  for (const token of goodTokens) {
    expect(await identifier.identify(new Secret(token))).toMatchObject({ ok: true })
  }
})
afterAll(async () => {
  await issuer.close()
  await fetcher.close()
})

/** A key id that was changed may have to wait for the issuer: that proves nobody either. */
const isProven = async (token: string) => {
  try {
    return (await identifier.identify(new Secret(token))).ok
  } catch (error) {
    if (error instanceof CallerError && error.code === 'ISSUER_BUDGET_SPENT') return false
    throw error
  }
}

const part = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.base64String({ maxLength: 60 }),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  fc.json().map((json) => Buffer.from(json).toString('base64url')),
  fc
    .record({
      alg: fc.constantFrom('RS256', 'none', 'HS256'),
      kid: fc.constantFrom('current', 'x'),
    })
    .map((header) => Buffer.from(JSON.stringify(header)).toString('base64url')),
)

/** Changes one place of a text: another character, one more, one less, two exchanged. */
const mutation = fc.record({
  how: fc.constantFrom('replace', 'insert', 'delete', 'swap', 'truncate', 'repeat'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  character: fc.oneof(
    fc.constantFrom('A', 'z', '9', '-', '_', '.', '=', '+', '/', ' ', '\n'),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
})

function mutate(text: string, how: string, at: number, character: string): string {
  const index = Math.floor(at * text.length)
  const [before, found, after] = [text.slice(0, index), text.charAt(index), text.slice(index + 1)]
  switch (how) {
    case 'replace':
      return before + character + after
    case 'insert':
      return before + character + found + after
    case 'delete':
      return before + after
    case 'swap':
      return before + after.charAt(0) + found + after.slice(1)
    case 'truncate':
      return before
    default:
      return before + found + found + after
  }
}

describe('identifying callers', () => {
  it('answers any text with a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async (text) => {
        expect(await isProven(text)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('answers anything shaped like a token with a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 2, maxLength: 5 }), async (parts) => {
        expect(await isProven(parts.join('.'))).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it('never proves a good token that was changed anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 1 }), mutation, async (which, { how, at, character }) => {
        const good = goodTokens[which] ?? ''
        const changed = mutate(good, how, at, character)
        expect(await isProven(changed)).toBe(changed === good)
      }),
      { numRuns: 3000 },
    )
  })

  it('never proves header, payload and signature of different tokens together', async () => {
    const parts = goodTokens.map((token) => token.split('.'))
    const which = fc.nat({ max: 1 })
    await fc.assert(
      fc.asyncProperty(which, which, which, async (header, payload, signature) => {
        const mixed = [parts[header]?.[0], parts[payload]?.[1], parts[signature]?.[2]].join('.')
        expect(await isProven(mixed)).toBe(goodTokens.includes(mixed))
      }),
    )
  })

  it('proves exactly the tokens of a time: from a minute before they begin until they expire', async () => {
    const now = clock.nowSeconds()
    const [generic] = callerKinds
    const seconds = fc.integer({ min: -200, max: 200 })
    await fc.assert(
      fc.asyncProperty(seconds, seconds, seconds, async (iat, nbf, exp) => {
        const claims = { ...generic?.claims(issuer.url, now), iat: now + iat, nbf: now + nbf }
        const token = await signToken(key, { ...claims, exp: now + exp })
        expect(await isProven(token)).toBe(iat <= 60 && nbf <= 60 && exp > 0)
      }),
      { numRuns: 100 },
    )
  })
})

describe('taking tokens apart', () => {
  it('never throws', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        parseCompactToken(parts.join('.'))
      }),
      { numRuns: 3000 },
    )
  })

  it('reads JSON as JSON.parse does, or refuses it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const result = parseStrictJsonObject(Buffer.from(text))
        if (result.ok) expect(result.object).toEqual(JSON.parse(text))
      }),
      { numRuns: 2000 },
    )
  })

  it('reads every object that names nothing twice and no number inexactly', () => {
    const leaf = fc.oneof(fc.string({ unit: 'grapheme' }), fc.maxSafeInteger(), fc.boolean())
    const values = fc.dictionary(fc.string(), fc.oneof(leaf, fc.array(leaf), fc.constant(null)))
    fc.assert(
      fc.property(values, (value) => {
        const result = parseStrictJsonObject(Buffer.from(JSON.stringify(value)))
        expect(result).toEqual({ ok: true, object: value })
      }),
      { numRuns: 2000 },
    )
  })

  it('refuses every object in which a name is written twice', () => {
    const member = fc.tuple(fc.string(), fc.jsonValue({ maxDepth: 2 }))
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 5 }), fc.nat(), (members, index) => {
        const written = members.map(
          ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
        )
        const again = written[index % written.length] ?? ''
        const result = parseStrictJsonObject(Buffer.from(`{${[...written, again].join(',')}}`))
        expect(result.ok).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })

  it('never throws over a key set', () => {
    const jwk = fc.record(
      {
        kty: fc.constantFrom('RSA', 'EC', 'OKP', 'oct'),
        crv: fc.constantFrom('P-256', 'Ed25519', 'X25519', 'P-999'),
        n: fc.base64String(),
        e: fc.constantFrom('AQAB', 'AQ', '', 'AAAA'),
        x: fc.oneof(fc.base64String(), fc.jsonValue()),
        y: fc.base64String(),
        alg: fc.constantFrom('RS256', 'none', 'ES256'),
        kid: fc.oneof(fc.string(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.record({ keys: fc.array(jwk) })), (json) => {
        parseKeySet(json)
      }),
      { numRuns: 2000 },
    )
  })
})
