import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillDisk } from '../support/full-disk.ts'
import { expectNothingPrivate } from '../support/problems.ts'
import {
  type ConfigurationFile,
  deployAsk,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** What probes, balancers and scrapers are told. None of them shows a token. */

let service: TestService

beforeAll(async () => {
  service = await startTestService({ certificates: 'later' })
})
afterAll(() => service.stop())

const ready = async () => (await service.ask('GET /readyz')).body as Record<string, unknown>

describe('GET /healthz', () => {
  test('says that the process answers, whatever else is true', async () => {
    const { status, body } = await service.ask('GET /healthz')

    expect(status).toBe(200)
    expect(body).toEqual({ status: 'alive' })
  })

  test('answers HEAD, which some balancers send', async () => {
    const { status, text } = await service.ask('HEAD /healthz')

    expect(status).toBe(200)
    expect(text).toBe('')
  })
})

describe('GET /readyz', () => {
  test('says no until the certificates are proven, and whom that is waiting for', async () => {
    const proving = await service.ask('GET /readyz')
    expect(proving.status).toBe(503)
    expect(proving.body).toMatchObject({ ready: false, certificates: 'proving', ledger: 'ok' })

    await service.service.credentials.prove()
    const proven = await service.ask('GET /readyz')
    expect(proven.status).toBe(200)
    expect(proven.body).toMatchObject({
      ready: true,
      certificates: 'proven',
      stopping: false,
      vault: { state: 'ok' },
      entra: { state: 'untried' },
    })
  })

  test('costs nothing: the vault and Entra do not hear of it', async () => {
    const records = service.vaultRecords().length
    for (let time = 0; time < 5; time += 1) await service.ask('GET /readyz')

    expect(service.vaultRecords()).toHaveLength(records)
    expect(service.entries().filter(({ kind }) => kind !== 'certificate.loaded')).toEqual([])
  })

  test('says since when the vault and Entra are as they are', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const before = service.clock.nowMs()
    await service.ask('POST /v1/token', { token, json: ordersAsk })

    const { vault, entra } = (await ready()) as Record<string, { state: string; sinceMs: number }>
    expect([vault?.state, entra?.state]).toEqual(['ok', 'ok'])
    expect(vault?.sinceMs).toBeLessThanOrEqual(before)
    expect(entra?.sinceMs).toBeGreaterThanOrEqual(before)
  })

  test('names no vault, tenant or person', async () => {
    const answer = await service.ask('GET /readyz')

    expectNothingPrivate(answer, service)
  })
})

describe('GET /metrics', () => {
  test('counts what was given, by where it came from, and nothing of anybody', async () => {
    const workload = await service.callerToken('fabrikam-orders')
    await service.ask('POST /v1/token', { token: workload, json: ordersAsk })
    const job = await service.callerToken('github')
    await service.ask('POST /v1/assertion', { token: job, json: deployAsk })
    const answer = await service.ask('GET /metrics')

    expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    for (const line of [
      'countersign_tokens_issued_total{source="exchange"} 1',
      'countersign_tokens_issued_total{source="cache"} 1',
      'countersign_assertions_issued_total 1',
      'countersign_signatures_total{purpose="exchange"} 1',
      'countersign_signatures_total{purpose="hand-out"} 1',
      'countersign_exchanges_total{outcome="succeeded"} 1',
      'countersign_token_cache_entries 1',
      'countersign_signatures_unproved 2',
      'countersign_ready 1',
      'countersign_vault_units_max{certificate="partners",place="primary"} 1600',
      'countersign_sign_queue_length{certificate="deploy",place="primary"} 0',
      'countersign_sign_circuit{certificate="deploy",place="primary"} 0',
      'countersign_entra_refusals_remembered 0',
      'countersign_permit_wait_seconds_count 2',
    ]) {
      expect(answer.text.split('\n')).toContain(line)
    }
    // Two signatures, and what has not been forgotten yet of two reads of each of the two keys in the vault.
    expect(answer.text).toMatch(
      /^countersign_vault_units_used\{certificate="partners",place="primary"\} [2-6]$/m,
    )
    const before = commitsIn(answer.text)
    await service.ask('POST /v1/token', { token: workload, json: ordersAsk })
    expect(commitsIn((await service.ask('GET /metrics')).text)).toBe(before + 1)
    expectNothingPrivate(answer, service, { token: workload })
    expectNothingPrivate(answer, service, { token: job })
  })

  const commitsIn = (text: string) =>
    Number(/^countersign_ledger_commit_seconds_count (\d+)$/m.exec(text)?.[1])
})

const elsewhere: readonly [string, (file: ConfigurationFile) => ConfigurationFile][] = [
  [
    'whose machines have a listener of their own',
    (file) => ({ ...file, machines: { host: '127.0.0.1', port: 0 } }),
  ],
  [
    'that a proxy lets strangers reach, and whose machines have none',
    (file) => ({
      ...file,
      listen: { host: '127.0.0.1', port: 0, behindProxy: { addresses: ['127.0.0.1'] } },
    }),
  ],
]

describe.each(elsewhere)('a service %s', (_, configuration) => {
  let guarded: TestService
  beforeAll(async () => {
    guarded = await startTestService({
      emulator: service.emulator,
      configuration,
      certificates: 'later',
    })
  })
  afterAll(() => guarded.stop())

  test('tells callers whether it is ready, and not why', async () => {
    const proving = await guarded.ask('GET /readyz')
    await guarded.service.credentials.prove()
    const proven = await guarded.ask('GET /readyz')

    expect([proving.status, proving.body]).toEqual([503, { ready: false }])
    expect([proven.status, proven.body]).toEqual([200, { ready: true }])
  })

  test('has no metrics for callers', async () => {
    const { status, body } = await guarded.ask('GET /metrics')

    expect(status).toBe(404)
    expect(body).toMatchObject({ code: 'not_found' })
  })

  test('is alive to callers, and shows them its contract', async () => {
    expect((await guarded.ask('GET /healthz')).body).toEqual({ status: 'alive' })
    expect((await guarded.ask('GET /openapi.yaml')).status).toBe(200)
  })

  test('tells no stranger by its answers which issuers and tenants it knows', async () => {
    await guarded.ask('POST /v1/token', {
      token: await guarded.callerToken('github', { wrong: 'audience' }),
      json: ordersAsk,
    })
    const told = await Promise.all(
      ['/healthz', '/readyz', '/metrics'].map(async (path) => guarded.ask(`GET ${path}`)),
    )
    for (const answer of told) {
      expect(answer.text).not.toMatch(/caller_|github|vault|entra|ledger/)
    }
  })
})

describe('the listener of machines', () => {
  let guarded: TestService
  beforeAll(async () => {
    guarded = await startTestService({
      emulator: service.emulator,
      configuration: (file) => ({ ...file, machines: { port: 0 } }),
    })
  })
  afterAll(() => guarded.stop())

  test('says why, and counts', async () => {
    await guarded.ask('POST /v1/token', { json: ordersAsk })

    expect((await guarded.askAsMachine('GET /readyz')).body).toMatchObject({
      ready: true,
      certificates: 'proven',
      vault: { state: 'ok' },
    })
    const { text } = await guarded.askAsMachine('GET /metrics')
    expect(text).toContain('countersign_refusals_total{reason="caller_token_missing"} 1')
    expect((await guarded.askAsMachine('GET /healthz')).body).toEqual({ status: 'alive' })
  })
})

// Last, because the ledger does not come back.
describe('a service whose ledger has failed', () => {
  test('is alive and not ready', async () => {
    fillDisk(service.ledgerFile)
    const token = await service.callerToken('fabrikam-orders')
    await service.ask('POST /v1/token', { token, json: ordersAsk })

    expect(await service.ask('GET /healthz')).toMatchObject({ status: 200 })
    expect(await service.ask('GET /readyz')).toMatchObject({
      status: 503,
      body: { ready: false, certificates: 'proven', ledger: 'failing' },
    })
  })
})
