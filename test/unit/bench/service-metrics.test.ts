import { expect, test } from 'vitest'
import { parseMetrics } from '../../../bench/service-metrics.ts'

test('adds up what labels tell apart, and reads no comment', () => {
  const metrics = parseMetrics(`# HELP waiting 7 of them
# TYPE waiting gauge
waiting{certificate="a",place="primary"} 2
waiting{certificate="b",place="standby"} 3
bytes_total 1.5e+3
`)
  expect([...metrics]).toEqual([
    ['waiting', 5],
    ['bytes_total', 1500],
  ])
})
