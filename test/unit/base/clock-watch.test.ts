import { expect, test } from 'vitest'
import { createClockWatch } from '../../../src/base/clock-watch.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

function newWatch() {
  const clock = fixedClock(1_000_000)
  const jumps: number[] = []
  const watch = createClockWatch(clock, (jumpMs) => jumps.push(jumpMs))
  return { clock, watch, jumps }
}

test.each([
  ['forward', 960],
  ['back', -7200],
  ['by just so much that it matters', 5],
])('tells once of a wall clock that was set %s', (_, seconds) => {
  const { clock, watch, jumps } = newWatch()
  clock.advance(10)
  clock.jump(seconds)
  watch.look()
  clock.advance(10)
  watch.look()
  expect(jumps).toEqual([seconds * 1000])
})

test('tells of a clock that is set right again', () => {
  const { clock, watch, jumps } = newWatch()
  clock.jump(960)
  watch.look()
  clock.jump(-960)
  watch.look()
  expect(jumps).toEqual([960_000, -960_000])
})

test('says nothing of time that passes, nor of a clock that is slewed', () => {
  const { clock, watch, jumps } = newWatch()
  for (let look = 0; look < 100; look += 1) {
    clock.advance(3600)
    clock.jump(4.9)
    watch.look()
  }
  expect(jumps).toEqual([])
})
