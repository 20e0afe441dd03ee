import { describe, expect, test } from 'vitest'
import { markOf, seenIn, type SeenFile } from '../../../src/reconcile/folder-mark.ts'
import { removalsAmong } from '../../../src/reconcile/removals.ts'

const path = '/mnt/logs'
const hourMs = 3_600_000
const dayMs = Date.parse('2026-11-22T00:00:00Z')
const startOf = (hour: number) => dayMs + hour * hourMs
const blob = (
  hour: number,
  changes: Partial<SeenFile> & { readonly vault?: string } = {},
): SeenFile => {
  const { vault = 'CONTOSO-HSM', ...rest } = changes
  const file = `${path}/c/VAULTS/${vault}/y=2026/m=11/d=22/h=${String(hour).padStart(2, '0')}/m=00/PT1H.json`
  return { file, state: `state-${hour}`, bytes: 100, ...rest }
}
const decidedUntilMs = startOf(9)

/** As from one look to the next, with the mark in between. */
function lookAt(
  before: readonly SeenFile[],
  files: readonly SeenFile[],
  decidedMs = decidedUntilMs,
) {
  const mark = JSON.parse(JSON.stringify(markOf(path, before))) as Record<string, string>
  return removalsAmong(path, seenIn(path, mark), files, decidedMs)
}
const hours = (...all: readonly number[]) => all.map((hour) => blob(hour))

describe('what a log has no longer', () => {
  test.each([
    [
      'nothing, when blobs come and grow',
      hours(4, 5),
      [...hours(4), blob(5, { bytes: 200 }), blob(6)],
    ],
    ['nothing, when the oldest go of what is decided', hours(4, 5, 6), hours(6)],
    [
      'nothing, when a blob is compressed',
      hours(4, 5),
      [blob(4), { ...blob(5, { bytes: 10 }), file: `${blob(5).file}.gz` }],
    ],
    [
      'nothing, when one grows old in each of two vaults',
      [...hours(4, 5), blob(7, { vault: 'OTHER' }), blob(8, { vault: 'OTHER' })],
      [blob(5), blob(8, { vault: 'OTHER' })],
    ],
  ])('is %s', (_, before, files) => {
    const { removed, returned, remembered } = lookAt(before, files)
    expect({ removed, returned }).toEqual({ removed: [], returned: [] })
    expect(remembered).toEqual(files)
  })

  test('is told how far it went of what grew old, and of nothing else', () => {
    expect(lookAt(hours(4, 5, 6), hours(6)).retiredUntilMs).toBe(startOf(6))
    expect(lookAt(hours(4, 5, 6), hours(4, 6))).not.toHaveProperty('retiredUntilMs')
    expect(lookAt(hours(4, 5), hours(5), startOf(4.5))).not.toHaveProperty('retiredUntilMs')
    const compressed = { ...blob(4, { bytes: 10 }), file: `${blob(4).file}.gz` }
    expect(lookAt(hours(4, 5), [compressed, blob(5)])).not.toHaveProperty('retiredUntilMs')
  })

  test.each([
    ['one in the middle', hours(4, 5, 6), hours(4, 6), 'gone', 5],
    ['one that is not decided', hours(8, 9), hours(9), 'gone', 8, startOf(8.5)],
    ['a blob that is shorter', hours(4, 5), [blob(4, { bytes: 99 }), blob(5)], 'shorter', 4],
    ['the youngest', hours(4, 5), hours(4), 'gone', 5],
  ] as const)('is %s', (_, before, files, is, hour, decidedMs = decidedUntilMs) => {
    const { removed } = lookAt(before, files, decidedMs)
    expect(removed).toMatchObject([
      {
        log: path,
        count: 1,
        fromMs: startOf(hour),
        toMs: startOf(hour),
        files: [{ file: blob(hour).file, is }],
      },
    ])
  })

  test('is all that a vault had, when nothing of it is left', () => {
    const quiet = [1, 2].map((hour) => blob(hour, { vault: 'QUIET' }))
    const before = [...hours(4, 5), ...quiet]
    expect(lookAt(before, hours(4, 5)).removed).toMatchObject([
      {
        count: 2,
        fromMs: startOf(1),
        toMs: startOf(2),
        files: quiet.map(({ file }) => ({ file })),
      },
    ])
    expect(lookAt(before, [...hours(4, 5), ...quiet.slice(1)]).removed).toEqual([])
  })

  test('is one group for each look, which stays until all of it is whole again', () => {
    const all = hours(1, 2, 3, 4, 5, 6, 7)
    const first = lookAt(all, hours(1, 3, 5, 6, 7))
    const [group] = first.removed
    expect(first.removed).toMatchObject([{ count: 2, fromMs: startOf(2), toMs: startOf(4) }])
    const second = lookAt(first.remembered, [
      ...hours(1, 3, 6),
      blob(7, { bytes: 1, state: 'cut' }),
    ])
    expect(second.removed).toHaveLength(2)
    expect(second.removed).toContainEqual(group)
    const other = second.removed.find((one) => one.group !== group?.group)
    const third = lookAt(second.remembered, [
      ...hours(1, 2, 3, 6),
      blob(7, { state: 'again' }),
      blob(5),
    ])
    expect(third.removed).toMatchObject([{ group: group?.group, count: 1, fromMs: startOf(4) }])
    expect(third.returned).toEqual([other?.group])
    const fourth = lookAt(third.remembered, all)
    expect(fourth).toEqual({ remembered: all, removed: [], returned: [group?.group] })
  })

  test('is a file of any name, which never grows old', () => {
    const log = { file: path, state: 'one', bytes: 100 }
    expect(lookAt([log], [log]).removed).toEqual([])
    expect(lookAt([log], [{ file: path, state: 'other', bytes: 99 }]).removed).toMatchObject([
      { count: 1, files: [{ file: path, is: 'shorter' }] },
    ])
    const named = { ...log, file: `${path}/other/PT1H.json` }
    const { removed } = lookAt([named, blob(5)], [blob(5)])
    expect(removed).toMatchObject([{ files: [{ file: named.file, is: 'gone' }] }])
    expect(removed[0]).not.toHaveProperty('fromMs')
  })
})
