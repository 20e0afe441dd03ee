import { expect, test } from 'vitest'
import { nearestName } from '../../../src/yaml/nearest-name.ts'

const names = ['listen', 'cloud', 'tokenCache', 'x5c']

test.for([
  ['listn', 'listen'],
  ['Listen', 'listen'],
  ['tokencache', 'tokenCache'],
  ['tokenCaches', 'tokenCache'],
  ['clout', 'cloud'],
  ['x5', 'x5c'],
] as const)('%s was meant to be %s', ([written, meant]) => {
  expect(nearestName(written, names)).toBe(meant)
})

test.for(['governor', 'abc', '', 'k'.repeat(10_000)])(
  '%s was meant to be none of them',
  (written) => {
    expect(nearestName(written, names)).toBeUndefined()
  },
)
