import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { readWorld, defaultWorldFile, type World } from '../../src/emulator/world.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { holdBack, signing } from '../support/faults.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  type ConfigurationFile,
  serviceWorld,
  startServiceEmulator,
} from '../support/test-service.ts'
import { tokenStatus } from '../support/token-status.ts'

/**
 * Three replicas of `countersign serve` on one PostgreSQL, whose application gets another certificate: for a while
 * some have it and some have the one before.
 */

/** The default world, in which Entra knows both certificates of each application. */
const world: World = (() => {
  const base = readWorld(defaultWorldFile)
  return {
    ...serviceWorld,
    applications: base.applications.map((application) => ({
      ...application,
      certificates: base.applications.flatMap(({ certificates }) => certificates),
    })),
  }
})()

let emulator: TestEmulator
let server: TestPostgres
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(world), startPostgres()])
})
afterAll(() => Promise.all([emulator.stop(), server.stop()]))

let url: string
let replicas: readonly Served[] = []
beforeEach(async () => {
  url = await server.createDatabase()
  replicas = Array.from({ length: 3 }, () => serveFrom(emulator, { configuration: sharing }))
  await Promise.all(replicas.map((one) => one.said('ready')))
})
afterEach(async () => {
  await Promise.all(replicas.map((one) => one.remove()))
  emulator.faults.clear()
  await emulator.control('POST /vaults/contoso-hsm/certificates/partner-signing/enable')
})

const sharing = (file: ConfigurationFile): ConfigurationFile => ({
  ...file,
  ledger: { postgres: url },
  tokenCache: {
    wrappingKey: {
      vault: required(emulator.endpoints.vaults['contoso-hsm']),
      name: 'token-wrapping',
    },
  },
})

/** As an editor saves, and as an operator says that it did. */
async function replaceCertificate(replica: Served): Promise<void> {
  const file = join(dirname(replica.ledgerFile), 'countersign.yaml')
  const { applications, ...more } = parse(readFileSync(file, 'utf8')) as ConfigurationFile
  const events = { ...required(applications['events']), certificate: 'deploy' }
  const changed = { ...more, applications: { ...applications, events } }
  writeFileSync(`${file}.new`, stringify(changed, { aliasDuplicateObjects: false }))
  renameSync(`${file}.new`, file)
  replica.signal('SIGHUP')
  expect(await replica.said('configuration loaded')).toMatchObject({
    changed: ['application events'],
  })
}

const ask = async (replica: Served) =>
  tokenStatus(emulator, await replica.origin(), { tenant: cast.fabrikam })

const askEach = async () => {
  const statuses: number[] = []
  for (const replica of replicas) statuses.push(await ask(replica))
  return statuses
}

/** Names of the keys that have signed, by the vault's own log. */
async function signedBy(act: () => Promise<unknown>): Promise<readonly string[]> {
  const records = await emulator.recordsOf(act)
  return records
    .filter(
      ({ operationName, properties }) =>
        operationName === 'KeySign' && properties.httpStatusCode === 200,
    )
    .map(({ properties }) => /\/keys\/([\w-]+)/.exec(String(properties['requestUri']))?.[1] ?? '')
}

const sharedKeys = async () => {
  const rows = await query(url, 'SELECT key_id FROM countersign.shared_token')
  return rows.map((row) => /\/keys\/([\w-]+)/.exec(String(row['key_id']))?.[1])
}

test('costs the fleet one signature, however many reload after the first', async () => {
  expect(await signedBy(askEach)).toEqual(['partner-signing'])
  await expect.poll(sharedKeys).toEqual(['partner-signing'])
  const signed = await signedBy(async () => {
    for (const replica of replicas) {
      await replaceCertificate(replica)
      await expect.poll(sharedKeys).not.toContain('partner-signing')
      expect(await askEach()).toEqual([200, 200, 200])
      await expect.poll(sharedKeys).toEqual(['deploy-signing'])
    }
  })
  expect(signed).toEqual(['deploy-signing'])
})

test('lets a replica that has it serve, although one that has it not fails for the key before', async () => {
  const [before, behind] = [required(replicas[0]), required(replicas[1])]
  await replaceCertificate(behind)
  await emulator.control('POST /vaults/contoso-hsm/certificates/partner-signing/disable')
  const held = holdBack(emulator, signing)
  const signed = await signedBy(async () => {
    const failing = ask(before)
    await held.reached()
    const waiting = ask(behind)
    await expect.poll(() => joinedFlights(behind)).toBe(1)
    held.letGo()
    expect(await failing).toBe(503)
    expect(await waiting).toBe(200)
  })
  expect(signed).toEqual(['deploy-signing'])
})

async function joinedFlights(replica: Served): Promise<number> {
  const metrics = await (await fetch(`${await replica.origin()}/metrics`)).text()
  const counted = /^countersign_shared_tokens_total\{outcome="joined"\} (\d+)$/m.exec(metrics)
  return Number(counted?.[1] ?? 0)
}
