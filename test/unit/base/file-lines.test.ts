import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fileLines } from '../../../src/base/file-lines.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-lines-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** Each line copied, because its bytes are good until the next one is asked for. */
function linesOf(bytes: string | Buffer, lineBytesMax = 1000) {
  const file = join(folder, 'lines')
  writeFileSync(file, bytes)
  return Array.from(fileLines(file, lineBytesMax), (line) => ({
    ...line,
    bytes: line.bytes.toString('latin1'),
  }))
}

test('lines are numbered as they stand, and those without a byte are left out', () => {
  expect(linesOf('one\n\nthree\nfour')).toEqual([
    { number: 1, bytes: 'one' },
    { number: 3, bytes: 'three' },
    { number: 4, bytes: 'four' },
  ])
  expect(linesOf('')).toEqual([])
  expect(linesOf('\n\n')).toEqual([])
})

test('a line is whole however it lies across what is read at once', () => {
  for (const length of [262_142, 262_143, 262_144, 262_145, 600_000]) {
    const long = 'x'.repeat(length)
    const lines = linesOf(`${long}\nnext\n`, 1_000_000)
    expect(lines.map(({ bytes }) => bytes.length)).toEqual([length, 4])
    expect(lines[0]?.bytes === long).toBe(true)
  }
})

test('a line that is too long is cut, also when it has no end, and the next one is not', () => {
  const cut = 'x'.repeat(1000)
  for (const length of [1001, 300_000, 3_000_000]) {
    expect(linesOf(`${'x'.repeat(length)}\nnext`)).toEqual([
      { number: 1, bytes: cut, isCut: true },
      { number: 2, bytes: 'next' },
    ])
    expect(linesOf('x'.repeat(length))).toEqual([{ number: 1, bytes: cut, isCut: true }])
  }
  expect(linesOf(cut)).toEqual([{ number: 1, bytes: cut }])
})

test('bytes that are no UTF-8 stay as they are', () => {
  expect(linesOf(Buffer.from([0xff, 0x00, 0x0a, 0xfe]))).toEqual([
    { number: 1, bytes: '\xff\0' },
    { number: 2, bytes: '\xfe' },
  ])
})

test('what cannot be read is an error of the system', () => {
  expect(() => [...fileLines(join(folder, 'none'), 10)]).toThrow(/ENOENT/)
})
