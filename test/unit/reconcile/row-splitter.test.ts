import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { RowSplitter } from '../../../src/reconcile/row-splitter.ts'
import type { Piece } from '../../../src/reconcile/record-splitter.ts'

function split(text: string, chunkBytes = Infinity): readonly Piece[] {
  const bytes = Buffer.from(text)
  const splitter = new RowSplitter()
  const pieces: Piece[] = []
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    pieces.push(...splitter.push(bytes.subarray(start, start + chunkBytes)))
  }
  return [...pieces, ...splitter.end()]
}

const shown = (pieces: readonly Piece[]) =>
  pieces.map(
    (piece) =>
      `${piece.line}: ${piece.kind === 'problem' ? piece.problem : JSON.stringify(piece.kind === 'record' ? piece.value : piece.record)}`,
  )

describe('cutting comma-separated values into rows', () => {
  it.each([
    ['a header alone', 'A,B\r\n', []],
    [
      'rows by the names of their columns',
      'A,B\n1,2\n,é\n',
      ['2: {"A":"1","B":"2"}', '3: {"A":"","B":"é"}'],
    ],
    ['a last row without a line break', 'A,B\r\n1,2', ['2: {"A":"1","B":"2"}']],
    ['a last cell that is quoted, and nothing behind it', 'A,B\n1,"2"', ['2: {"A":"1","B":"2"}']],
    ['a byte order mark', '\ufeffA\n1\n', ['2: {"A":"1"}']],
    ['blank lines', 'A\n\n\r\n1\n', ['4: {"A":"1"}']],
    [
      'quoted cells, whatever is in them',
      'A,B\n"a,""b""\r\n",2\nc,d\n',
      ['2: {"A":"a,\\"b\\"\\r\\n","B":"2"}', '4: {"A":"c","B":"d"}'],
    ],
    ['quoted cells that are empty', 'A,B\r\n"",""\r\n', ['2: {"A":"","B":""}']],
    ['nothing', '', []],
  ])('understands %s, wherever its chunks end', (_, text, expected) => {
    for (const chunkBytes of [1, 2, 3, 7, Infinity]) {
      expect(shown(split(text, chunkBytes))).toEqual(expected)
    }
  })

  it('gives back whatever cells were written', () => {
    const cells = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string()), { maxLength: 5 })
    fc.assert(
      fc.property(cells, fc.integer({ min: 1, max: 9 }), (rows, chunkBytes) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
        const text = rows.map((row) => `${row.map(quoted).join(',')}\r\n`).join('')
        const values = split(`A,B\r\n${text}`, chunkBytes).map((piece) =>
          piece.kind === 'record' ? piece.value : piece,
        )
        const utf8 = (cell: string) => Buffer.from(cell).toString()
        expect(values).toEqual(rows.map(([a, b]) => ({ A: utf8(a), B: utf8(b) })))
      }),
    )
  })

  it('tells a row with more or fewer cells than there are columns', () => {
    expect(shown(split('A,B\n1\n1,2,3\n1,2\n'))).toEqual([
      '2: it has 1 cells for 2 columns',
      '3: it has 3 cells for 2 columns',
      '4: {"A":"1","B":"2"}',
    ])
  })

  it('tells a row that is too long, and goes on behind it', () => {
    const long = 'x'.repeat(300_000)
    for (const row of [`1,${long}`, `1,"${long}`, `1,"${long}"`]) {
      expect(shown(split(`A,B\n${row}\n3,4\n`, 65_536))).toEqual([
        '2: it is longer than a row can be',
        '3: {"A":"3","B":"4"}',
      ])
    }
  })

  it('tells a quotation mark that never closes', () => {
    expect(shown(split('A,B\n1,2\n3,"4\n5,6\n'))).toEqual([
      '2: {"A":"1","B":"2"}',
      '3: it is cut off',
    ])
  })
})
