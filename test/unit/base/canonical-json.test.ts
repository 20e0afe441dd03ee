import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../src/base/canonical-json.ts'
import type { Json } from '../../../src/base/canonical-json.ts'

/** Published vectors of RFC 8785 beside the repository; a clone alone does not have them. */
const vectors = fileURLToPath(new URL('../../../../shared/vectors/rfc8785/', import.meta.url))

describe('canonical JSON, by the published vectors', () => {
  if (!existsSync(vectors)) {
    it('is left out here, because ../shared/vectors/rfc8785 is not there', () => {
      expect(existsSync(vectors)).toBe(false)
    })
    return
  }
  it.each(readdirSync(`${vectors}input`))('%s', (name) => {
    const input = JSON.parse(readFileSync(`${vectors}input/${name}`, 'utf8')) as Json
    expect(Buffer.from(canonicalJson(input))).toEqual(readFileSync(`${vectors}output/${name}`))
  })
})

describe('canonical JSON', () => {
  it('is what an implementation of others makes of any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        expect(canonicalJson(value as Json)).toBe(canonicalize(value))
      }),
    )
  })

  it('says the same however the members were put in', () => {
    expect(canonicalJson({ b: 1, a: { d: [true, null], c: 'é' } })).toBe(
      canonicalJson({ a: { c: 'é', d: [true, null] }, b: 1 }),
    )
  })

  it('sorts many members, and those that come in the wrong order, as it sorts few', () => {
    for (const count of [2, 31, 32, 33, 1500]) {
      const names = Array.from({ length: count }, (_, index) => `n${count - index}`)
      const value = Object.fromEntries(names.map((name, index) => [name, index]))
      expect(canonicalJson(value)).toBe(canonicalize(value))
    }
  })

  it('leaves an absent member out and keeps a null one', () => {
    expect(canonicalJson({ a: undefined, b: null })).toBe('{"b":null}')
  })

  it.each([
    ['a lone surrogate in a string', { a: '\ud800' }],
    ['a lone surrogate in a name', { '\udc00': 1 }],
    ['a lone surrogate in a name among others', { a: 1, '\udc00': 1, '\uffff': 1 }],
    ['NaN', [Number.NaN]],
    ['infinity', [Number.POSITIVE_INFINITY]],
  ])('has no form for %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(RangeError)
  })
})
