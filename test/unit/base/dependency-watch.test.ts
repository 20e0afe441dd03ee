import { expect, test } from 'vitest'
import { createDependencyWatch } from '../../../src/base/dependency-watch.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

test('says how a dependency was found last, and since when', () => {
  const clock = fixedClock(1000)
  const watch = createDependencyWatch(clock)
  clock.advance(5)
  expect(watch.state).toEqual({ state: 'untried', sinceMs: 1_000_000 })
  watch.saw('ok')
  clock.advance(5)
  watch.saw('ok')
  expect(watch.state).toEqual({ state: 'ok', sinceMs: 1_005_000 })
  watch.saw('failing')
  expect(watch.state).toEqual({ state: 'failing', sinceMs: 1_010_000 })
})

test.each([-7200, 960])(
  'still says when it was, after the wall clock jumped by %d s',
  (seconds) => {
    const clock = fixedClock(1_000_000)
    const watch = createDependencyWatch(clock)
    watch.saw('failing')
    clock.jump(seconds)
    clock.advance(30)
    expect(watch.state).toEqual({ state: 'failing', sinceMs: clock.nowMs() - 30_000 })
  },
)
