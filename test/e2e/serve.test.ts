import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { worldSchema } from '../../src/emulator/world.ts'
import { putMoveMark } from '../../src/ledger/move-mark.ts'
import { readRows } from '../../src/ledger/read.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { startedEntry } from '../support/entries.ts'
import { exchanging, holdBack, signing, strike } from '../support/faults.ts'
import { fillDisk } from '../support/full-disk.ts'
import { createSqliteStore } from '../support/ledger-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served, type ServedOptions } from '../support/served.ts'
import {
  cast,
  type ConfigurationFile,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
} from '../support/test-service.ts'

/** The life of `countersign serve`: waiting for the vault, refusing to start wrong, draining. */

const wrongCertificates = [
  { name: 'software-key', keyType: 'RSA' },
  { name: 'exportable', exportable: true },
  { name: 'many-uses', keyOps: ['sign', 'verify', 'wrapKey', 'unwrapKey'] },
] as const

let emulator: TestEmulator
/** All that a test has started: none of them outlives it, however it ends. */
let served: Served[] = []

beforeAll(async () => {
  const role = ['keys/sign/action', 'keys/read', 'certificates/read']
  emulator = await startServiceEmulator(
    worldSchema.parse({
      ...serviceWorld,
      // Served for seven seconds, with what is left to them below.
      resources: serviceWorld.resources.map((resource) =>
        resource.uris.includes('https://eventhubs.azure.net')
          ? { ...resource, tokenSeconds: 12 }
          : resource,
      ),
      vaults: [
        ...serviceWorld.vaults,
        {
          name: 'contoso-spare',
          certificates: wrongCertificates,
          roleAssignments: [{ principal: 'countersign', actions: role }],
        },
      ],
    }),
  )
})
afterEach(async () => {
  emulator.faults.clear()
  await Promise.all(served.map((one) => one.remove()))
  served = []
})
afterAll(() => emulator.stop())

function serve(
  configuration: (file: ConfigurationFile) => ConfigurationFile = (file) => file,
  environment?: ServedOptions['environment'],
): Served {
  const started = serveFrom(emulator, {
    configuration,
    ...(environment === undefined ? {} : { environment }),
  })
  served.push(started)
  return started
}

const readiness = async (origin: string) => {
  const response = await fetch(`${origin}/readyz`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const workloadToken = () => emulator.token('fabrikam-orders', cast.publicUrl)

describe('a start', () => {
  test('ends when its first entries cannot be written into the file', async () => {
    const before = serve()
    await before.said('ready')
    before.signal('SIGTERM')
    expect(await before.ended).toBe(0)
    fillDisk(before.ledgerFile)
    const late = serve((file) => ({ ...file, ledger: { sqlite: before.ledgerFile } }))
    expect(await late.ended).toBe(1)
    expect(late.log.at(-1)).toMatchObject({
      msg: 'the service cannot run',
      err: { code: 'LEDGER_UNAVAILABLE' },
    })
  })

  test('is written down before anything is served: started, policy, certificates', async () => {
    const service = serve()
    await service.said('ready')

    expect(service.entries()).toMatchObject([
      { kind: 'service.started' },
      { kind: 'configuration.loaded', applications: 2, issuers: 4 },
      { kind: 'policy.loaded', grants: 2, broken: 0 },
      { kind: 'certificate.loaded', certificate: 'deploy' },
      { kind: 'certificate.loaded', certificate: 'partners' },
    ])
    expect((await readiness(await service.origin())).status).toBe(200)
  })

  test('while the vault is away waits, is alive and not ready, and is ready by itself', async () => {
    strike(emulator, { at: 'vault', kind: 'server-error', match: 'GET /certificates/', times: 2 })
    const service = serve()
    const origin = await service.origin()
    await service.said('certificates are not proven yet')

    expect(await readiness(origin)).toMatchObject({
      status: 503,
      body: { ready: false, certificates: 'proving' },
    })
    expect((await fetch(`${origin}/healthz`)).status).toBe(200)
    const early = await fetch(`${origin}/v1/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await workloadToken()}`,
      },
      body: JSON.stringify(ordersAsk),
    })
    expect(early.status).toBe(503)

    await service.said('ready')
    expect(await readiness(origin)).toMatchObject({ status: 200, body: { ready: true } })
  })

  test('that is told to stop while it waits stops', async () => {
    strike(emulator, { at: 'vault', kind: 'server-error', match: 'GET /certificates/', times: 99 })
    const service = serve()
    await service.said('certificates are not proven yet')
    service.signal('SIGTERM')

    expect(await service.ended).toBe(0)
    expect(service.entries().at(-1)).toMatchObject({ kind: 'service.stopped', unproved: 0 })
  })
})

const partnersFrom =
  (name: string, requireHsm = true) =>
  (file: ConfigurationFile) => ({
    ...file,
    certificates: {
      ...file.certificates,
      partners: { vault: emulator.vaultUrl('contoso-spare'), name, requireHsm },
    },
  })

describe('a start with a certificate that is not what it must be', () => {
  test.each([
    ['software-key', 'CERTIFICATE_KEY_NOT_IN_HSM'],
    ['exportable', 'CERTIFICATE_KEY_EXPORTABLE'],
    ['many-uses', 'CERTIFICATE_KEY_HAS_OTHER_USES'],
    ['nowhere', 'CERTIFICATE_MISSING'],
  ])('%s ends the process and says why: %s', async (name, code) => {
    const service = serve(partnersFrom(name))

    expect(await service.ended).toBe(1)
    expect(service.log.at(-1)).toMatchObject({
      msg: 'the service cannot run',
      err: { type: 'CertificateError', code, message: `${code}: partners` },
    })
    expect(service.log.some(({ msg }) => msg === 'ready')).toBe(false)
  })

  test('goes on with a key in software where the configuration says that this will do', async () => {
    const service = serve(partnersFrom('software-key', false))

    await service.said('ready')
  })
})

describe('while it serves', () => {
  test('refreshes what is in use by itself, and a stop waits for that', async () => {
    const service = serve((file) => ({ ...file, tokenCache: { minRemainingSeconds: 5 } }))
    const origin = await service.origin()
    await service.said('ready')
    const token = await workloadToken()
    const ask = async () => {
      const { status } = await fetch(`${origin}/v1/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ ...ordersAsk, scope: cast.eventHubs }),
      })
      expect(status).toBe(200)
    }
    await ask()
    strike(emulator, { ...exchanging, kind: 'delay', delayMs: 1500, times: 9 })
    const refreshes = () =>
      service
        .entries()
        .filter((entry) => entry.kind === 'request.granted')
        .filter(({ caller }) => caller.subject === 'refresh')
    // Used all the while: where a token ends before its refresh has its turn, the next one is refreshed.
    const useAndCount = async () => {
      await ask()
      return refreshes().length
    }
    await expect.poll(useAndCount, { timeout: 45_000, interval: 200 }).toBe(1)
    service.signal('SIGTERM')

    expect(await service.ended).toBe(0)
    expect(service.entries().slice(-2)).toMatchObject([
      { kind: 'exchange.succeeded', attempt: refreshes()[0]?.attempt },
      { kind: 'service.stopped' },
    ])
  })
})

test('SIGUSR1 opens no debugger, by which anybody on the machine could have its tokens', async () => {
  const service = serve()
  const origin = await service.origin()
  await service.said('ready')
  service.signal('SIGUSR1')
  expect((await readiness(origin)).status).toBe(200)
  service.signal('SIGTERM')
  expect(await service.ended).toBe(0)
  expect(service.errors()).not.toMatch(/debugger/i)
})

describe('an endpoint of managed identity that repeats what it was sent', () => {
  let server: Server
  beforeAll(async () => {
    server = createServer((request, response) => {
      const said = `no identity for ${String(request.headers['x-identity-header'])}`
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: said, error_description: said, message: said }))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
  })
  afterAll(() => server.close())

  test('does not bring the secret of the identity into the log', async () => {
    const { port } = server.address() as AddressInfo
    const header = '853B9A84-5BFA-4B22-A3F3-0B9A43D9AD8A'
    const service = serve(undefined, {
      IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/token`,
      IDENTITY_HEADER: header,
    })
    const said = await service.said('certificates are not proven yet')

    expect(JSON.stringify(said)).toContain('no identity for [redacted]')
    expect(JSON.stringify(service.log)).not.toContain(header)
  })
})

describe('a start that cannot be', () => {
  test('because another process listens there ends, and says so', async () => {
    const first = serve()
    const port = Number(new URL(await first.origin()).port)
    const second = serve((file) => ({ ...file, listen: { host: '127.0.0.1', port } }))

    expect(await second.ended).toBe(1)
    expect(second.log.at(-1)).toMatchObject({
      err: {
        code: 'LISTENER_PORT_TAKEN',
        message: `\`listen\` cannot have 127.0.0.1, port ${port}: something else listens there: stop it, or name another port`,
        cause: { code: 'EADDRINUSE' },
      },
    })
  })

  test('because another process listens for machines there ends before callers can connect', async () => {
    const first = serve()
    const port = Number(new URL(await first.origin()).port)
    const second = serve((file) => ({ ...file, machines: { port } }))

    expect(await second.ended).toBe(1)
    expect(second.log.at(-1)).toMatchObject({
      err: {
        code: 'LISTENER_PORT_TAKEN',
        message: expect.stringContaining(
          `\`machines\` cannot have 127.0.0.1, port ${port}:`,
        ) as string,
      },
    })
    expect(second.log.some(({ msg }) => msg === 'listening')).toBe(false)
  })

  test('because files with certificates and keys are not there ends, and says where they are named', () => {
    const program = resolve('bin/countersign.js')
    const cwd = resolve('test/fixtures/configuration/valid/every-setting')
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'serve'], {
      cwd,
      encoding: 'utf8',
      timeout: 60_000,
    })

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain(
      'countersign.yaml:2: listen.pem-file: The file of `listen.tls.certFile` cannot be read. It is not there',
    )
    expect(stderr).toContain('countersign.yaml:6: trust.pem-file: ')
    expect(stderr).not.toContain('ENOENT')
  })

  test('because another process writes the ledger ends, and says so', async () => {
    const first = serve()
    await first.said('ready')
    const second = serve((file) => ({ ...file, ledger: { sqlite: first.ledgerFile } }))

    expect(await second.ended).toBe(1)
    expect(second.log.at(-1)).toMatchObject({ err: { code: 'LEDGER_IN_USE' } })
  })

  test('because the ledger goes on in a database ends, says where, and adds nothing', async () => {
    const store = createSqliteStore()
    const ledger = await store.open()
    await ledger.append([startedEntry('1')])
    await ledger.close()
    const [tip] = [...readRows(store.file)]
    const db = new DatabaseSync(store.file)
    const to = { database: 'postgres://db.contoso.example:5432/ledger', schema: 'countersign' }
    putMoveMark(db, { state: 'done', to, tip: required(tip), atMs: 1_790_000_000_000 })
    db.close()

    const service = serve((file) => ({ ...file, ledger: { sqlite: store.file } }))

    expect(await service.ended).toBe(1)
    expect(service.log.at(-1)).toMatchObject({
      err: {
        code: 'LEDGER_MOVED',
        message: expect.stringContaining(
          'was moved to postgres://db.contoso.example:5432/ledger (schema countersign) on 2026-09-21T14:13:20.000Z',
        ) as unknown,
      },
    })
    expect(store.entries()).toHaveLength(1)
    store.remove()
  })
})

describe('--print-config', () => {
  const shared = resolve('test/fixtures/configuration/valid/the-ledger-is-shared')

  const printed = (more: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
    cpSync(shared, folder, { recursive: true })
    const file = join(folder, 'countersign.yaml')
    const text = readFileSync(file, 'utf8').replace('countersign@', 'countersign:correct-horse@')
    writeFileSync(file, text + more)
    const program = resolve('bin/countersign.js')
    const ended = spawnSync(process.execPath, [program, 'serve', '--print-config'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    })
    rmSync(folder, { recursive: true })
    return ended
  }

  test('prints what would be in force with its defaults, keeps what is secret, and starts nothing', () => {
    const { status, stdout, stderr } = printed('tokenCache: { maxMegabytes: 64 }\n')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(parse(stdout)).toMatchObject({
      listen: { port: 8443 },
      governor: { headroom: 0.8 },
      tokenCache: { bytesMax: 64 * 1024 * 1024, minRemainingSeconds: 300 },
      ledger: { at: { database: { password: '[secret]' } } },
    })
    expect(stdout).not.toContain('correct-horse')
  })

  test('prints nothing of a file with problems, and names them', () => {
    const { status, stdout, stderr } = printed('governor: { headroom: 50 }\n')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('governor')
  })
})

describe('a stop', () => {
  /** Everything that comes over a connection, as it comes. */
  function listenTo(socket: Socket): () => string {
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    return () => text
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s answers what is under way, takes nothing new, says so, and is the last entry',
    async (signal) => {
      const service = serve()
      await service.said('ready')
      const origin = await service.origin()
      const { hostname, port } = new URL(origin)
      const held = holdBack(emulator, signing)
      const token = await workloadToken()
      const body = JSON.stringify(ordersAsk)
      const socket = connect(Number(port), hostname)
      const received = listenTo(socket)
      await once(socket, 'connect')
      const closed = once(socket, 'close')
      socket.write(
        `POST /v1/token HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
          `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      )
      await held.reached()

      service.signal(signal)
      await service.said('stopping')
      // As `timeout` and npm do, which tell the process and its group.
      service.signal(signal)
      // On the connection that there is; a new one is refused.
      socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n')
      await expect(fetch(`${origin}/healthz`)).rejects.toThrow()
      held.letGo()

      await closed
      expect(received()).toMatch(/^HTTP\/1.1 200 .*"access_token":/s)
      expect(received()).toMatch(/HTTP\/1.1 503 .*"ready":false.*"stopping":true/s)
      expect(await service.ended).toBe(0)
      expect(service.entries().slice(-2)).toMatchObject([
        { kind: 'token.issued' },
        { kind: 'service.stopped', unproved: 1 },
      ])
      expect(service.log.at(-1)).toMatchObject({ msg: 'stopped', unproved: 1 })
      expect(JSON.stringify(service.log)).not.toMatch(/eyJ[\w-]+\.eyJ/)
    },
  )

  test('waits for a signature that nobody waits for any more', async () => {
    const service = serve()
    await service.said('ready')
    const origin = await service.origin()
    const held = holdBack(emulator, signing)
    const hangUp = new AbortController()
    const answer = fetch(`${origin}/v1/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await workloadToken()}`,
      },
      body: JSON.stringify(ordersAsk),
      signal: hangUp.signal,
    })
    const kinds = () => service.entries().map(({ kind }) => kind)
    await held.reached()
    hangUp.abort()
    await expect(answer).rejects.toThrow()
    service.signal('SIGTERM')
    await service.said('stopping')
    held.letGo()

    expect(await service.ended).toBe(0)
    expect(kinds()).toContain('signature.made')
    expect(service.entries().at(-1)).toMatchObject({ kind: 'service.stopped', unproved: 1 })
  })

  test('is watched by machines to its end', async () => {
    const service = serve((file) => ({ ...file, machines: { port: 0 } }))
    await service.said('ready')
    const machines = String((await service.said('listening for machines'))['origin'])
    expect(await readiness(machines)).toMatchObject({ status: 200, body: { stopping: false } })
    const held = holdBack(emulator, signing)
    const asked = fetch(`${await service.origin()}/v1/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${await workloadToken()}`,
      },
      body: JSON.stringify(ordersAsk),
    })
    await held.reached()

    service.signal('SIGTERM')
    await service.said('stopping')
    expect(await readiness(machines)).toMatchObject({ status: 503, body: { stopping: true } })
    held.letGo()
    expect((await asked).status).toBe(200)
    expect(await service.ended).toBe(0)
    await expect(fetch(`${machines}/healthz`)).rejects.toThrow()
  })

  test('writes the strangers of the last minute before it is the last entry', async () => {
    const service = serve()
    const origin = await service.origin()
    await service.said('ready')
    for (let time = 0; time < 3; time += 1) {
      const response = await fetch(`${origin}/v1/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(ordersAsk),
      })
      expect(response.status).toBe(401)
    }
    service.signal('SIGTERM')

    expect(await service.ended).toBe(0)
    const counted = service.entries().filter((entry) => entry.kind === 'service.turned-away')
    expect(new Set(counted.map(({ reason }) => reason))).toEqual(new Set(['caller_token_missing']))
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(3)
    expect(service.entries().at(-1)).toMatchObject({ kind: 'service.stopped' })
  })

  test('does not wait for connections that ask nothing', async () => {
    const service = serve()
    await service.said('ready')
    const { hostname, port } = new URL(await service.origin())
    const silent = connect(Number(port), hostname)
    await once(silent, 'connect')
    const stoppedAtMs = Date.now()
    service.signal('SIGTERM')

    expect(await service.ended).toBe(0)
    // What it waits for may take 25 s.
    expect(Date.now() - stoppedAtMs).toBeLessThan(20_000)
    silent.destroy()
  })
})
