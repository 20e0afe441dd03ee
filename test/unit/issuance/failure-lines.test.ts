import { expect, test } from 'vitest'
import { createFailureLines } from '../../../src/issuance/failure-lines.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const caller = { issuer: 'cluster', subject: 'orders', tokenSha256: 'x' }
const code = 'GOVERNOR_KEY_PAUSED'

const written = (many: number, may: (index: number) => boolean) =>
  Array.from({ length: many }, (_, index) => may(index)).filter(Boolean).length

test('ten of one caller, application and code are written in a minute', () => {
  const lines = createFailureLines(fixedClock(600))

  expect(written(1000, () => lines.mayWrite(caller, 'events', code))).toBe(10)
})

test('another caller, application or code has ten of its own', () => {
  const lines = createFailureLines(fixedClock(600))
  written(1000, () => lines.mayWrite(caller, 'events', code))

  const others = [
    () => lines.mayWrite({ ...caller, subject: 'billing' }, 'events', code),
    () => lines.mayWrite({ ...caller, issuer: 'github' }, 'events', code),
    () => lines.mayWrite(caller, 'deploy', code),
    () => lines.mayWrite(caller, 'events', 'ENTRA_REMEMBERED'),
  ]
  expect(others.map((may) => written(20, may))).toEqual([10, 10, 10, 10])
})

test('the next minute begins anew', () => {
  const clock = fixedClock(600)
  const lines = createFailureLines(clock)
  written(1000, () => lines.mayWrite(caller, 'events', code))
  clock.advance(60)

  expect(written(20, () => lines.mayWrite(caller, 'events', code))).toBe(10)
})

test('so many callers are told apart that memory has a bound, and no more is written', () => {
  const lines = createFailureLines(fixedClock(600))
  const may = (index: number) => lines.mayWrite({ ...caller, subject: `s${index}` }, 'events', code)

  expect(written(20_000, may)).toBe(10_000)
})
