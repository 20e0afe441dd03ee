import { expect, test } from 'vitest'
import { isLoopback } from '../../../src/base/loopback.ts'

test.for(['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '[::1]'])(
  '%s is this machine',
  (host) => {
    expect(isLoopback(host)).toBe(true)
  },
)

test.for([
  '0.0.0.0',
  '::',
  '10.0.0.1',
  '127.0.0.1.example',
  '127.1',
  'localhost.example',
  'notlocalhost',
  '::ffff:10.0.0.1',
  '',
])('%s may be another', (host) => {
  expect(isLoopback(host)).toBe(false)
})
