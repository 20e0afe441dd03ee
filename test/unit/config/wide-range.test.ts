import { expect, test } from 'vitest'
import { isNearlyEverybody } from '../../../src/config/wide-range.ts'

test.for([
  '0.0.0.0/0',
  '0.0.0.0/1',
  '128.0.0.0/1',
  '10.0.0.0/7',
  '::/0',
  '2000::/3',
  '2001::/15',
  // What a dual-stack socket makes of IPv4 is in these.
  '::/64',
  '::ffff:0:0/96',
  '::ffff:0.0.0.0/97',
  '::ffff:10.0.0.0/103',
  'fc00::/6',
])('%s admits nearly everybody', (range) => {
  expect(isNearlyEverybody(range)).toBe(true)
})

test.for([
  '10.0.0.5',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  // Ranges that CDNs publish as theirs.
  '104.16.0.0/13',
  '2a06:98c0::/29',
  '::1',
  '::1/128',
  'fc00::/7',
  'fd00::/8',
  'fe80::/10',
  '2001:db8::/32',
  '::ffff:10.0.0.0/104',
  '::ffff:10.0.0.5',
])('%s can be a proxy', (range) => {
  expect(isNearlyEverybody(range)).toBe(false)
})
