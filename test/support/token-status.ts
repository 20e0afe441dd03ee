import { expect } from 'vitest'
import type { TestEmulator } from './emulator.ts'
import { required } from './required.ts'
import type { Served } from './served.ts'
import { cast, ordersAsk } from './test-service.ts'

/** What the workload `fabrikam-orders` is answered with, when it asks as usual or for something else. */
export async function tokenStatus(
  emulator: TestEmulator,
  origin: string,
  otherwise: Partial<Record<keyof typeof ordersAsk, string>> = {},
): Promise<number> {
  const response = await askFor({ ...ordersAsk, ...otherwise }, emulator, origin)
  return response.status
}

/** Has the workload `fabrikam-orders` given its token. Returns the attempt. */
export async function obtainToken(
  emulator: TestEmulator,
  service: Pick<Served, 'origin'>,
): Promise<string> {
  const { status, headers } = await askFor(ordersAsk, emulator, await service.origin())
  expect(status).toBe(200)
  return required(headers.get('countersign-attempt') ?? undefined)
}

/** The whole answer is there: nobody has to read it for the connection to be free. */
async function askFor(ask: object, emulator: TestEmulator, origin: string): Promise<Response> {
  const response = await fetch(`${origin}/v1/token`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await emulator.token('fabrikam-orders', cast.publicUrl)}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(ask),
  })
  await response.arrayBuffer()
  return response
}

/** The hint of a changed file comes within a second; the look by the clock within fifteen. */
export const becomes = <Value>(ask: () => Promise<Value>, expected: Value): Promise<void> =>
  expect.poll(ask, { interval: 50 }).toBe(expected)
