import { randomUUID } from 'node:crypto'
import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { Column, IdIndex } from '../../../src/reconcile/id-index.ts'

describe('an index of ids', () => {
  it('finds what a map finds, whatever the ids are', () => {
    const id = fc.oneof(
      fc.uuid(),
      fc.string({ maxLength: 40 }),
      fc
        .integer({ min: 0, max: 50 })
        .map((n) => `0198c0de-0000-4000-8000-${String(n).padStart(12, '0')}`),
    )
    fc.assert(
      fc.property(fc.array(id), fc.array(id), (added, asked) => {
        const index = new IdIndex()
        const map = new Map<string, number>()
        for (const one of added) {
          const key = one.toLowerCase()
          const expected = map.has(key) ? undefined : map.size
          if (expected !== undefined) map.set(key, expected)
          expect(index.add(key)).toBe(expected)
        }
        expect(index.size).toBe(map.size)
        for (const one of [...added, ...asked]) {
          expect(index.find(one.toLowerCase())).toBe(map.get(one.toLowerCase()))
        }
      }),
    )
  })

  it('grows, and takes a GUID for the same in both cases', () => {
    const ids = Array.from({ length: 200_000 }, () => randomUUID())
    const index = new IdIndex()
    for (const id of ids) index.add(id)
    expect(ids.every((id, ordinal) => index.find(id.toUpperCase()) === ordinal)).toBe(true)
    expect(index.find(randomUUID())).toBeUndefined()
  })
})

describe('a column', () => {
  it('keeps what it was given, and has 0 elsewhere', () => {
    const column = new Column(Int32Array)
    column.set(200_000, -7)
    expect([column.get(0), column.get(200_000), column.get(200_001), column.get(900_000)]).toEqual([
      0, -7, 0, 0,
    ])
  })
})
