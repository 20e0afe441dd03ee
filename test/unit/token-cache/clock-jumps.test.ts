import { expect, test } from 'vitest'
import { instantNow, laterBy } from '../../../src/base/clock.ts'
import {
  newAttemptId,
  parseApplicationName,
  parseScope,
  parseTenantId,
} from '../../../src/base/ids.ts'
import { Secret } from '../../../src/base/secret.ts'
import { createTokenCache } from '../../../src/token-cache/token-cache.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

/** A token dies when it dies, whatever the wall clock is set to. */

const key = {
  application: required(parseApplicationName('events')),
  tenant: required(parseTenantId('aaaaaaaa-0000-4000-8000-000000000001')),
  scope: required(parseScope('https://orders.example/.default')),
}

/** Holds one token that lives for 3600 s from now. */
async function cacheWithToken() {
  const clock = fixedClock(1_000_000)
  const cache = createTokenCache({ clock, bytesMax: 1024 * 1024, minRemainingSeconds: 300 })
  const token = {
    value: new Secret('token'),
    expiresAtSeconds: clock.nowSeconds() + 3600,
    expiry: laterBy(3_600_000, instantNow(clock)),
    sha256: 'sha256 of it',
    obtainedBy: newAttemptId(),
  }
  await cache.obtain(key, () => Promise.resolve(token))
  return { clock, cache, token }
}

test('a wall clock that is set back does not lengthen the life of a token', async () => {
  const { clock, cache, token } = await cacheWithToken()
  clock.jump(-7200)
  clock.advance(3300)
  expect(cache.get(key)).toBe(token)
  clock.advance(1)
  expect(cache.get(key)).toBeUndefined()
})

test('a machine that slept serves no token that died meanwhile', async () => {
  const { clock, cache, token } = await cacheWithToken()
  clock.jump(3300)
  expect(cache.get(key)).toBe(token)
  clock.jump(1)
  expect(cache.get(key)).toBeUndefined()
})
