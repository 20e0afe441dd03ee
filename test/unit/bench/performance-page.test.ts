import { expect, test } from 'vitest'
import { chartFile, performancePage } from '../../../bench/performance-page.ts'

const curve = {
  name: 'tenants',
  title: 'Tenants in the cache',
  xTitle: 'tenants',
  xs: [1, 1000],
  series: [{ title: 'answers per second', values: [20_311, 17_063] }],
}

test('shows rows with their bars, and each curve as picture and table', () => {
  const page = performancePage({
    version: '1.2.3',
    machine: { node: 'v26.0.0', cpus: 2, model: 'EPYC' },
    rows: [
      { measure: 'start to ready', value: 1.5, unit: 's', bar: '≤ 1 s', met: false },
      { measure: 'bare', value: 45_903, unit: '/s' },
    ],
    curves: [curve],
  })
  expect(page).toContain('Version 1.2.3, Node v26.0.0, 2 × EPYC')
  expect(page).toContain('| start to ready | 1.5 s | ≤ 1 s | **missed** |')
  expect(page).toContain('| bare | 45903 /s |  |  |')
  expect(page).toContain('![Tenants in the cache: answers per second](performance-tenants.svg)')
  expect(page).toContain('| tenants | answers per second |')
  expect(page).toContain('| 1,000 | 17,100 |')
  expect(chartFile(curve)).toBe('performance-tenants.svg')
})
