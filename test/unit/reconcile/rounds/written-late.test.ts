import { expect, test } from 'vitest'
import { LateEntries } from '../../../../src/reconcile/rounds/written-late.ts'

test('is about what was added, and says how far back that goes', () => {
  const late = new LateEntries()
  expect(late.fromMs).toBe(Infinity)
  late.add('one', 2_000)
  late.add('one', 3_000)
  late.add('other', 1_000)
  expect(late.fromMs).toBe(1_000)
  expect(['one', 'other', 'another'].map((name) => late.isAbout(name))).toEqual([true, true, false])
  expect([1_000, 2_000, 3_000, 4_000].map((atMs) => late.happenedAt(atMs))).toEqual([
    true,
    true,
    true,
    false,
  ])
})

test('where there are more than it keeps, any may be one of them', () => {
  const late = new LateEntries(2)
  late.add('one', 1_000)
  late.add('other', 2_000)
  late.add('one', 3_000)
  expect([late.isAbout('another'), late.happenedAt(4_000)]).toEqual([false, false])
  late.add('a third', 500)
  expect([late.isAbout('another'), late.happenedAt(4_000)]).toEqual([true, true])
  expect(late.fromMs).toBe(500)
})
