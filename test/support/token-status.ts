import { expect } from 'vitest'
import type { TestEmulator } from './emulator.ts'
import { cast, ordersAsk } from './test-service.ts'

/** What the workload `fabrikam-orders` is answered with, when it asks as usual or for something else. */
export async function tokenStatus(
  emulator: TestEmulator,
  origin: string,
  otherwise: Partial<Record<keyof typeof ordersAsk, string>> = {},
): Promise<number> {
  const response = await fetch(`${origin}/v1/token`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await emulator.token('fabrikam-orders', cast.publicUrl)}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ ...ordersAsk, ...otherwise }),
  })
  return response.status
}

/** The hint of a changed file comes within a second; the look by the clock within fifteen. */
export const becomes = <Value>(ask: () => Promise<Value>, expected: Value): Promise<void> =>
  expect.poll(ask, { interval: 50 }).toBe(expected)
