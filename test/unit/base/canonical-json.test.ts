import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import canonicalize from 'canonicalize'
import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../src/base/canonical-json.ts'
import type { Json } from '../../../src/base/canonical-json.ts'

/** Published vectors of RFC 8785, from where their README says. */
const vectors = fileURLToPath(new URL('../../fixtures/rfc8785/', import.meta.url))

const names = readdirSync(`${vectors}input`).map((file) => file.replace('.json', ''))

describe('canonical JSON, by the published vectors', () => {
  it('is held to all of them', () => {
    expect(names).toEqual(['arrays', 'french', 'structures', 'unicode', 'values', 'weird'])
  })

  it.each(names)('%s', (name) => {
    const input = JSON.parse(readFileSync(`${vectors}input/${name}.json`, 'utf8')) as Json
    const bytes = Buffer.from(canonicalJson(input))
    expect(bytes).toEqual(readFileSync(`${vectors}output/${name}.json`))
    const hexadecimal = readFileSync(`${vectors}outhex/${name}.txt`, 'utf8').replaceAll(/\s/g, '')
    expect(bytes.toString('hex')).toBe(hexadecimal)
  })

  it.each(names)('%s, once canonical, stays as it is', (name) => {
    const text = readFileSync(`${vectors}output/${name}.json`, 'utf8')
    expect(canonicalJson(JSON.parse(text) as Json)).toBe(text)
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
