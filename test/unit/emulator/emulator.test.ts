import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startEmulator } from '../../../src/emulator/emulator.ts'
import { defaultWorldFile, readWorld, worldSchema } from '../../../src/emulator/world.ts'

let stateFolder: string

beforeEach(() => {
  stateFolder = mkdtempSync(join(tmpdir(), 'emulator-'))
})
afterEach(() => {
  rmSync(stateFolder, { recursive: true })
})

const tenants = [{ name: 'contoso', id: 'c0c0c0c0-0000-4000-8000-000000000001' }]

const openServers = () =>
  process.getActiveResourcesInfo().filter((resource) => resource === 'TCPServerWrap').length

/** Polled, because a handle goes a moment after its server has closed. */
const allServersGone = () => expect.poll(openServers).toBe(0)

test('starts the world that is built in, where no two keys are the same', async () => {
  const emulator = await startEmulator({ world: readWorld(defaultWorldFile), stateFolder })
  const keys = emulator.vaults.flatMap(({ store }) =>
    [...store.list(), ...store.keys.list()].map(
      ({ versions }) => versions[0]?.publicKey.export({ format: 'jwk' }).n,
    ),
  )
  await emulator.close()
  expect(emulator.vaults.map(({ name }) => name)).toEqual([
    'contoso-hsm',
    'contoso-spare',
    'fabrikam-settings',
  ])
  expect(new Set(keys).size).toBe(12)
})

test('closing leaves no server and no certificate authority behind', async () => {
  await allServersGone()
  const emulator = await startEmulator({ world: worldSchema.parse({ tenants }), stateFolder })
  expect(openServers()).toBeGreaterThan(0)
  expect(existsSync(emulator.endpoints.caFile)).toBe(true)
  await emulator.close()
  await allServersGone()
  expect(existsSync(emulator.endpoints.caFile)).toBe(false)
})

test.each([
  [
    'an application with a certificate that no vault has',
    { applications: [applicationWith('nowhere/nothing')] },
    "application events: no vault has certificate 'nowhere/nothing'",
  ],
  [
    'a role for nobody',
    {
      vaults: [
        { name: 'vault', roleAssignments: [{ principal: 'ghost', actions: ['keys/read'] }] },
      ],
    },
    "vault vault: role assignment for unknown principal 'ghost'",
  ],
  [
    'a key that is called like a certificate',
    { vaults: [{ name: 'vault', certificates: [{ name: 'both' }], keys: [{ name: 'Both' }] }] },
    "vault vault: two of its keys are called 'Both'; a certificate has one too",
  ],
  [
    'a vault in no tenant',
    { vaults: [{ name: 'vault', tenant: 'atlantis' }] },
    "vault vault: unknown tenant 'atlantis'",
  ],
])('refuses %s, and leaves nothing running', async (_, part, message) => {
  const world = worldSchema.parse({ tenants, ...part })
  await expect(startEmulator({ world, stateFolder })).rejects.toThrow(message)
  await allServersGone()
})

function applicationWith(certificate: string) {
  return {
    name: 'events',
    clientId: '11111111-0000-4000-8000-000000000001',
    objectId: '11111111-0000-4000-8000-0000000000a1',
    homeTenant: 'contoso',
    certificates: [certificate],
  }
}

test('refuses a port that is taken, and leaves nothing running', async () => {
  const world = worldSchema.parse({ tenants, vaults: [{ name: 'first' }] })
  const first = await startEmulator({ world, stateFolder })
  const port = Number(new URL(first.endpoints.vaults['first'] ?? '').port)
  const taken = worldSchema.parse({ tenants, vaults: [{ name: 'second', port }] })
  const elsewhere = join(stateFolder, 'second')
  await expect(startEmulator({ world: taken, stateFolder: elsewhere })).rejects.toThrow(
    /EADDRINUSE/,
  )
  await first.close()
  await allServersGone()
})
