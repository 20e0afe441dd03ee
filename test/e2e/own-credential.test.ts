import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { canHaveArcFolder, keepArcFolder } from '../support/arc-folder.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { everySource, withEverySource } from '../support/identity-sources.ts'
import { required } from '../support/required.ts'
import { type Served, serveFrom } from '../support/served.ts'
import { agentFile, writeAgentFile } from '../support/test-agent.ts'
import { cast, ordersAsk, serviceWorld, startServiceEmulator } from '../support/test-service.ts'

/**
 * The service and the agent in processes of their own, each with nothing but what a platform puts into their
 * environment: every source of managed identity that the emulator plays, and workload identity.
 */

let emulator: TestEmulator
let served: Served[] = []

beforeAll(async () => {
  const arc = canHaveArcFolder ? keepArcFolder() : undefined
  emulator = await startServiceEmulator(
    withEverySource(serviceWorld, ['countersign', 'fabrikam-orders']),
  )
  return () => arc?.release()
})
afterEach(async () => {
  await Promise.all(served.map((one) => one.remove()))
  served = []
})
afterAll(() => emulator.stop())

type Source = (typeof everySource)[number]['source']

const environmentOf = (principal: string, source: Source, more = {}) => ({
  ...required(emulator.endpoints.environments[principal]?.[source]),
  NODE_EXTRA_CA_CERTS: emulator.endpoints.caFile,
  ...more,
})

function serve(source: Source, credential: 'managed-identity' | 'workload-identity', more = {}) {
  const started = serveFrom(emulator, {
    configuration: (file) => ({ ...file, credential }),
    environment: environmentOf('countersign', source, more),
  })
  served.push(started)
  return started
}

const signatures = () =>
  emulator.vaultLog
    .records()
    .filter(({ operationName }) => operationName === 'KeySign')
    .map(({ identity, properties }) => [identity.claim?.['oid'], properties.httpStatusCode])

async function expectSigning(service: Served): Promise<void> {
  await service.said('ready')
  const before = signatures().length
  const response = await fetch(`${await service.origin()}/v1/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await emulator.token('fabrikam-orders', cast.publicUrl)}`,
    },
    body: JSON.stringify(ordersAsk),
  })
  const body = await response.text()
  expect(response.status, body).toBe(200)
  expect(decodeJwt((JSON.parse(body) as { access_token: string }).access_token)).toMatchObject({
    aud: 'https://orders.example',
    tid: cast.fabrikam,
  })
  expect(signatures().slice(before)).toEqual([[cast.serviceObjectId, 200]])
}

/** Waits for an identity that the platform does not give it, and says so without a secret. */
async function expectWaiting(service: Served): Promise<void> {
  const said = await service.said('certificates are not proven yet')
  expect(JSON.stringify(said)).toContain('CERTIFICATE_CREDENTIAL')
  expect((await fetch(`${await service.origin()}/readyz`)).status).toBe(503)
}

test.for(everySource)(
  'the service on $platform starts and signs with credential: managed-identity',
  { timeout: 120_000 },
  async ({ source, isHere }, { skip }) => {
    skip(!isHere)
    await expectSigning(serve(source, 'managed-identity'))
  },
)

test('the service in a pod starts and signs with credential: workload-identity', async () => {
  await expectSigning(serve('workload-identity', 'workload-identity'))
}, 120_000)

describe('an identity that the platform does not have', () => {
  const another = { AZURE_CLIENT_ID: '51000000-0000-4000-8000-0000000000c2' }

  test.for(
    everySource.filter(
      // Neither takes a name for the one identity that it has.
      ({ source }) => source !== 'cloud-shell' && source !== 'workload-identity',
    ),
  )('is waited for on $platform', async ({ source, isHere }, { skip }) => {
    skip(!isHere)
    await expectWaiting(serve(source, 'managed-identity', another))
  })

  test('is waited for in a pod', async () => {
    await expectWaiting(serve('workload-identity', 'workload-identity', another))
  })

  test('cannot be named in Cloud Shell', async () => {
    const own = { AZURE_CLIENT_ID: '51000000-0000-4000-8000-0000000000c1' }
    const service = serve('cloud-shell', 'managed-identity', own)
    expect(await service.ended).toBe(1)
    expect(service.errors() + JSON.stringify(service.log)).toContain('CloudShell')
  })
})

describe('the agent', () => {
  const orders = 'https://orders.example'
  let service: Served
  let folder: string

  beforeAll(async () => {
    service = serveFrom(emulator)
    folder = mkdtempSync(join(tmpdir(), 'countersign-agent-'))
    await service.said('ready')
    return async () => {
      await service.remove()
      rmSync(folder, { recursive: true })
    }
  })

  /** A program beside the agent, for a second. */
  async function askBesideAgent(environment: Readonly<Record<string, string>>) {
    const url = await service.origin()
    const file = {
      ...agentFile(url),
      service: { url, audience: cast.publicUrl },
      identity: { kind: 'managed-identity' as const },
    }
    const agent = [resolve('bin/countersign.js'), 'agent', '--config']
    const program = [process.execPath, resolve('test/support/asking-program.ts'), orders, '1']
    const child = spawn(
      process.execPath,
      [...agent, writeAgentFile(folder, file, ''), '--', ...program],
      { env: environment, stdio: ['ignore', 'pipe', 'pipe'], timeout: 100_000 },
    )
    const [[code], stdout, stderr] = await Promise.all([
      once(child, 'close') as Promise<[number | null]>,
      text(child.stdout),
      text(child.stderr),
    ])
    return { code, stdout, stderr }
  }

  test.for(everySource)(
    'on $platform shows the service its managed identity',
    { timeout: 120_000 },
    async ({ source, isHere }, { skip }) => {
      skip(!isHere)
      const { code, stdout, stderr } = await askBesideAgent(
        environmentOf('fabrikam-orders', source),
      )
      expect(code, stderr).toBe(0)
      expect(decodeJwt(stdout.trim())).toMatchObject({ aud: orders, tid: cast.fabrikam })
    },
  )

  test('gets nothing for a program with the managed identity of somebody else', async () => {
    const { code, stderr } = await askBesideAgent(environmentOf('countersign', 'imds'))
    expect(code).toBe(3)
    expect(stderr).toContain('caller_not_proven')
  }, 120_000)
})
