import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, strike } from '../support/faults.ts'
import { query, startPostgres, type TestPostgres, urlWith } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  type ConfigurationFile,
  deployAsk,
  ordersAsk,
  startServiceEmulator,
} from '../support/test-service.ts'

/** Starts of `countersign serve` while what it needs is away: no answer is waited for, a wrong one ends it. */

let emulator: TestEmulator
let server: TestPostgres
let url: string
let served: Served[] = []
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(), startPostgres()])
})
beforeEach(async () => {
  url = await server.createDatabase()
})
afterEach(async () => {
  await Promise.all(served.map((one) => one.remove()))
  served = []
  emulator.faults.clear()
})
afterAll(() => Promise.all([emulator.stop(), server.stop()]))

function serve(changes: Partial<ConfigurationFile> = {}): Served {
  const configuration = (file: ConfigurationFile): ConfigurationFile => ({
    ...file,
    ledger: { postgres: url },
    ...changes,
  })
  const started = serveFrom(emulator, { configuration })
  served.push(started)
  return started
}

interface Asked {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: { readonly code?: string; readonly access_token?: string }
}

async function ask(service: Served, changes: object = {}, route = '/v1/token'): Promise<Asked> {
  const response = await fetch((await service.origin()) + route, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${await emulator.token('fabrikam-orders', cast.publicUrl)}`,
    },
    body: JSON.stringify({ ...ordersAsk, ...changes }),
  })
  const body = (await response.json()) as Asked['body']
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body }
}

async function readiness(service: Served) {
  const response = await fetch(`${await service.origin()}/readyz`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('while the database is away', () => {
  test('a start listens and says so, and is ready by itself when it is there', async () => {
    await server.kill()
    const service = serve()
    await service.said('the ledger is not open yet')
    expect(await readiness(service)).toMatchObject({
      status: 503,
      body: { ready: false, ledger: 'failing', certificates: 'proving' },
    })
    expect((await fetch(`${await service.origin()}/healthz`)).status).toBe(200)
    expect(await ask(service)).toMatchObject({
      status: 503,
      retryAfter: '5',
      body: { code: 'not_ready' },
    })

    await server.start()
    await service.said('ready')
    expect(await readiness(service)).toMatchObject({ status: 200, body: { ledger: 'ok' } })
    expect((await ask(service)).status).toBe(200)
    expect((await verifiedEntriesAt(url)).slice(0, 4)).toMatchObject([
      { kind: 'service.started' },
      { kind: 'configuration.loaded' },
      { kind: 'policy.loaded' },
      { kind: 'certificate.loaded' },
    ])
    const waits = service.log.filter(({ msg }) => msg === 'the ledger is not open yet')
    expect(waits[0]).toMatchObject({ retryInMs: 500, err: { code: 'LEDGER_UNREACHABLE' } })
    expect(JSON.stringify(service.log)).not.toContain(new URL(url).password)
  })

  test('a start that has begun and loses it ends nothing, and is ready when it is there again', async () => {
    strike(emulator, {
      at: 'vault',
      match: 'GET /certificates/',
      kind: 'server-error',
      times: 100_000,
    })
    const service = serve()
    await service.said('certificates are not proven yet')
    await server.kill()
    // The vault answers now, and that a certificate is proven cannot be written down.
    emulator.faults.clear()
    const codes = () => service.log.map(({ err }) => (err as { code?: string } | undefined)?.code)
    await expect.poll(codes).toContain('LEDGER_UNAVAILABLE')
    await server.start()
    await service.said('ready')
    expect((await ask(service)).status).toBe(200)
  })

  test('a start whose port is taken ends all the same', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await server.kill()
    const service = serve({ listen: { host: '127.0.0.1', port } })
    expect(await service.ended).toBe(1)
    expect(service.log.at(-1)).toMatchObject({ err: { type: 'ListenerError' } })
    other.close()
    await server.start()
  })

  test('a start that is told to stop stops', async () => {
    await server.kill()
    const service = serve()
    await service.said('the ledger is not open yet')
    service.signal('SIGTERM')
    expect(await service.ended).toBe(0)
    await server.start()
  })
})

describe('a database that answers wrongly ends the start', () => {
  const endsWith = async (service: Served, code: string) => {
    expect(await service.ended).toBe(1)
    expect(service.log.at(-1)).toMatchObject({
      msg: 'the service cannot run',
      err: { type: 'LedgerDatabaseError', code },
    })
  }

  test('because of the password', () =>
    endsWith(
      serve({ ledger: { postgres: urlWith(url, { password: 'wrong' }) } }),
      'LEDGER_FORBIDDEN',
    ))

  test('because something else is in its schema', async () => {
    await query(url, 'CREATE SCHEMA countersign; CREATE TABLE countersign.orders (id integer)')
    await endsWith(serve(), 'LEDGER_NOT_A_LEDGER')
  })

  test('because the end of its chain does not verify', async () => {
    const before = serve()
    await before.said('ready')
    before.signal('SIGTERM')
    await before.ended
    await query(url, "UPDATE countersign.tip SET hash = '\\x00'")
    await endsWith(serve(), 'LEDGER_TIP_BROKEN')
  })
})

describe('while the vault of its certificates and Entra are away', () => {
  const sharing = (): Partial<ConfigurationFile> => ({
    tokenCache: {
      wrappingKey: {
        vault: required(emulator.endpoints.vaults['contoso-hsm']),
        name: 'token-wrapping',
      },
    },
  })
  const shared = () => query(url, 'SELECT key FROM countersign.shared_token')

  /** One replica has shared a token; from then on nothing that is asked of the vault at `match`, or of Entra, works. */
  async function shareThenLose(match: string): Promise<Asked> {
    const first = serve(sharing())
    await first.said('ready')
    const obtained = await ask(first)
    await expect.poll(shared).toHaveLength(1)
    strike(emulator, { at: 'vault', match, kind: 'server-error', times: 100_000 })
    strike(emulator, { ...exchanging, kind: 'drop-before', times: 100_000 })
    return obtained
  }

  async function startUnproven(): Promise<Served> {
    const replica = serve(sharing())
    await replica.said('certificates are not proven yet')
    return replica
  }

  test('a replica serves what is shared, nothing else, and is ready by itself', async () => {
    const obtained = await shareThenLose('GET /certificates/')
    const late = await startUnproven()

    expect(await ask(late)).toMatchObject({
      status: 200,
      body: { access_token: obtained.body.access_token },
    })
    const notReady = { status: 503, retryAfter: '5', body: { code: 'not_ready' } }
    expect(await ask(late, { tenant: cast.northwind })).toMatchObject(notReady)
    expect(await ask(late, { ...deployAsk, scope: undefined }, '/v1/assertion')).toMatchObject(
      notReady,
    )
    expect((await readiness(late)).status).toBe(503)
    const issued = (await verifiedEntriesAt(url)).filter(({ kind }) => kind === 'token.issued')
    expect(issued).toHaveLength(2)

    emulator.faults.clear()
    await late.said('ready')
    expect((await ask(late, { tenant: cast.northwind })).status).toBe(200)
  })

  test('a replica serves nothing that was dropped', async () => {
    await shareThenLose('GET /certificates/')
    const late = await startUnproven()
    expect((await ask(late)).status).toBe(200)

    // As another replica does it.
    await query(
      url,
      `BEGIN;
       UPDATE countersign.shared_epoch SET epoch = epoch + 1;
       INSERT INTO countersign.shared_drop (epoch, key, dropped_at)
         SELECT epoch, key, now() FROM countersign.shared_epoch, countersign.shared_token;
       DELETE FROM countersign.shared_token;
       COMMIT`,
    )
    await expect.poll(async () => (await ask(late)).status).toBe(503)
  })

  test('a replica can open nothing when the vault of the wrapping key is away too', async () => {
    await shareThenLose('')
    const late = await startUnproven()
    expect(await ask(late)).toMatchObject({ status: 503, body: { code: 'not_ready' } })
  })
})
