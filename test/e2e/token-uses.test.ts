import { afterAll, beforeAll, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, deployAsk, ordersAsk, startServiceEmulator } from '../support/test-service.ts'

/** What a token was used for is known to the next process. */

let emulator: TestEmulator
const served: Served[] = []
beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(async () => {
  await Promise.all(served.map((one) => one.remove()))
  await emulator.stop()
})

async function serve(ledgerFile?: string): Promise<Served> {
  const one = serveFrom(emulator, {
    configuration: ({ issuers, ...file }) => ({
      ...file,
      issuers: { ...issuers, github: { ...required(issuers['github']), replay: 'once' } },
      ledger: ledgerFile === undefined ? file.ledger : { sqlite: ledgerFile },
    }),
  })
  served.push(one)
  await one.said('ready')
  return one
}

const jobToken = () =>
  required(emulator.issuers.find('github')).mint(
    mintOrderSchema.parse({ audience: cast.publicUrl }),
  )

async function statusOf(one: Served, route: string, ask: object, token: string): Promise<number> {
  const { status } = await fetch(`${await one.origin()}${route}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(ask),
  })
  return status
}

const assertionAt = (one: Served, token: string) => statusOf(one, '/v1/assertion', deployAsk, token)
const ordersAt = (one: Served, token: string) => statusOf(one, '/v1/token', ordersAsk, token)

test('a token that was good once is not good again after its process was killed', async () => {
  const [used, unused] = await Promise.all([jobToken(), jobToken()])
  const first = await serve()
  expect(await assertionAt(first, used)).toBe(200)
  first.signal('SIGKILL')
  await first.ended

  const next = await serve(first.ledgerFile)
  expect(await assertionAt(next, used)).toBe(401)
  expect(await assertionAt(next, unused)).toBe(200)
})

test('whoever comes with a used token first keeps nobody else from the same access token', async () => {
  const tokens = await Promise.all(Array.from({ length: 8 }, jobToken))
  const [used, unused] = [tokens.slice(0, 4), tokens.slice(4)]
  const first = await serve()
  for (const token of used) expect(await assertionAt(first, token)).toBe(200)
  first.signal('SIGTERM')
  await first.ended

  // It has neither the access token nor heard of a use, so the first one that asks would obtain it for all.
  const next = await serve(first.ledgerFile)
  const answers = await Promise.all([...used, ...unused].map((token) => ordersAt(next, token)))
  expect(answers).toEqual([401, 401, 401, 401, 200, 200, 200, 200])
})
