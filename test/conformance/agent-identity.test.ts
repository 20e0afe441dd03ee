import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canHaveArcFolder, keepArcFolder } from '../support/arc-folder.ts'
import { startTestAgent, type TestAgent } from '../support/test-agent.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

/** Microsoft's own client, with nothing but the environment that the agent gives a program. */

let service: TestService
let agent: TestAgent

beforeAll(async () => {
  service = await startTestService()
  agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
  })
})
afterAll(async () => {
  await agent.stop()
  await service.stop()
})

const support = (file: string) => new URL(`../support/${file}`, import.meta.url).pathname

type ClientProgram =
  'managed-identity-client.ts' | 'default-credential-client.ts' | 'msal-managed-identity-client.ts'

interface ClientOutcome {
  /** What msal-node takes the environment for. */
  readonly source?: string
  readonly token?: string
  readonly expiresOnTimestamp?: number
  readonly error?: string
}

async function askAs(
  client: ClientProgram,
  args: readonly string[],
  more: Readonly<Record<string, string | undefined>> = {},
  asked = agent,
): Promise<ClientOutcome> {
  const { stdout } = await promisify(execFile)(process.execPath, [support(client), ...args], {
    env: { ...asked.agent.variables, ...more },
    timeout: 60_000,
  })
  return JSON.parse(stdout) as ClientOutcome
}

const expected = { aud: 'https://orders.example', tid: cast.fabrikam, appid: cast.eventsClientId }

test('ManagedIdentityCredential gets the token of the mapping', async () => {
  const { token = '', expiresOnTimestamp = 0 } = await askAs('managed-identity-client.ts', [
    cast.orders,
  ])
  expect(decodeJwt(token)).toMatchObject(expected)
  expect(Math.abs(expiresOnTimestamp / 1000 - (decodeJwt(token).exp ?? 0))).toBeLessThan(30)
})

test('DefaultAzureCredential finds the agent before anything else', async () => {
  const { token = '' } = await askAs('default-credential-client.ts', [cast.orders])
  expect(decodeJwt(token)).toMatchObject(expected)
})

test('a client that names the identity of a mapping gets it, and one that names another does not', async () => {
  const scope = 'https://northwind.orders.example/.default'
  const { token = '' } = await askAs('managed-identity-client.ts', [scope, cast.eventsClientId])
  expect(decodeJwt(token)).toMatchObject({ tid: cast.northwind })
  const other = await askAs('managed-identity-client.ts', [scope, cast.deployClientId])
  expect(other.error).toContain('Identity not found')
})

test('what is refused is said to the program in words that name the remedy', async () => {
  const unknown = await askAs('managed-identity-client.ts', ['https://nowhere.example/.default'])
  expect(unknown.error).toContain("none of those in the agent's file")
  const refused = await askAs('managed-identity-client.ts', ['https://vault.azure.net/.default'])
  expect(refused.error).toMatch(/not_granted.*Attempt [0-9a-f-]{36}/)
})

test('a client with another secret gets nothing', async () => {
  const { error } = await askAs('managed-identity-client.ts', [cast.orders], {
    IDENTITY_HEADER: 'guess',
  })
  expect(error).toContain('missing or wrong')
})

test('ManagedIdentityCredential gets it by the older variables alone, for ended at once', async () => {
  const { token = '', expiresOnTimestamp = 0 } = await askAs(
    'managed-identity-client.ts',
    [cast.orders],
    { IDENTITY_ENDPOINT: undefined, IDENTITY_HEADER: undefined },
  )
  expect(decodeJwt(token)).toMatchObject(expected)
  // It does not read the date that comes with it, and asks again each time.
  expect(expiresOnTimestamp).toBeLessThan(Date.now() + 60_000)
})

test('the request of SDKs that know the older variables alone, as it stands, gets the token too', async () => {
  const { MSI_ENDPOINT: endpoint = '', MSI_SECRET: secret = '' } = agent.agent.variables
  const url = `${endpoint}?api-version=2017-09-01&resource=https%3A%2F%2Forders.example`
  const answer = await agent.ask(`GET ${url.slice(agent.agent.origin.length)}`, { secret })
  expect(answer.status).toBe(200)
  expect(decodeJwt(String(answer.body['access_token']))).toMatchObject(expected)
  expect(answer.body['expires_on']).toMatch(/ \+00:00$/)
})

test.each([
  // msal, managed_identity.py: the second header is for Azure Automation.
  ['the Azure CLI, by MSAL for Python', { metadata: 'true' }],
  // Microsoft.Identity.Client, AppServiceManagedIdentitySource.cs.
  ['Azure PowerShell, by MSAL for .NET', {}],
])('the request of %s, as it stands, gets a token that it can use', async (_, more) => {
  const { IDENTITY_ENDPOINT: endpoint = '', IDENTITY_HEADER: secret = '' } = agent.agent.variables
  // Both have the slash of the resource's own URI behind it.
  const url = `${endpoint}?api-version=2019-08-01&resource=https%3A%2F%2Forders.example%2F`
  const path = `GET ${url.slice(agent.agent.origin.length)}`
  const { status, body } = await agent.ask(path, { 'x-identity-header': secret, ...more })
  expect(status).toBe(200)
  expect(decodeJwt(String(body['access_token']))).toMatchObject(expected)
  expect(body['expires_on']).toMatch(/^\d{10}$/)
  expect((await agent.ask(path, more)).status).toBe(401)
})

test.each(['imds', 'cloudShell'] as const)(
  'ManagedIdentityCredential gets the token of the mapping from %s',
  async (shape) => {
    const another = await startTestAgent({
      origin: service.origin,
      clock: service.clock,
      ownToken: await service.callerToken('fabrikam-orders'),
      file: (written) => ({ ...written, shapes: { [shape]: {} }, anyLocalProcess: 'accept' }),
    })
    const asked = await askAs('managed-identity-client.ts', [cast.orders], {}, another)
    expect(decodeJwt(asked.token ?? '')).toMatchObject(expected)
    const unknown = ['https://nowhere.example/.default']
    const refused = await askAs('managed-identity-client.ts', unknown, {}, another)
    expect(refused.token).toBeUndefined()
    await another.stop()
  },
)

// Azure's clients take keys of Arc from one folder of the system, which root alone can make.
describe.runIf(canHaveArcFolder)('Azure Arc, as root', () => {
  const northwindOrders = 'https://northwind.orders.example'
  let arcAgent: TestAgent

  beforeAll(async () => {
    const folder = keepArcFolder()
    arcAgent = await startTestAgent({
      origin: service.origin,
      clock: service.clock,
      ownToken: await service.callerToken('fabrikam-orders'),
      file: (written) => ({ ...written, shapes: { arc: {} } }),
    })
    return async () => {
      await arcAgent.stop()
      folder.release()
    }
  })

  const asked = (client: ClientProgram, args: readonly string[], more = {}) =>
    askAs(client, args, more, arcAgent)

  test('ManagedIdentityCredential gets the token of the mapping', async () => {
    const { token = '' } = await asked('managed-identity-client.ts', [cast.orders])
    expect(decodeJwt(token)).toMatchObject(expected)
  })

  test('ManagedIdentityApplication of msal-node gets the token of the mapping', async () => {
    const resource = 'https://orders.example'
    const { token = '', source } = await asked('msal-managed-identity-client.ts', [resource])
    expect(source).toBe('AzureArc')
    expect(decodeJwt(token)).toMatchObject(expected)
  })

  test.for([
    ['managed-identity-client.ts', `${northwindOrders}/.default`],
    ['msal-managed-identity-client.ts', northwindOrders],
  ] as const)('%s gets the identity that it names, and no other', async ([client, scope]) => {
    const { token = '' } = await asked(client, [scope, cast.eventsClientId])
    expect(decodeJwt(token)).toMatchObject({ tid: cast.northwind, appid: cast.eventsClientId })
    const other = await asked(client, [scope, cast.deployClientId])
    expect(other.token).toBeUndefined()
    expect(other.error).toContain('Identity not found')
  })

  test.for([
    ['managed-identity-client.ts', 'https://nowhere.example/.default'],
    ['msal-managed-identity-client.ts', 'https://nowhere.example'],
  ] as const)('%s is told which resource is none of the mapping', async ([client, scope]) => {
    const { token, error } = await asked(client, [scope])
    expect(token).toBeUndefined()
    expect(error).toContain("none of those in the agent's file")
  })
})
