import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createBudgetTelemetry } from '../../../src/telemetry/fleet-telemetry.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

test('says that units cannot be leased once a minute, and once that they can be again', () => {
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(line) })
  const clock = fixedClock(1000)
  const { traded } = createBudgetTelemetry(logger, () => clock.monotonicMs())
  const said = () =>
    lines.splice(0).map((line) => (JSON.parse(line) as { readonly msg: string }).msg)

  traded('answered')
  expect(said()).toEqual([])
  traded(new Error('away'))
  traded(new Error('away'))
  expect(said()).toEqual(['no units of the budgets of vaults can be leased now'])
  traded('answered')
  traded('answered')
  expect(said()).toEqual(['units of the budgets of vaults are leased again'])
  traded(new Error('away'))
  traded('answered')
  expect(said()).toEqual([])
  clock.advance(60)
  traded(new Error('away'))
  expect(said()).toHaveLength(1)
})
