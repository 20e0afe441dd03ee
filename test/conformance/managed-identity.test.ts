import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { faultSchema } from '../../src/emulator/faults.ts'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
})
afterAll(() => emulator.stop())

const client = new URL('../support/managed-identity-client.ts', import.meta.url).pathname
const vaultScope = 'https://vault.azure.net/.default'

interface ClientOutcome {
  readonly token?: string
  readonly expiresOnTimestamp?: number
  readonly error?: string
}

/** What `ManagedIdentityCredential` makes of the environment of a principal. */
async function askAs(
  principal: string,
  scope: string,
  { clientId, header }: { clientId?: string; header?: string } = {},
): Promise<ClientOutcome> {
  const identity = emulator.endpoints.managedIdentities[principal]
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [client, scope, ...(clientId === undefined ? [] : [clientId])],
    {
      env: {
        IDENTITY_ENDPOINT: identity?.endpoint,
        IDENTITY_HEADER: header ?? identity?.header,
      },
    },
  )
  return JSON.parse(stdout) as ClientOutcome
}

test('@azure/identity gets a token of its principal, and the vault accepts it', async () => {
  const { token = '', expiresOnTimestamp } = await askAs('countersign', vaultScope)
  expect(decodeJwt(token)).toMatchObject({
    oid: '51000000-0000-4000-8000-000000000001',
    idtyp: 'app',
  })
  expect(expiresOnTimestamp).toBeGreaterThan(Date.now() + 3_500_000)
  const answer = await emulator.ask(
    'contoso-hsm',
    'GET /certificates/partner-signing/?api-version=2025-07-01',
    { token },
  )
  expect(answer.status).toBe(200)
})

test('a principal without a role gets a token, and the vault refuses it', async () => {
  const { token = '' } = await askAs('bystander', vaultScope)
  const answer = await emulator.ask(
    'contoso-hsm',
    'GET /certificates/partner-signing/?api-version=2025-07-01',
    { token },
  )
  expect(answer.status).toBe(403)
})

test('a client that names its identity gets that one, and no other', async () => {
  const own = { clientId: '51000000-0000-4000-8000-0000000000c1' }
  expect(await askAs('countersign', vaultScope, own)).toHaveProperty('token')
  const other = { clientId: '51000000-0000-4000-8000-0000000000c2' }
  const { error } = await askAs('countersign', vaultScope, other)
  expect(error).toContain('No User Assigned or Delegated Managed Identity found')
})

test('a wrong header gets nothing', async () => {
  const { error } = await askAs('countersign', vaultScope, { header: 'guess' })
  expect(error).toContain('The identity header is missing or wrong.')
})

test('a resource that does not exist in the tenant is named in the refusal', async () => {
  const { error } = await askAs('countersign', 'https://nowhere.example/.default')
  expect(error).toContain('AADSTS500011')
})

test('one throttled answer is retried by the client', async () => {
  emulator.faults.add(faultSchema.parse({ at: 'managed-identity', kind: 'throttle' }))
  expect(await askAs('countersign', vaultScope)).toHaveProperty('token')
  expect(emulator.faults.list()).toEqual([])
})
