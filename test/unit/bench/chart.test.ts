import { describe, expect, test } from 'vitest'
import { chartOf, escaped, logScale, niceCeiling } from '../../../bench/chart.ts'
import { type Curve, readable } from '../../../bench/curve.ts'

const curve: Curve = {
  name: 'tenants',
  title: 'Tenants in the cache',
  xTitle: 'tenants',
  xs: [1, 10, 100, 1000],
  series: [
    { title: 'answers per second', values: [20_311, 20_000, 19_000, 17_063] },
    { title: 'CPU of the service, µs per answer', values: [41.24, 42, 44, 50] },
  ],
}

describe('a chart', () => {
  const drawn = chartOf(curve)

  test('names what it shows, and every value of it', () => {
    const texts = [...drawn.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, words]) => words)
    expect(texts).toEqual(
      expect.arrayContaining([
        'Tenants in the cache',
        'tenants',
        'answers per second',
        'CPU of the service, µs per answer',
        ...['1', '10', '100', '1,000'],
        ...['20,300', '17,100', '41.2', '50'],
      ]),
    )
  })

  test('has a point for each value, all of them within it and none on another', () => {
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(drawn) ?? []
    const points = [...drawn.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => ({
      x: Number(x),
      y: Number(y),
    }))
    expect(points).toHaveLength(8)
    for (const { x, y } of points) {
      expect(x).toBeLessThan(Number(width))
      expect(y).toBeLessThan(Number(height))
    }
    expect(new Set(points.map(({ x, y }) => `${x} ${y}`)).size).toBe(8)
  })

  test('has a background of its own, and no number that is none', () => {
    expect(drawn).toMatch(/<rect [^>]*fill="#ffffff"/)
    expect(drawn).not.toMatch(/NaN|Infinity|undefined/)
  })

  test('shows any words as they are', () => {
    const title = `<b>"R&D's"</b>`
    const named = chartOf({ ...curve, title })
    expect(named).not.toContain('<b>')
    expect(named).toContain('&lt;b&gt;&quot;R&amp;D&#39;s&quot;&lt;/b&gt;')
  })

  test('can be of one point, and of nothing but zeros', () => {
    const flat = chartOf({ ...curve, xs: [3], series: [{ title: 'none', values: [0] }] })
    expect(flat).not.toMatch(/NaN|Infinity/)
    expect(flat.match(/<circle/g)).toHaveLength(1)
  })

  test.each([
    ['no points', { xs: [], series: [{ title: 'none', values: [] }] }],
    ['no series', { series: [] }],
    ['an x of nothing', { xs: [0, 1, 2, 3] }],
    ['an x that does not rise', { xs: [1, 10, 10, 100] }],
    ['fewer values than points', { series: [{ title: 'few', values: [1, 2, 3] }] }],
    ['a value that is no number', { series: [{ title: 'odd', values: [1, 2, Number.NaN, 4] }] }],
    ['a negative value', { series: [{ title: 'odd', values: [1, 2, -3, 4] }] }],
  ])('refuses %s', (_, part) => {
    expect(() => chartOf({ ...curve, ...part })).toThrow(RangeError)
  })
})

test('a logarithmic scale puts powers of ten at equal distances', () => {
  const at = logScale([1, 10, 100], 0, 200)
  expect([1, 10, 100].map(at)).toEqual([0, 100, 200])
  expect(logScale([7], 0, 200)(7)).toBe(100)
})

test.each([
  [0, 1],
  [0.031, 0.04],
  [1, 1],
  [3, 4],
  [9.1, 10],
  [20_311, 25_000],
])('the axis of values up to %d ends at %d', (value, ceiling) => {
  expect(niceCeiling(value)).toBeCloseTo(ceiling)
})

test.each([
  [20_311, '20,300'],
  [0.0412345, '0.0412'],
  [100_000, '100,000'],
  [0, '0'],
])('%d is read as %s', (value, words) => {
  expect(readable(value)).toBe(words)
})

test('words without special characters stay as they are', () => {
  expect(escaped('µs per answer')).toBe('µs per answer')
})
