import { fc } from '../../../support/drawn-cases.ts'
import { expect, test } from 'vitest'
import { createEmulatorClock } from '../../../../src/emulator/emulator-clock.ts'
import { createSeededRandom } from '../../../../src/emulator/random.ts'
import {
  createDelivery,
  deliverySchema,
  type DeliveryDials,
} from '../../../../src/emulator/vault-log/delivery.ts'
import type { VaultRecord } from '../../../../src/emulator/vault-log/record.ts'
import { vaultRecord } from '../../../support/vault-records.ts'

function deliveryWith(dials: Partial<DeliveryDials>, seed = 1) {
  const arrived: string[] = []
  const clock = createEmulatorClock()
  const delivery = createDelivery({
    dials: deliverySchema.parse(dials),
    clock,
    random: createSeededRandom(seed),
    deliver: ({ correlationId }: VaultRecord) => {
      arrived.push(correlationId)
    },
  })
  return { arrived, clock, delivery }
}

const accept = ({ delivery }: ReturnType<typeof deliveryWith>, ids: readonly string[]) => {
  for (const id of ids) delivery.accept(vaultRecord({ correlationId: id }))
}
const hundred = Array.from({ length: 100 }, (_, i) => String(i))

test('is immediate, in order and once by default', () => {
  const one = deliveryWith({})
  accept(one, hundred)
  expect(one.arrived).toEqual(hundred)
  expect(one.delivery.heldBack()).toBe(0)
})

test('holds records back until they are due by the clock of the emulator', () => {
  const one = deliveryWith({ lateSecondsMax: 1000 })
  accept(one, hundred)
  expect(one.arrived).toEqual([])
  one.clock.shift(500)
  one.delivery.deliverDue()
  expect(one.arrived.length).toBeGreaterThan(30)
  expect(one.arrived.length).toBeLessThan(70)
  one.clock.shift(500)
  one.delivery.deliverDue()
  expect(new Set(one.arrived)).toEqual(new Set(hundred))
  one.delivery.close()
})

test('delivers by itself when the time has come', async () => {
  const one = deliveryWith({ lateSecondsMax: 0.05 })
  accept(one, hundred)
  await expect.poll(() => one.arrived.length).toBe(100)
  expect(one.delivery.heldBack()).toBe(0)
})

test('is repeated by its seed, and differs with another', () => {
  const run = (seed: number) => {
    const one = deliveryWith({ disorder: 0.5, duplicates: 0.5 }, seed)
    accept(one, hundred)
    one.delivery.flush()
    return one.arrived
  }
  expect(run(5)).toEqual(run(5))
  expect(run(5)).not.toEqual(run(6))
})

test('loses nothing and invents nothing, whatever the dials', () => {
  fc.assert(
    fc.property(
      fc.record({
        lateSecondsMax: fc.constantFrom(0, 1, 1200),
        disorder: fc.double({ min: 0, max: 0.99, noNaN: true }),
        duplicates: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.integer(),
      fc.nat(200),
      (dials, seed, count) => {
        const one = deliveryWith(dials, seed)
        const ids = Array.from({ length: count }, (_, i) => String(i))
        accept(one, ids)
        one.delivery.flush()
        expect(new Set(one.arrived)).toEqual(new Set(ids))
        expect(one.arrived.length).toBeLessThanOrEqual(2 * count)
        expect(one.delivery.heldBack()).toBe(0)
        one.delivery.close()
      },
    ),
    { numRuns: 50 },
  )
})
