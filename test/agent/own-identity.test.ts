import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IncomingMessage } from 'node:http'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { CommandError } from '../../src/cli/command-error.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import { startMadeUpServer } from '../support/made-up-server.ts'
import { required } from '../support/required.ts'
import { type AgentFile, startTestAgent, type TestAgent } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  startTestService,
  startServiceEmulator,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder, createLoopbackTlsFiles } from '../support/tls-clients.ts'
import { trustByDefault } from '../support/default-trust.ts'

/** How the agent proves to the service for whom it asks. */

const orders = 'https://orders.example'
const exportUri = 'spiffe://fabrikam.example/billing/export'
const files = createLoopbackTlsFiles()

let service: TestService
let agent: TestAgent | undefined

beforeAll(async () => {
  const emulator = await startServiceEmulator()
  trustByDefault(files.ca)
  service = await startTestService({
    emulator,
    configuration: (file) => ({
      ...files.listening(file),
      issuers: {
        ...file.issuers,
        contoso: { kind: 'entra', tenants: [cast.contoso] },
        edge: { kind: 'mtls', caFile: emulator.endpoints.clientCaFile, identity: 'uri' },
      },
    }),
    grants: [
      ...defaultGrants,
      {
        grant: 'by-certificate',
        caller: { issuer: 'edge', claims: { uri: exportUri } },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
      {
        grant: 'by-managed-identity',
        caller: { issuer: 'contoso', claims: { oid: cast.serviceObjectId } },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
    ],
  })
})
afterAll(async () => {
  await files.remove()
  await service.stop()
  await service.emulator.stop()
})
afterEach(async () => {
  await agent?.stop()
})

const start = async (
  identity: AgentFile['identity'],
  more: Partial<Parameters<typeof startTestAgent>[0]> = {},
) => {
  agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    file: (written) => ({
      ...written,
      service: { url: service.origin, audience: cast.publicUrl },
      identity,
    }),
    ...more,
  })
  return agent
}

const expectGiven = async (from: TestAgent) => {
  const { status, body } = await from.askFor(orders)
  expect(status, JSON.stringify(body)).toBe(200)
  expect(decodeJwt(String(body['access_token']))).toMatchObject({ aud: orders, tid: cast.fabrikam })
}

describe('a token file', () => {
  const tokenFile = { kind: 'token-file', file: './own-token' } as const

  test('is read at each use', async () => {
    const started = await start(tokenFile, { ownToken: 'not.yet.one' })
    expect((await started.askFor(orders)).status).toBe(403)
    writeFileSync(started.ownTokenFile, `${await service.callerToken('fabrikam-orders')}\n`)
    await expectGiven(started)
  })

  test('with a token that has expired is said to prove nobody', async () => {
    const expired = await service.callerToken('github', { wrong: 'expired' })
    const { status, body } = await (await start(tokenFile, { ownToken: expired })).askFor(orders)
    expect(status).toBe(403)
    expect(body['message']).toMatch(
      /^Countersign does not take the workload's own identity for proven \(caller_not_proven\)\./,
    )
  })

  test.for([
    ['gone', undefined],
    ['empty', ''],
    ['half-written', 'eyJhbGciOiJSUzI1NiJ9.eyJpc3Mi'],
    ['something else', 'token: eyJ.a.b'],
  ] as const)('that is %s is nobody’s yet, and is told to the log alone', async ([, text]) => {
    const started = await start(tokenFile)
    if (text === undefined) rmSync(started.ownTokenFile)
    else writeFileSync(started.ownTokenFile, text)
    const { status, body } = await started.askFor(orders)
    expect([status, body['message']]).toEqual([
      503,
      "The workload's own identity cannot be had: the agent's log says why.",
    ])
    expect(started.failures).toEqual(['WORKLOAD_IDENTITY_UNAVAILABLE'])
    writeFileSync(started.ownTokenFile, await service.callerToken('fabrikam-orders'))
    await expectGiven(started)
  })
})

describe('a job of GitHub Actions', () => {
  const jobOf = (order = {}) =>
    required(service.emulator.issuers.find('github')?.jobs).start(mintOrderSchema.parse(order))
  const environmentOf = ({ requestUrl, requestToken }: ReturnType<typeof jobOf>) => ({
    githubActions: { requestUrl, requestToken: new Secret(requestToken) },
  })

  test('asks its platform for a token that is meant for the service', async () => {
    const environment = environmentOf(jobOf())
    await expectGiven(await start({ kind: 'github-actions' }, { environment }))
  })

  test('gets nothing for one that is meant for somebody else', async () => {
    const environment = environmentOf(jobOf())
    const started = await start(
      { kind: 'github-actions' },
      {
        environment,
        file: (written) => ({ ...written, identity: { kind: 'github-actions' } }),
      },
    )
    expect((await started.askFor(orders)).status).toBe(403)
  })

  test('gets nothing when its platform does not know it', async () => {
    const environment = environmentOf({ ...jobOf(), requestToken: 'guess' })
    const started = await start({ kind: 'github-actions' }, { environment })
    expect((await started.askFor(orders)).status).toBe(503)
    expect(started.failures).toEqual(['WORKLOAD_IDENTITY_UNAVAILABLE'])
  })

  test('without the right to ask for tokens starts no agent', async () => {
    agent = undefined
    await expect(start({ kind: 'github-actions' })).rejects.toThrow(CommandError)
    const requestUrl = 'http://runner.example/token'
    const environment = { githubActions: { requestUrl, requestToken: new Secret('x') } }
    await expect(start({ kind: 'github-actions' }, { environment })).rejects.toThrow('https')
  })
})

test('a job of Azure Pipelines shows the token of its service connection', async () => {
  const asked: IncomingMessage[] = []
  const oidcToken = await service.callerToken('github')
  const platform = await startMadeUpServer((request, response) => {
    asked.push(request)
    response.end(JSON.stringify({ oidcToken }))
  })
  const serviceConnection = '77777777-0000-4000-8000-000000000001'
  const started = await start(
    { kind: 'azure-pipelines', serviceConnection },
    {
      environment: {
        azurePipelines: { requestUrl: `${platform.origin}/oidc`, requestToken: new Secret('job') },
      },
    },
  )
  await expectGiven(started)
  expect(asked.map(({ method, url }) => `${method ?? ''} ${url ?? ''}`)).toEqual([
    `POST /oidc?api-version=7.1&serviceConnectionId=${serviceConnection}`,
  ])
  expect(asked[0]?.headers).toMatchObject({
    authorization: 'Bearer job',
    'x-tfs-fedauthredirect': 'Suppress',
    'content-type': 'application/json',
  })
  await platform.close()
})

test('a certificate proves the workload by the connection, and is read again for each request', async () => {
  const issue = async (name: string) => {
    const { certificatePem, keyPem } = await service.emulator.clients.issue(
      clientOrder({ names: [name] }),
    )
    files.write('client.crt', certificatePem)
    return files.write('client.key', keyPem)
  }
  const keyFile = await issue('spiffe://fabrikam.example/stranger')
  const certFile = join(keyFile, '../client.crt')
  const started = await start({ kind: 'certificate', certFile, keyFile })
  expect((await started.askFor(orders)).status).toBe(403)
  await issue(exportUri)
  await expectGiven(started)
  expect(started.failures).toEqual(['SERVICE_REFUSED'])
})

test('a managed identity is asked for a token that is meant for the service', async () => {
  await expectGiven(await start({ kind: 'managed-identity' }))
})
