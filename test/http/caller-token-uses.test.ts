import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { healthyAgain } from '../contract/ledger.contract.ts'
import { holdBack, signing } from '../support/faults.ts'
import { emptyDisk, fillDisk } from '../support/full-disk.ts'
import { commitsIn } from '../support/ledger-commits.ts'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  cast,
  defaultGrants,
  deployAsk,
  type GrantFile,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** What one caller token is good for: ten assertions of one application and tenant, or one request. */

const deployInBoth: GrantFile = {
  grant: 'deploy-in-both',
  caller: { issuer: 'github', claims: { repository_id: '123456', ref: 'refs/heads/main' } },
  may: [
    { application: 'deploy', tenant: 'any-listed', assertion: {} },
    { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
  ],
  limits: { perMinute: 1000 },
}
const onceJob: GrantFile = {
  grant: 'once-job',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [
    { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
    { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
  ],
  limits: { perMinute: 1000 },
}
const oncePerMinute: GrantFile = {
  grant: 'once-per-minute',
  caller: { issuer: 'gitlab', claims: { project_id: '21' } },
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  limits: { perMinute: 1 },
}
const incidentResponse: GrantFile = {
  grant: 'incident-response',
  caller: { issuer: 'gitlab', claims: { project_id: '22' } },
  may: [{ admin: 'revoke' }],
}

const spent: ProblemWords = {
  status: 401,
  code: 'caller_token_spent',
  title: 'The caller token is used up',
  detail:
    'It was used for all that it is good for. Ask its issuer for a new one, for each application and tenant ' +
    'of assertions one of its own.',
  wwwAuthenticate: 'Bearer error="invalid_token"',
}

let service: TestService
beforeAll(async () => {
  service = await startTestService({
    configuration: ({ issuers, ...file }) => ({
      ...file,
      issuers: { ...issuers, gitlab: { ...required(issuers['gitlab']), replay: 'once' } },
    }),
    grants: [...defaultGrants, deployInBoth, onceJob, oncePerMinute, incidentResponse],
  })
})
afterAll(() => service.stop())

const assertion = (token: string, tenant: string = cast.fabrikam) =>
  service.ask('POST /v1/assertion', { token, json: { ...deployAsk, tenant } })
const requestUrl = (token: string) =>
  service.ask(`GET /v1/assertion/deploy/${cast.fabrikam}`, { token })
const orders = (token: string) => service.ask('POST /v1/token', { token, json: ordersAsk })

const lineOf = (attempt: unknown) =>
  service
    .log()
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find((line) => line['attempt'] === attempt)

describe('one caller token', () => {
  test('buys ten assertions on all routes together, signs nothing for more, and another buys its own', async () => {
    const token = await service.callerToken('github')
    const wanted = Array.from({ length: 14 }, (_, i) =>
      i % 2 === 0 ? assertion(token) : requestUrl(token),
    )
    const answers = await Promise.all(wanted)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10)
    const records = service.vaultRecords().length
    service.newEntries()

    const more = await assertion(token)
    expectProblem(more, spent)
    expectNothingPrivate(more, service, { token, values: [cast.fabrikam] })
    expect(lineOf(more.headers['countersign-attempt'])).toMatchObject({
      msg: 'turned away',
      reason: 'assertions_spent',
      issuer: 'github',
    })
    expect(service.newEntries()).toEqual([])
    expect(service.vaultRecords()).toHaveLength(records)
    expect((await assertion(await service.callerToken('github'))).status).toBe(200)
  })

  test('is the same token for its issuer however it is written, by its jti', async () => {
    const jti = 'one-job'
    const [one, other] = await Promise.all([
      service.callerToken('github', { claims: { jti } }),
      service.callerToken('github', { claims: { jti, run_number: '43' } }),
    ])
    for (let i = 0; i < 5; i += 1) expect((await assertion(one)).status).toBe(200)
    for (let i = 0; i < 5; i += 1) expect((await assertion(other)).status).toBe(200)
    expectProblem(await assertion(one), spent)
    expectProblem(await assertion(other), spent)
  })

  test('buys assertions of one application and tenant, and of no other', async () => {
    const token = await service.callerToken('github')
    expect((await assertion(token, cast.northwind)).status).toBe(200)
    const elsewhere = await assertion(token)
    expectProblem(elsewhere, spent)
    expect(lineOf(elsewhere.headers['countersign-attempt'])).toMatchObject({
      reason: 'assertions_elsewhere',
    })
    expect((await assertion(token, cast.northwind)).status).toBe(200)
  })

  test('gets any number of tokens, also when it buys no assertion any more', async () => {
    const token = await service.callerToken('github')
    for (let i = 0; i < 11; i += 1) await assertion(token)
    for (let i = 0; i < 12; i += 1) expect((await orders(token)).status).toBe(200)
  })

  test('is charged nothing for what it is refused', async () => {
    const token = await service.callerToken('github')
    const tooLong = { ...deployAsk, lifetimeSeconds: 600 }
    for (let i = 0; i < 12; i += 1) {
      const answer = await service.ask('POST /v1/assertion', { token, json: tooLong })
      expect(answer.status).toBe(403)
    }
    expect((await assertion(token)).status).toBe(200)
  })
})

describe('a caller token of an issuer with replay: once', () => {
  const job = (claims: Record<string, string> = {}) => service.callerToken('gitlab', { claims })

  test('gets one token, whoever sends it again', async () => {
    const token = await job()
    const answers = await Promise.all(Array.from({ length: 5 }, () => orders(token)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401])
    const again = await orders(token)
    expectProblem(again, spent)
    expectNothingPrivate(again, service, { token, values: [cast.fabrikam] })
    expect(lineOf(again.headers['countersign-attempt'])).toMatchObject({
      reason: 'caller_token_replayed',
      issuer: 'gitlab',
    })
  })

  test('gets a token or an assertion', async () => {
    const token = await job()
    expect((await assertion(token)).status).toBe(200)
    expectProblem(await orders(token), spent)
  })

  test('is still good after a request that was not granted', async () => {
    const token = await job()
    const json = { ...ordersAsk, scope: 'https://graph.microsoft.com/.default' }
    expect((await service.ask('POST /v1/token', { token, json })).status).toBe(403)
    expect((await orders(token)).status).toBe(200)
  })

  test('is still good when the limit of its grant was reached, and uses none of it up when it is spent', async () => {
    const [first, second] = [await job({ project_id: '21' }), await job({ project_id: '21' })]
    expect((await orders(first)).status).toBe(200)
    expect((await orders(second)).status).toBe(429)
    service.emulator.clock.shift(61)
    expectProblem(await orders(first), spent)
    expect((await orders(second)).status).toBe(200)
  })

  test('is counted by the minute when it is sent again, and in the metrics', async () => {
    const token = await job()
    await orders(token)
    await orders(token)
    service.newEntries()
    await service.service.turnedAway.roll('every')
    expect(service.newEntries()).toContainEqual(
      expect.objectContaining({
        kind: 'service.turned-away',
        reason: 'caller_token_replayed',
        issuer: 'gitlab',
      }),
    )
    const { text } = await service.ask('GET /metrics')
    expect(text).toMatch(/^countersign_refusals_total\{reason="caller_token_replayed"\} \d+$/m)
    expect(text).toMatch(/^countersign_caller_tokens_remembered [1-9]\d*$/m)
  })
})

describe('a ledger', () => {
  /** A service for one test, with the emulator of all. */
  async function withService(act: (service: TestService) => Promise<void>): Promise<void> {
    const one = await startTestService({ emulator: service.emulator, grants: [deployInBoth] })
    try {
      await act(one)
    } finally {
      await one.stop()
    }
  }

  test('that takes nothing gives nothing, and gives no more than there is when it takes again', () =>
    withService(async (broken) => {
      const token = await broken.callerToken('github')
      const ask = () => broken.ask('POST /v1/assertion', { token, json: deployAsk })
      const records = broken.vaultRecords().length
      fillDisk(broken.ledgerFile, 'signature.begun')
      for (let i = 0; i < 3; i += 1) {
        expect(await ask()).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } })
      }
      expect(broken.vaultRecords()).toHaveLength(records)
      expect(broken.entries().filter(({ kind }) => kind === 'request.granted')).toEqual([])
      emptyDisk(broken.ledgerFile)
      await healthyAgain(broken.service.ledger)
      const answers = []
      for (let i = 0; i < 12; i += 1) answers.push((await ask()).status)
      const given = answers.filter((status) => status === 200).length
      expect(given).toBeGreaterThan(0)
      expect(given).toBeLessThanOrEqual(10)
      expectProblem(await ask(), spent)
    }))

  test('writes a use with what it is for: an assertion costs two commits, and one that is refused none', () =>
    withService(async (one) => {
      const token = await one.callerToken('github')
      const commitsOf = async (status: number) => {
        const before = commitsIn(one.ledgerFile)
        const answer = await one.ask('POST /v1/assertion', { token, json: deployAsk })
        expect(answer.status).toBe(status)
        return commitsIn(one.ledgerFile) - before
      }
      for (let i = 0; i < 10; i += 1) expect(await commitsOf(200)).toBe(2)
      expect(await commitsOf(401)).toBe(0)
      const file = basename(one.ledgerFile)
      const beside = readdirSync(one.folder).filter((name) => name.startsWith(file))
      expect(beside.toSorted()).toEqual(['', '-shm', '-wal', '-writer'].map((end) => file + end))
    }))
})

describe('a token that is good once, while something is revoked', () => {
  afterEach(() => {
    service.emulator.faults.clear()
  })

  test('serves the request that has used it, decided again, and no other', async () => {
    const admin = () => service.callerToken('gitlab', { claims: { project_id: '22' } })
    const token = await service.callerToken('gitlab')
    const held = holdBack(service.emulator, signing)
    const asked = assertion(token)
    await held.reached()
    const revoked = await service.ask('POST /v1/revocations', {
      token: await admin(),
      json: { tenant: cast.northwind },
    })
    expect(revoked.status).toBe(200)
    held.letGo()
    expect((await asked).status).toBe(200)
    expectProblem(await assertion(token), spent)
  })
})
