import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { parseTokenKey, tokenKeyFrom, tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { tokenKey, type KeyParts } from '../../support/cached-tokens.ts'

describe('the text of a token key', () => {
  // What is sealed with it would be lost if it changed.
  test('is this one', () => {
    expect(tokenKeyText(tokenKey())).toBe(
      [
        'token-key 2',
        'https://login.microsoftonline.com',
        'events',
        '11111111-0000-4000-8000-000000000001',
        'aaaaaaaa-0000-4000-8000-000000000001',
        'https://orders.example/.default',
        'ordinary',
        'shared',
      ].join('\n'),
    )
    expect(tokenKeyText(tokenKey({ life: 'long-lived', isolation: 'shared' }))).toMatch(
      /\nlong-lived\ngrant shared$/,
    )
  })

  const parts = fc.record<KeyParts>({
    cloud: fc.constantFrom('https://login.example', 'https://login.example:8443'),
    application: fc.constantFrom('events', 'event', 's'),
    clientId: fc.constantFrom(
      null,
      '11111111-0000-4000-8000-000000000001',
      '22222222-0000-4000-8000-000000000002',
    ),
    tenant: fc.integer({ min: 1, max: 3 }),
    resource: fc.constantFrom('https://a.example', 'https://a.example/b', 'api://a'),
    life: fc.constantFrom('ordinary', 'long-lived'),
    isolation: fc.constantFrom('shared', 'grant', 'ordinary'),
  })
  const someParts = fc.tuple(parts, fc.boolean()).map(([{ isolation, ...others }, isIsolated]) => ({
    ...others,
    ...(isIsolated && isolation !== undefined ? { isolation } : {}),
  }))

  test('is the same for two keys only if they are the same in everything', () => {
    fc.assert(
      fc.property(someParts, someParts, (one, other) => {
        const same = JSON.stringify(one) === JSON.stringify(other)
        expect(tokenKeyText(tokenKey(one)) === tokenKeyText(tokenKey(other))).toBe(same)
        expect(parseTokenKey(tokenKeyText(tokenKey(one)))).toEqual(tokenKey(one))
      }),
    )
  })

  test('says all of the key', () => {
    fc.assert(
      fc.property(someParts, (some) => {
        const key = tokenKey(some)
        expect(tokenKeyFrom(tokenKeyText(key))).toEqual(key)
      }),
    )
  })

  test('is the only one that is a key', () => {
    const text = tokenKeyText(tokenKey())
    for (const other of [
      '',
      `${text}\n`,
      text.replace('token-key 2', 'token-key 3'),
      text.replace('ordinary', 'other'),
      text.replace('11111111-0000-4000-8000-000000000001', 'Unknown'),
      text.replace('shared', 'Shared'),
      text.replace('aaaaaaaa', 'AAAAAAAA'),
      text.replace('/.default', '//.default'),
    ]) {
      expect(parseTokenKey(other), other).toBeUndefined()
    }
  })
})
