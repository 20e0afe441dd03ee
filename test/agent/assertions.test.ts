import { readdirSync, readFileSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { signing, strike } from '../support/faults.ts'
import { type AgentFile, startTestAgent, type TestAgent } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  longLivedWorld,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Token files and the request URLs of CI platforms. */

let service: TestService
let agent: TestAgent | undefined

beforeAll(async () => {
  service = await startTestService({
    world: longLivedWorld,
    grants: [
      ...defaultGrants,
      {
        grant: 'orders-deploys',
        caller: {
          issuer: 'fabrikam',
          claims: { tid: cast.fabrikam, oid: cast.workloadObjectId },
        },
        may: [
          {
            application: 'deploy',
            tenant: cast.fabrikam,
            assertion: { lifetimeSeconds: 600 },
          },
        ],
        limits: { perMinute: 100 },
      },
    ],
  })
})
afterAll(() => service.stop())
afterEach(async () => {
  service.emulator.faults.clear()
  await agent?.stop()
})

async function started(shapes: AgentFile['shapes']): Promise<TestAgent> {
  agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    file: (written) => ({ ...written, shapes }),
  })
  return agent
}

const deploy = { application: 'deploy', tenant: cast.fabrikam } as const
const identity = { tenant: cast.fabrikam, clientId: cast.deployClientId } as const

describe('a token file', () => {
  test('with assertions is replaced before they are two minutes old', async () => {
    const { agent: running, folder } = await started({
      tokenFile: { file: './identity-token', ...identity, application: 'deploy' },
    })
    const file = join(folder, 'identity-token')
    const first = readFileSync(file, 'utf8')
    const { exp = 0, iat = 0, sub } = decodeJwt(first)
    expect([exp - iat, sub]).toEqual([600, cast.deployClientId])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(running.variables).toEqual({
      AZURE_FEDERATED_TOKEN_FILE: file,
      AZURE_TENANT_ID: cast.fabrikam,
      AZURE_CLIENT_ID: cast.deployClientId,
    })
    service.emulator.clock.shift(112)
    await expect.poll(() => readFileSync(file, 'utf8')).not.toBe(first)
    expect(decodeJwt(readFileSync(file, 'utf8')).iat).toBeGreaterThanOrEqual(iat + 110)
    expect(readdirSync(folder).toSorted()).toEqual(['agent.yaml', 'identity-token', 'own-token'])
  })

  test('that cannot be replaced stays as it is, and is replaced as soon as it can be', async () => {
    const { folder, failures } = await started({
      tokenFile: { file: './identity-token', ...identity, application: 'deploy' },
    })
    const file = join(folder, 'identity-token')
    const first = readFileSync(file, 'utf8')
    strike(service.emulator, { ...signing, kind: 'server-error', times: 50 })
    service.emulator.clock.shift(112)
    await expect.poll(() => failures.length).toBeGreaterThan(0)
    expect(readFileSync(file, 'utf8')).toBe(first)
    service.emulator.faults.clear()
    service.emulator.clock.shift(300)
    await expect.poll(() => readFileSync(file, 'utf8')).not.toBe(first)
  })

  test('with the token of the workload follows it, and its endpoint is the service', async () => {
    const {
      agent: running,
      folder,
      ownTokenFile,
    } = await started({
      tokenFile: { file: './identity-token', ...identity },
    })
    const file = join(folder, 'identity-token')
    expect(readFileSync(file, 'utf8')).toBe(readFileSync(ownTokenFile, 'utf8'))
    expect(running.variables['AZURE_AUTHORITY_HOST']).toBe(service.origin)
    const next = await service.callerToken('github')
    writeFileSync(ownTokenFile, 'half.writ')
    service.emulator.clock.shift(61)
    writeFileSync(ownTokenFile, next)
    service.emulator.clock.shift(61)
    await expect.poll(() => readFileSync(file, 'utf8')).toBe(next)
  })

  test('is removed at the end', async () => {
    const running = await started({ tokenFile: { file: './identity-token', ...identity } })
    const file = join(running.folder, 'identity-token')
    expect(existsSync(file)).toBe(true)
    await running.agent.stop(1000)
    expect(existsSync(file)).toBe(false)
  })

  test('that cannot be filled starts no agent', async () => {
    agent = undefined
    const application = 'events'
    await expect(
      started({ tokenFile: { file: './identity-token', ...identity, application } }),
    ).rejects.toThrow('SERVICE_REFUSED')
  })
})

describe('the request URLs of CI platforms', () => {
  const gitHub = 'GET /ci/github?api-version=2.0'
  const bearer = (running: TestAgent) => ({
    authorization: `Bearer ${running.agent.variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? ''}`,
  })

  test('give a fresh assertion for each request', async () => {
    const running = await started({ requestUrl: deploy })
    const { origin, variables } = running.agent
    expect(variables['ACTIONS_ID_TOKEN_REQUEST_URL']).toBe(`${origin}/ci/github?api-version=2.0`)
    const asked = `${gitHub}&audience=${encodeURIComponent('api://AzureADTokenExchange')}`
    const [one, other] = [
      await running.ask(asked, bearer(running)),
      await running.ask(asked, bearer(running)),
    ]
    expect([one.status, Object.keys(one.body)]).toEqual([200, ['value']])
    expect(decodeJwt(String(one.body['value']))).toMatchObject({ sub: cast.deployClientId })
    expect(other.body['value']).not.toBe(one.body['value'])
  })

  test('speak as Azure Pipelines do too', async () => {
    const running = await started({ requestUrl: deploy })
    const { status, body } = await running.ask(
      'POST /ci/azure-pipelines?api-version=7.1&serviceConnectionId=1',
      { ...bearer(running), 'content-type': 'application/json' },
    )
    expect(status).toBe(200)
    expect(decodeJwt(String(body['oidcToken']))).toMatchObject({ sub: cast.deployClientId })
  })

  test('give nothing without their token, for another audience, or for another method', async () => {
    const running = await started({ requestUrl: deploy })
    service.newEntries()
    expect((await running.ask(gitHub)).status).toBe(401)
    expect((await running.ask(gitHub, { authorization: 'Bearer guess' })).status).toBe(401)
    expect(
      (await running.ask(`${gitHub}&audience=https://a.example`, bearer(running))).status,
    ).toBe(400)
    const twice = `${gitHub}&audience=deploy&audience=deploy`
    expect((await running.ask(twice, bearer(running))).status).toBe(400)
    expect((await running.ask(gitHub.replace('GET', 'POST'), bearer(running))).status).toBe(405)
    expect(service.newEntries()).toEqual([])
  })

  test('say why there is no assertion', async () => {
    const running = await started({
      requestUrl: { application: 'events', tenant: cast.fabrikam },
    })
    const { status, body } = await running.ask(gitHub, bearer(running))
    expect(status).toBe(403)
    expect(body['message']).toMatch(/\(not_granted\)\. Attempt /)
  })
})
