import { describe, expect, test } from 'vitest'
import { parseYaml } from '../../../src/yaml/yaml-document.ts'
import { required } from '../../support/required.ts'

const rulesOf = (text: string) => parseYaml(text).faults.map(({ line, rule }) => [line, rule])
const documentOf = (text: string) => required(parseYaml(text).document)

describe('a YAML text', () => {
  test('says what YAML 1.2 says: yes is a text, and so is a date', () => {
    expect(documentOf('a: yes\nb: 2027-03-01\nc: 0o17\nd: true\ne: ~\n').value).toEqual({
      a: 'yes',
      b: '2027-03-01',
      c: 15,
      d: true,
      e: null,
    })
  })

  test('has keys that are texts, whatever they look like', () => {
    expect(documentOf('1: a\ntrue: b\n').value).toEqual({ 1: 'a', true: 'b' })
  })

  test('may name what every object inherits, as a key of its own', () => {
    const value = documentOf('constructor: 1\ntoString: 2\n').value as object
    expect(Object.entries(value)).toEqual([
      ['constructor', 1],
      ['toString', 2],
    ])
  })

  test('does not merge maps by a key that looks like it', () => {
    expect(documentOf('<<: { a: 1 }\nb: 2\n').value).toEqual({ '<<': { a: 1 }, b: 2 })
  })

  test('can be read on where a key is there twice: the last one counts', () => {
    const { document, faults } = parseYaml('a: 1\nb:\n  c: 2\na: 3\n')
    expect(faults).toMatchObject([{ line: 4, rule: 'yaml.duplicate-key' }])
    expect(document?.value).toEqual({ a: 3, b: { c: 2 } })
    expect(document?.lineOf(['a'])).toBe(4)
  })

  test.for<readonly [string, readonly (readonly [number, string])[]]>([
    [
      'a: &x 1\nb: *x\n',
      [
        [1, 'yaml.alias'],
        [2, 'yaml.alias'],
      ],
    ],
    ['a: *nowhere\n', [[1, 'yaml.alias']]],
    [
      'a: 1\nb: !x 2\nc: !!str 3\n',
      [
        [2, 'yaml.tag'],
        [3, 'yaml.tag'],
      ],
    ],
    ['a: {}\nb: { __proto__: 1 }\n', [[2, 'yaml.key']]],
    ['a: 1\n---\nb: 2\n', [[2, 'yaml.several-documents']]],
    ['a:\n\tb: 1\n', [[2, 'yaml.tab']]],
    ['a: [1\nb: 2\n', [[2, 'yaml.syntax']]],
    ['# nothing\n', [[1, 'yaml.empty']]],
    ['', [[1, 'yaml.empty']]],
    [`a: ${'x'.repeat(1_000_000)}`, [[1, 'yaml.too-long']]],
    ['['.repeat(5000), [[1, 'yaml.too-deep']]],
  ])('%j is refused at its line', ([text, expected]) => {
    expect(rulesOf(text)).toEqual(expected)
    expect(parseYaml(text).document).toBeUndefined()
  })

  test('with thousands of keys is compared key by key in no time', () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1\n`).join('')
    const startedMs = performance.now()
    expect(rulesOf(`${text}k7: 2\n`)).toEqual([[20_001, 'yaml.duplicate-key']])
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })

  test('never puts a line break or an escape of its own into a message', () => {
    const [fault] = parseYaml('a: |1\u001b[31mx\n b\n').faults
    expect(fault?.message).not.toMatch(/[\u0000-\u001f]/)
  })
})

describe('the line of a path', () => {
  const document = documentOf(
    ['# a comment', 'a:', '  b: 1', '  list:', '    - x', '    - { c: 2,', '        d: 3 }'].join(
      '\n',
    ),
  )

  test.for<readonly [readonly (string | number)[], number]>([
    [['a'], 2],
    [['a', 'b'], 3],
    [['a', 'list'], 4],
    [['a', 'list', 0], 5],
    [['a', 'list', 1], 6],
    [['a', 'list', 1, 'd'], 7],
  ])('%j is where its key or item stands', ([path, line]) => {
    expect(document.lineOf(path)).toBe(line)
  })

  test('that is not there is that of the nearest thing around it', () => {
    expect(document.lineOf([])).toBe(2)
    expect(document.lineOf(['z'])).toBe(2)
    expect(document.lineOf(['a', 'z', 'y'])).toBe(2)
    expect(document.lineOf(['a', 'list', 9])).toBe(4)
  })
})
