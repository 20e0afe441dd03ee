import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import { programsIn, runCommand } from '../support/command-line.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, defaultGrants, ordersAsk, startServiceEmulator } from '../support/test-service.ts'

/** `countersign serve` with a local socket, and an operator on its machine who has no grant. */

let emulator: TestEmulator
let folder: string
let socket: string
let environment: Readonly<Record<string, string>>
let services: Served[] = []

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(() => emulator.stop())

const setUp = () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-socket-'))
  socket = join(folder, 'revocations.sock')
  // What stands here for callers is not asked.
  environment = { PATH: programsIn(folder), COUNTERSIGN_URL: 'https://nowhere.example' }
}
afterEach(async () => {
  await Promise.all(services.map((one) => one.remove()))
  services = []
  rmSync(folder, { recursive: true, force: true })
})

function serving(): Served {
  const served = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      listen: { ...file.listen, revocationSocket: socket },
    }),
    grants: [
      ...defaultGrants,
      {
        grant: 'incident-response',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [{ admin: 'revoke' }],
      },
    ],
  })
  services.push(served)
  return served
}

const revoke = (options: string) =>
  runCommand(`countersign revoke --socket ${socket} ${options}`, environment, folder)

async function post(served: Served, path: string, token: string, body: object): Promise<number> {
  const response = await fetch(`${await served.origin()}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return response.status
}

const askOrders = async (served: Served) =>
  post(served, '/v1/token', await emulator.token('fabrikam-orders', cast.publicUrl), ordersAsk)

const adminToken = () =>
  required(emulator.issuers.find('gitlab')).mint(
    mintOrderSchema.parse({ audience: cast.publicUrl }),
  )

async function statusOverSocket(method: string, path: string): Promise<number | undefined> {
  const outgoing = request({ socketPath: socket, path, method, agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

describe('an operator without a grant', () => {
  test('stops something, looks, and lets it go on; the ledger says where that came from', async () => {
    setUp()
    const served = serving()
    await served.said('ready')
    expect(await askOrders(served)).toBe(200)

    const revoked = await revoke("--grant fabrikam-orders --reason 'INC-7'")
    expect([revoked.code, revoked.stderr]).toEqual([0, ''])
    expect(revoked.stdout).toMatch(
      /^REVOKED \S+ {2}grant fabrikam-orders .* by countersign\/local-socket: INC-7\n/,
    )
    expect(revoked.stdout).toContain('1 of its tokens live on.')
    expect(await askOrders(served)).toBe(403)
    const id = required(/^REVOKED (\S+)/.exec(revoked.stdout)?.[1])
    expect((await revoke('--list')).stdout).toContain(id)
    expect((await revoke(`--lift ${id}`)).stdout).toMatch(/^LIFTED/)
    expect(await askOrders(served)).toBe(200)

    const changes = served.entries().filter(({ kind }) => kind.startsWith('revocation.'))
    expect(changes.map(({ kind }) => kind)).toEqual(['revocation.made', 'revocation.lifted'])
    for (const entry of changes) {
      expect(entry).toMatchObject({ caller: { issuer: 'countersign', subject: 'local-socket' } })
      expect(entry).not.toHaveProperty('grant')
    }
  }, 120_000)

  test('lets those in again who have locked themselves out', async () => {
    setUp()
    const served = serving()
    await served.said('ready')
    const stop = async (what: object) => post(served, '/v1/revocations', await adminToken(), what)
    expect(await stop({ issuer: 'gitlab', lockout: 'accept' })).toBe(200)
    expect(await stop({ grant: 'other' })).toBe(403)
    const id = required((await revoke('--list')).stdout.split(' ')[0])
    expect((await revoke(`--lift ${id}`)).code).toBe(0)
    expect(await stop({ grant: 'other' })).toBe(200)
  }, 120_000)

  test('gets nothing else there, and nothing without the socket', async () => {
    setUp()
    const served = serving()
    await served.said('ready')
    expect(await statusOverSocket('GET', '/v1/revocations')).toBe(200)
    for (const path of ['/v1/token', '/v1/assertion']) {
      expect(await statusOverSocket('POST', path)).toBe(404)
    }
    for (const path of [
      `/v1/assertion/deploy/${cast.fabrikam}`,
      '/metrics',
      '/readyz',
      '/openapi.yaml',
    ]) {
      expect(await statusOverSocket('GET', path)).toBe(404)
    }
    expect((await fetch(`${await served.origin()}/v1/revocations`)).status).toBe(401)
    const both = await revoke('--list --token-file x')
    expect([both.code, both.stderr]).toEqual([
      1,
      'revoke: --socket takes no URL and no proof: leave them out\n',
    ])
    served.signal('SIGTERM')
    expect(await served.ended).toBe(0)
    const gone = await revoke('--list')
    expect([gone.code, gone.stderr]).toEqual([1, `revoke: no answer from ${socket} (ENOENT)\n`])
  }, 120_000)
})

describe('the socket', () => {
  test('of a process that was killed is replaced, and that of one that serves is not', async () => {
    setUp()
    const first = serving()
    await first.said('ready')
    first.signal('SIGKILL')
    await first.ended
    expect((await revoke('--list')).stderr).toContain('(ECONNREFUSED)')
    const second = serving()
    await second.said('ready')
    const third = serving()
    expect(await third.ended).toBe(1)
    expect(JSON.stringify(third.log)).toContain('another process listens there')
    expect((await revoke('--list')).stdout).toBe('Nothing is stopped.\n')
  }, 120_000)
})
