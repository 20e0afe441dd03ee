import { expect, test } from 'vitest'
import { isWhole, parsePlan, partNames } from '../../../bench/plan.ts'

test('without arguments everything is measured', () => {
  const plan = parsePlan([])
  expect(plan).toMatchObject({ parts: partNames, rounds: 5, durationMs: 3000, curveTokens: 1000 })
  expect(plan && isWhole(plan)).toBe(true)
})

test('parts are measured in one order, whatever order they are named in', () => {
  const plan = parsePlan(['--only', 'curves,warm', '--rounds', '1'])
  expect(plan).toMatchObject({ parts: ['warm', 'curves'], rounds: 1 })
  expect(plan && isWhole(plan)).toBe(false)
})

test.each([
  ['an option that there is not', ['--onyl', 'warm']],
  ['a part that there is not', ['--only', 'warm,hot']],
  ['no part', ['--only', '']],
  ['no number', ['--rounds', 'many']],
  ['nothing to measure', ['--seconds', '0']],
  ['a fraction', ['--seconds', '0.5']],
  ['more tokens than there can be', ['--curve-tokens', '100000', '--scopes', '10']],
  ['an argument without an option', ['warm']],
])('refuses %s', (_, args) => {
  expect(parsePlan(args)).toBeUndefined()
})
