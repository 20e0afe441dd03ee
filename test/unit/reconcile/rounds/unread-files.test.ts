import { expect, test } from 'vitest'
import type { UnreadPlace } from '../../../../src/reconcile/log-file.ts'
import { unreadAfter, UnreadFiles } from '../../../../src/reconcile/rounds/unread-files.ts'

const dayMs = 24 * 60 * 60_000
const place = (file: string, line: number): UnreadPlace => ({
  kind: 'unread',
  file,
  line,
  why: `line ${line}`,
})
const found = (file: string, count = 1) => ({
  of: 'vault' as const,
  file,
  count,
  line: 1,
  why: 'line 1',
})

test('a file that is read twice counts once, by its first place', () => {
  const unread = new UnreadFiles()
  for (let reading = 0; reading < 2; reading += 1) {
    const take = unread.ofReading('vault')
    for (const line of [1, 7]) take(place('a', line))
    take(place('b', 3))
  }
  expect(unread.files()).toEqual([found('a', 2), { ...found('b'), line: 3, why: 'line 3' }])
})

test('a file stays that was not read again, until it changes or three months are over', () => {
  const first = unreadAfter([], [found('a'), found('b')], new Set(), 0)
  const readAgain = unreadAfter(first, [found('a', 2)], new Set(['a']), dayMs)
  expect(readAgain).toEqual([
    { ...found('b'), readAtMs: 0 },
    { ...found('a', 2), readAtMs: dayMs },
  ])
  expect(unreadAfter(readAgain, [], new Set(['a']), 2 * dayMs)).toEqual([
    { ...found('b'), readAtMs: 0 },
  ])
  expect(unreadAfter(first, [], new Set(), 89 * dayMs)).toHaveLength(2)
  expect(unreadAfter(first, [], new Set(), 90 * dayMs)).toEqual([])
})
