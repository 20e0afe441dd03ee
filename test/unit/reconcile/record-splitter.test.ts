import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { RecordSplitter } from '../../../src/reconcile/record-splitter.ts'
import type { Piece } from '../../../src/reconcile/record-splitter.ts'

function split(text: string, chunkBytes = Infinity): readonly Piece[] {
  const bytes = Buffer.from(text)
  const splitter = new RecordSplitter()
  const pieces: Piece[] = []
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    pieces.push(...splitter.push(bytes.subarray(start, start + chunkBytes)))
  }
  return [...pieces, ...splitter.end()]
}

const record = (text: string, line: number): Piece => ({
  kind: 'record',
  value: JSON.parse(text) as unknown,
  line,
})
const shown = (pieces: readonly Piece[]) =>
  pieces.map(
    (piece) =>
      `${piece.line}: ${piece.kind === 'problem' ? piece.problem : JSON.stringify(piece.kind === 'record' ? piece.value : piece.record)}`,
  )

const one = '{"a":"}]{[\\"","b":{"c":[1,{}]}}'
const two = '{"é":"\\\\"}'

describe('cutting a log into records', () => {
  it.each([
    ['JSON Lines', `${one}\n${two}\n`, [record(one, 1), record(two, 2)]],
    ['JSON Lines without the last line break', `${one}\n${two}`, [record(one, 1), record(two, 2)]],
    [
      'JSON Lines of Windows, with empty lines',
      `\r\n${one}\r\n\r\n${two}\r\n`,
      [record(one, 2), record(two, 4)],
    ],
    ['JSON Lines after a byte order mark', `\ufeff${one}\n`, [record(one, 1)]],
    ['a list', `[\n${one},\n${two}\n]\n`, [record(one, 2), record(two, 3)]],
    ['a list in one line', `[${one},${two}]`, [record(one, 1), record(two, 1)]],
    ['an empty list', '[]', []],
    ['a wrapper', `{"records":[${one},${two}]}`, [record(one, 1), record(two, 1)]],
    [
      'a wrapper with space in it',
      `{\n  "records" : [\n${one}\n,\n${two}\n  ]\n}\n`,
      [record(one, 3), record(two, 5)],
    ],
    ['an empty wrapper', '{"records":[]}', []],
    [
      'wrappers, one a line',
      `{"records":[${one}]}\n{"records":[${two}]}\n`,
      [record(one, 1), record(two, 2)],
    ],
    [
      'a page of Microsoft Graph',
      `{"@odata.context":"https://graph","value":[${one},${two}]}`,
      [record(one, 1), record(two, 1)],
    ],
    [
      'a page of Microsoft Graph with space in it',
      `{\n  "@odata.context": "https://graph",\n  "value": [\n${one},\n${two}\n  ]\n}`,
      [record(one, 4), record(two, 5)],
    ],
    [
      'all of them one after the other',
      `${one}\n[${two}]\n{"records":[${one}]}\n${two}`,
      [record(one, 1), record(two, 2), record(one, 3), record(two, 4)],
    ],
    ['nothing', '', []],
  ])('understands %s, wherever its chunks end', (_, text, expected) => {
    for (const chunkBytes of [1, 2, 3, 7, Infinity]) {
      expect(split(text, chunkBytes)).toEqual(expected)
    }
  })

  it('takes a record with a member "records" that is no list for a record', () => {
    expect(shown(split('{"records":{"a":1}}'))).toEqual(['1: {"records":{"a":1}}'])
    expect(shown(split('{"b":0,"records":[1]}'))).toEqual(['1: {"b":0,"records":[1]}'])
  })

  it('tells a record from its pretty print in a list, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 4 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom('list', 'wrapper', 'lines'),
        (records, chunkBytes, shape) => {
          const text = {
            list: JSON.stringify(records, undefined, 1),
            wrapper: JSON.stringify({ records }, undefined, 1),
            lines: records.map((value) => `${JSON.stringify(value)}\n`).join(''),
          }[shape]
          const found = split(text, chunkBytes).map((piece) =>
            piece.kind === 'record' ? piece.value : piece,
          )
          expect(found).toEqual(JSON.parse(JSON.stringify(records)))
        },
      ),
    )
  })
})

describe('what is no record', () => {
  it('costs its own line alone, when it is cut off', () => {
    expect(shown(split(`{"a":"b\n${one}\n{"a":[{\n${two}\n`, 4))).toEqual([
      '1: it is cut off',
      `2: ${one}`,
      '3: it is cut off',
      `4: ${two}`,
    ])
  })

  it('is told at the end of a log that breaks off', () => {
    expect(shown(split(`${one}\n{"a":1`))).toEqual([`1: ${one}`, '2: it is cut off'])
    expect(shown(split(`{"records":[${one}`))).toEqual([`1: ${one}`, '1: it is cut off'])
    expect(shown(split(`[\n${one},\n`))).toEqual([`2: ${one}`, '3: it is cut off'])
  })

  it('is told once for each stretch of it', () => {
    expect(shown(split(`no log\n"at all"\n${one}\n] true\n${two}`))).toEqual([
      '1: it is not a record',
      `3: ${one}`,
      '4: it is not a record',
      `5: ${two}`,
    ])
  })

  it('is told when it stands beside the records of a wrapper', () => {
    expect(shown(split(`{"records":[${one}],"more":[${two}]}\n${two}`))).toEqual([
      `1: ${one}`,
      '1: it is not a record',
      `2: ${two}`,
    ])
  })

  it('is told where a page of Microsoft Graph is not the last', () => {
    expect(shown(split(`{"@odata.nextLink":"https://graph/next","value":[${one}]}`))).toEqual([
      '1: more of it was left behind @odata.nextLink',
      `1: ${one}`,
    ])
    expect(shown(split(`{"value":[${one}],"@odata.nextLink":"https://graph/next"}`))).toEqual([
      `1: ${one}`,
      '1: it is not a record',
    ])
  })

  it('is told when it is too long to be one, and not kept', () => {
    const long = `{"a":"${'x'.repeat(300_000)}"}`
    expect(shown(split(`${one}\n${long}\n${two}\n`, 65_536))).toEqual([
      `1: ${one}`,
      '2: it is longer than a record can be',
      `3: ${two}`,
    ])
  })

  it('is told where only JSON can tell, beside the records of the same line', () => {
    expect(shown(split('[1, {"a":}, [{}]]\n{"a":}\n{"a":1}{"a":2}\n'))).toEqual([
      '1: it is not a record',
      '1: it is not JSON',
      '1: [{}]',
      '2: it is not JSON',
      '3: {"a":1}',
      '3: {"a":2}',
    ])
  })
})
