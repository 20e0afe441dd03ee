import { describe, expect, it } from 'vitest'
import { parseStrictJsonObject, sealed } from '../../../src/caller/strict-json.ts'

const parse = (text: string) => parseStrictJsonObject(Buffer.from(text))

/** @throws Error when the text is refused. */
function parsed(text: string): Readonly<Record<string, unknown>> {
  const result = parse(text)
  if (!result.ok) throw new Error(result.fault)
  return result.object
}

describe('parseStrictJsonObject', () => {
  it.each([
    ['an empty object', '{}'],
    ['white space around everything', ' { "a" : [ 1 , true , null ] } \n'],
    ['the same name in two objects', '{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":2}]}'],
    ['a name that occurs as a value', '{"a":"b","b":"a"}'],
    ['names in another case', '{"sub":"1","Sub":"2"}'],
    ['strings that look like structure', String.raw`{"a":"{\"a\":1,\"a\":2}","b":"[[[[[[[[[["}`],
    ['the largest exact integer', '{"n":9007199254740991,"m":-9007199254740991}'],
    ['fractions and exponents', '{"n":1795000000.25,"m":1.5e3}'],
    ['a pair of surrogates', String.raw`{"a":"\ud83d\ude00"}`],
    ['eight levels', '{"a":'.repeat(8) + '1' + '}'.repeat(8)],
    ['a thousand values', `{"a":[${Array(1000).fill('0').join(',')}]}`],
    ['five hundred members', `{${Array.from({ length: 500 }, (_, n) => `"${n}":0`).join(',')}}`],
    ['a text of brackets, colons and commas', `{"a":"${'[{:,'.repeat(2000)}"}`],
    ['a text of escaped quotes', `{"a":"${'\\",'.repeat(2000)}"}`],
  ])('reads %s', (_, text) => {
    expect(parsed(text)).toEqual(JSON.parse(text))
  })

  it.each([
    ['a member twice', '{"sub":"a","sub":"a"}'],
    ['a member twice', String.raw`{"sub":"a","\u0073ub":"b"}`],
    ['a member twice', '{"a":[{"b":{"c":1,"d":2,"c":3}}]}'],
    ['a member twice', '{"__proto__":1,"__proto__":2}'],
    ['a member twice', String.raw`{"a\"":1,"a\"" :2}`],
    ['nested too deep', '{"a":'.repeat(9) + '1' + '}'.repeat(9)],
    ['nested too deep', `{"a":${'['.repeat(500)}${']'.repeat(500)}}`],
    ['too many parts', `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`],
    ['too many parts', '['.repeat(5000)],
    ['too many parts', `{"a":[${Array(1024).fill('0').join(',')}]}`],
    ['too many parts', `{"a":[${Array(600).fill('{}').join(',')}]}`],
    ['too many parts', `{${Array.from({ length: 513 }, (_, n) => `"${n}":0`).join(',')}}`],
    ['too many parts', `{"a":[${Array(300).fill('{"a":1,"b":2}').join(',')}]}`],
    ['a number that is not exact', '{"repository_id":9007199254740992}'],
    ['a number that is not exact', '{"repository_id":[-12345678901234567890]}'],
    ['a number that is not exact', '{"exp":1e999}'],
    ['a lone surrogate', String.raw`{"sub":"\ud800"}`],
    ['a lone surrogate', String.raw`{"\udc00":1}`],
    ['not a JSON object', '[]'],
    ['not a JSON object', '"text"'],
    ['not a JSON object', 'null'],
    ['not JSON', ''],
    ['not JSON', '{'],
    ['not JSON', '{"a":1,}'],
    ['not JSON', '{"a":01}'],
    ['not JSON', '{"a":NaN}'],
    ['not JSON', '{"a":1}{"b":2}'],
    ['not JSON', "{'a':1}"],
    ['not JSON', '{"a":1/**/}'],
    ['not JSON', '\ufeff{"a":1}'],
    ['not JSON', '{"a":"\u0000"}'],
  ])('finds %s in %s', (fault, text) => {
    expect(parse(text)).toEqual({ ok: false, fault })
  })

  it.each([
    ['a stray continuation byte', [0x7b, 0x22, 0x80, 0x22, 0x3a, 0x31, 0x7d]],
    ['an overlong slash', [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]],
    ['an encoded surrogate', [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]],
  ])('refuses %s as UTF-8', (_, bytes) => {
    expect(parseStrictJsonObject(Uint8Array.from(bytes))).toEqual({ ok: false, fault: 'not UTF-8' })
  })
})

describe('a sealed object', () => {
  it('has only what was written', () => {
    const object = sealed(parsed('{"nested":{},"__proto__":{"admin":true}}'))
    expect(object['constructor']).toBeUndefined()
    expect(object['admin']).toBeUndefined()
    expect('toString' in (object['nested'] as object)).toBe(false)
    expect(Object.keys(object)).toEqual(['nested', '__proto__'])
  })

  it('is what was parsed', () => {
    const text = '{"a":{"b":[1,"two",null,true,{"c":{}}]},"":[[]]}'
    expect(sealed(parsed(text))).toEqual(JSON.parse(text))
  })

  it('is frozen at every level', () => {
    const object = sealed(parsed('{"list":[{"inner":{"deep":1}}]}'))
    const [first] = object['list'] as [{ inner: object }]
    for (const level of [object, object['list'], first, first.inner]) {
      expect(Object.isFrozen(level)).toBe(true)
    }
  })
})
