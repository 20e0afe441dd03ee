import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { withStandby, worldWithStandby } from '../support/standby.ts'
import { cast, type ConfigurationFile, startServiceEmulator } from '../support/test-service.ts'

/**
 * Three replicas of `countersign serve` on one PostgreSQL, and two vaults, one of which goes away. Each
 * replica finds that out by itself; the chain tells of all of them.
 */

const customers = 12

let emulator: TestEmulator
let server: TestPostgres
let url: string
let callerToken: string
let replicas: readonly Served[] = []

beforeAll(async () => {
  ;[emulator, server] = await Promise.all([
    startServiceEmulator(worldWithStandby(worldWithCustomers(customers))),
    startPostgres(),
  ])
  callerToken = await emulator.token('fabrikam-orders', cast.publicUrl)
  url = await server.createDatabase()
  replicas = Array.from({ length: 3 }, () =>
    serveFrom(emulator, { configuration, grants: grantsForCustomers }),
  )
  await Promise.all(replicas.map((one) => one.said('ready')))
})
afterAll(async () => {
  await Promise.all(replicas.map((one) => one.remove()))
  await Promise.all([emulator.stop(), server.stop()])
})

const configuration = (file: ConfigurationFile): ConfigurationFile => ({
  ...withStandby(emulator)(forCustomers(customers)(file)),
  ledger: { postgres: url },
})

/** A token of a customer that nobody has asked for yet costs one signature. */
async function ask(replica: Served, customer: number): Promise<number> {
  const response = await fetch(`${await replica.origin()}/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${callerToken}` },
    body: JSON.stringify({
      application: 'events',
      tenant: customerAt(customer),
      scope: cast.orders,
    }),
  })
  await response.arrayBuffer()
  return response.status
}

const askEach = (firstCustomer: number) =>
  Promise.all(replicas.map((replica, index) => ask(replica, firstCustomer + index)))

const entriesOf = async (kind: string) =>
  (await verifiedEntriesAt(url)).filter((entry) => entry.kind === kind)

test('when a vault goes away, each replica of a fleet goes over to the standby, and loses nothing', async () => {
  expect(await askEach(0)).toEqual([200, 200, 200])
  expect(await entriesOf('certificate.switched')).toEqual([])

  const primary = required(emulator.vaults.find(({ name }) => name === 'contoso-hsm'))
  await primary.leave()
  expect(await askEach(3)).toEqual([200, 200, 200])
  const switched = { from: 'primary', to: 'standby', reason: 'SIGNER_UNAVAILABLE' }
  expect(await entriesOf('certificate.switched')).toMatchObject([switched, switched, switched])

  await primary.comeBack()
  expect(await askEach(6)).toEqual([200, 200, 200])
  const made = (await entriesOf('signature.made')).length
  const signed = emulator.vaultLog
    .records()
    .filter(
      ({ operationName, properties }) =>
        operationName === 'KeySign' && properties.httpStatusCode === 200,
    )
  expect([made, signed.length]).toEqual([9, 9])
})
