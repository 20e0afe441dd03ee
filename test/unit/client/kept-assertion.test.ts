import { expect, test } from 'vitest'
import { keepAssertion } from '../../../src/client/kept-assertion.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

/** Assertions by number, each from a fetch that takes this long by the clock. */
function kept({ expiresInSeconds = 300, tookSeconds = 0 } = {}) {
  const clock = fixedClock(1_000_000)
  const asked = { times: 0, isAway: false }
  const current = keepAssertion(async () => {
    asked.times += 1
    const assertion = `assertion ${asked.times}`
    await Promise.resolve()
    if (asked.isAway) throw new Error('away')
    clock.advance(tookSeconds)
    return { assertion, expiresInSeconds }
  }, clock)
  return { clock, asked, current }
}

test('one assertion is for everybody who waits, and for those who come later', async () => {
  const { asked, current } = kept()
  expect(await Promise.all([current(), current()])).toEqual(['assertion 1', 'assertion 1'])
  expect(await current()).toBe('assertion 1')
  expect(asked.times).toBe(1)
})

test.each([
  [300, 240],
  [600, 540],
  // A minute would be most of it.
  [60, 45],
])('an assertion of %i s is replaced after %i s, and not before', async (life, seconds) => {
  const { clock, current } = kept({ expiresInSeconds: life })
  await current()
  clock.advance(seconds - 1)
  expect(await current()).toBe('assertion 1')
  clock.advance(1)
  expect(await Promise.all([current(), current()])).toEqual(['assertion 2', 'assertion 2'])
})

test('its life begins when it was asked for', async () => {
  const { clock, current } = kept({ tookSeconds: 10 })
  await current()
  clock.advance(230)
  expect(await current()).toBe('assertion 2')
})

test('a machine that slept, or whose clock was set forward, keeps none too long', async () => {
  const { clock, current } = kept()
  await current()
  clock.jump(240)
  expect(await current()).toBe('assertion 2')
})

test('a failure is told to all who wait, and the next one asks again', async () => {
  const { asked, current } = kept()
  asked.isAway = true
  const both = await Promise.allSettled([current(), current()])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  asked.isAway = false
  expect(await current()).toBe('assertion 2')
})
