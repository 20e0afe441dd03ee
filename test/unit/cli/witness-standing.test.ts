import { expect, test } from 'vitest'
import { nothingFound, type Reconciled, standingBehind } from '../../../src/cli/witness-standing.ts'

const findings = (kinds: Readonly<Record<string, number>>) => ({
  alarm: 'reconcile.findings' as const,
  facts: { kinds },
})
const silent = (vault: string) => ({ alarm: 'logs.silent' as const, facts: { vault, heads: 3 } })
const whole = (...raised: Reconciled['raised']): Reconciled => ({ ...nothingFound, raised })
const part = (...raised: Reconciled['raised']): Reconciled => ({
  ...whole(...raised),
  reach: 'part',
})

test('what a whole reconciling found stands alone', () => {
  const before = whole(findings({ 'sign.unexplained': 2 }), silent('a'))
  expect(standingBehind(before, nothingFound)).toEqual(nothingFound)
})

test('while a log is away what only it shows stays, beside what the others show', () => {
  const before = whole(findings({ 'sign.unexplained': 2, 'sign.unproved': 1 }), silent('a'))
  const now = standingBehind(before, part(findings({ 'sign.unproved': 4 }), silent('b')))
  expect(now.raised).toEqual([
    findings({ 'sign.unexplained': 2, 'sign.unproved': 4 }),
    silent('a'),
    silent('b'),
  ])
  const again = standingBehind(now, part(findings({ 'sign.unproved': 1 })))
  expect(again.raised).toEqual(now.raised)
  expect(standingBehind(again, whole(silent('b'))).raised).toEqual([silent('b')])
})

test('where nothing was found before, what a part found stands', () => {
  expect(standingBehind(nothingFound, part(silent('a'))).raised).toEqual([silent('a')])
})
