import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { createTokenBytes, type Place } from '../../../src/token-cache/token-bytes.ts'

describe('texts outside of the heap', () => {
  test('are read as they were put, whatever else is put and erased meanwhile', () => {
    const lengths = fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom(127, 128, 129, 1100, 300_000),
    )
    const happenings = fc.array(fc.record({ length: lengths, erases: fc.boolean() }), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(happenings, (all) => {
        const bytes = createTokenBytes()
        const kept: { readonly place: Place; readonly text: string }[] = []
        for (const [index, { length, erases }] of all.entries()) {
          const text = String.fromCharCode(33 + (index % 90)).repeat(length)
          kept.push({ place: bytes.put(text), text })
          if (erases)
            bytes.erase((kept.splice(index % kept.length, 1)[0] as (typeof kept)[0]).place)
          for (const one of kept) expect(bytes.read(one.place)).toBe(one.text)
        }
      }),
    )
  })

  test('are gone when they are erased', () => {
    const bytes = createTokenBytes()
    const place = bytes.put('a secret')
    bytes.erase(place)
    expect(bytes.read(place)).toBe('\0'.repeat('a secret'.length))
  })

  test('take the memory of those that were erased', () => {
    const bytes = createTokenBytes()
    const first = bytes.put('x'.repeat(1000))
    bytes.erase(first)
    const second = bytes.put('y'.repeat(1010))
    expect(second).toMatchObject({ slab: first.slab, offset: first.offset })
  })

  test('leave no more memory behind than one slab, however many there were', () => {
    const bytes = createTokenBytes()
    const places = Array.from({ length: 1000 }, () => bytes.put('x'.repeat(1000)))
    const slabs = new Set(places.map(({ slab }) => slab))
    expect(slabs.size).toBeGreaterThan(3)
    for (const place of places) bytes.erase(place)
    const again = Array.from({ length: 1000 }, () => bytes.put('x'.repeat(1000)))
    expect(again.filter(({ slab }) => slabs.has(slab)).length).toBeLessThan(1000 / slabs.size + 250)
    expect(again.filter(({ slab }) => slabs.has(slab)).length).toBeGreaterThan(0)
  })
})
