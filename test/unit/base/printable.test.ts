import { expect, test } from 'vitest'
import { printable } from '../../../src/base/printable.ts'

test('what prints is left as it is', () => {
  expect(printable('Grüße, 世界 🙂', 40)).toBe('Grüße, 世界 🙂')
})

test.for(['\n', '\r', '\u001b', '\u009b', '\u2028', '\u202e', '\u200b', '\ud800', '\0'])(
  '%j does not reach a terminal',
  (character) => {
    expect(printable(`a${character}b`, 40)).toBe('a?b')
  },
)

test('what is longer is cut, and says so', () => {
  expect(printable('abcdef', 3)).toBe('abc…')
})
