import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import { ledgerInDatabase } from '../../src/ledger/ledger-source.ts'
import type { Finding } from '../../src/reconcile/finding.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import { readWorld, defaultWorldFile, type World } from '../../src/emulator/world.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { ledgerAt, verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  type ConfigurationFile,
  serviceWorld,
  startServiceEmulator,
} from '../support/test-service.ts'

/** Three replicas of `countersign serve` that share a ledger and tokens in one PostgreSQL. */

const manyTenants = Array.from({ length: 20 }, (_, i) => ({
  name: `many-${i}`,
  id: `aaaaaaaa-0000-4000-8000-${String(i).padStart(12, '0')}`,
}))

/** The default world, in whose cloud there are twenty tenants more. */
const world: World = (() => {
  const base = readWorld(defaultWorldFile)
  const names = manyTenants.map(({ name }) => name)
  return {
    ...serviceWorld,
    tenants: [...base.tenants, ...manyTenants],
    applications: base.applications.map((application) => ({
      ...application,
      // Each has both, so that a replica may be told to use the other one.
      certificates: base.applications.flatMap(({ certificates }) => certificates),
      presentIn:
        application.name === 'events'
          ? [
              ...application.presentIn,
              ...names.map((tenant, i) => ({
                ...required(application.presentIn[0]),
                tenant,
                objectId: `bbbbbbbb-0000-4000-8000-${String(i).padStart(12, '0')}`,
              })),
            ]
          : application.presentIn,
    })),
    resources: base.resources.map((resource) =>
      resource.uris.includes('https://orders.example')
        ? { ...resource, tenants: [...resource.tenants, ...names] }
        : resource,
    ),
  }
})()

let emulator: TestEmulator
let server: TestPostgres
const agent = new Agent({ connections: 100, pipelining: 1 })
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(world), startPostgres()])
})
afterAll(async () => {
  await agent.close()
  await Promise.all([emulator.stop(), server.stop()])
})

let url: string
let replicas: Served[] = []
afterEach(async () => {
  await Promise.all(replicas.map((one) => one.remove()))
  replicas = []
  emulator.faults.clear()
})

const sharing = (file: ConfigurationFile): ConfigurationFile => ({
  ...file,
  ledger: { postgres: url },
  tokenCache: {
    wrappingKey: {
      vault: required(emulator.endpoints.vaults['contoso-hsm']),
      name: 'token-wrapping',
    },
  },
  applications: {
    ...file.applications,
    events: {
      ...required(file.applications['events']),
      tenants: [cast.fabrikam, ...manyTenants.map(({ id }) => id)],
    },
  },
})

async function startReplicas(count: number): Promise<void> {
  url = await server.createDatabase()
  replicas = Array.from({ length: count }, () => serveFrom(emulator, { configuration: sharing }))
  await Promise.all(replicas.map((one) => one.said('ready')))
}

interface Answer {
  readonly status: number
  readonly token?: string
}

async function ask(replica: Served, callerToken: string, tenant: string): Promise<Answer> {
  const { statusCode, body } = await request(`${await replica.origin()}/v1/token`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${callerToken}` },
    body: JSON.stringify({ application: 'events', tenant, scope: cast.orders }),
  })
  const { access_token: token } = (await body.json()) as { access_token?: string }
  return { status: statusCode, ...(token === undefined ? {} : { token }) }
}

/** So many callers on each replica, all at once, in turns over the tenants. */
async function askAll(
  asked: readonly Served[],
  each: number,
  tenants: readonly string[] = [cast.fabrikam],
): Promise<readonly Answer[]> {
  const callerToken = await emulator.token('fabrikam-orders', cast.publicUrl)
  const callers = asked.flatMap((replica) =>
    Array.from({ length: each }, (_, i) => ({ replica, i })),
  )
  return Promise.all(
    callers.map(({ replica, i }) =>
      ask(replica, callerToken, required(tenants[i % tenants.length])),
    ),
  )
}

/** What vault and token endpoints have seen of what `act` caused. */
async function costOf(act: () => Promise<unknown>) {
  const exchangesBefore = emulator.entra.exchanges.records().length
  const records = await emulator.recordsOf(act)
  const signed = records.filter(
    ({ operationName, properties }) =>
      operationName === 'KeySign' && properties.httpStatusCode === 200,
  )
  return {
    signatures: signed.length,
    exchanges: emulator.entra.exchanges.records().length - exchangesBefore,
  }
}

const of = <Kind extends Entry['kind']>(entries: readonly Entry[], kind: Kind) =>
  entries.filter((entry): entry is Extract<Entry, { kind: Kind }> => entry.kind === kind)

const countOf = async (kind: Entry['kind']) => of(await verifiedEntriesAt(url), kind).length

const distinctTokens = (answers: readonly Answer[]) =>
  new Set(answers.map(({ token }) => token)).size

describe('three replicas on one database', () => {
  test('obtain one token for hundreds of cold callers with one signature and one exchange', async () => {
    await startReplicas(3)
    strike(emulator, { ...signing, kind: 'delay', delayMs: 500 })
    let answers: readonly Answer[] = []
    const cost = await costOf(async () => {
      answers = await askAll(replicas, 120)
    })
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(distinctTokens(answers)).toBe(1)
    expect(cost).toEqual({ signatures: 1, exchanges: 1 })

    const entries = await verifiedEntriesAt(url)
    const [exchange, ...others] = of(entries, 'exchange.succeeded')
    expect(others).toEqual([])
    const issued = of(entries, 'token.issued')
    expect(issued).toHaveLength(360)
    expect(new Set(issued.map(({ obtainedBy }) => obtainedBy))).toEqual(
      new Set([required(exchange).attempt]),
    )
  })

  test('sign once for each of many tenants', async () => {
    await startReplicas(3)
    const tenants = manyTenants.map(({ id }) => id)
    let answers: readonly Answer[] = []
    const cost = await costOf(async () => {
      answers = await askAll(replicas, 100, tenants)
    })
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(distinctTokens(answers)).toBe(20)
    expect(cost).toEqual({ signatures: 20, exchanges: 20 })
  })

  test('are told how it failed when one of them fails, and none of them storms', async () => {
    await startReplicas(3)
    strike(emulator, { ...exchanging, kind: 'server-error', times: 1000 })
    // Whoever comes after the failure tries anew, so all of them have to be there before it.
    strike(emulator, { ...signing, kind: 'delay', delayMs: 5_000 })
    let answers: readonly Answer[] = []
    const cost = await costOf(async () => {
      answers = await askAll(replicas, 40)
    })
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect(cost.signatures).toBe(1)
    emulator.faults.clear()
    expect((await askAll(replicas, 1)).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test('go on when the one that leads is killed, with one signature more at most', async () => {
    await startReplicas(3)
    const startedAtMs = emulator.clock.nowMs()
    const [leader, ...others] = replicas
    strike(emulator, { ...signing, kind: 'delay', delayMs: 20_000 })
    let answers: readonly Answer[] = []
    const cost = await costOf(async () => {
      const lost = askAll([required(leader)], 20).catch(() => undefined)
      await expect.poll(() => query(url, 'SELECT FROM countersign.shared_flight')).toHaveLength(1)
      const waiting = askAll(others, 20)
      await expect.poll(() => countOf('signature.begun')).toBe(1)
      required(leader).signal('SIGKILL')
      answers = await waiting
      await lost
    })
    expect(answers.map(({ status }) => status)).toEqual(Array(40).fill(200))
    expect(distinctTokens(answers)).toBe(1)
    expect(cost.exchanges).toBe(1)
    expect(cost.signatures).toBeLessThanOrEqual(2)
    // The reply to the one that was killed is lost; its nonce tells whose it is.
    const findings = await findingsSince(startedAtMs)
    expect(findings.filter(({ kind }) => kind !== 'sign.assumed')).toEqual([])
  })
})

test('a replica whose application has another certificate serves no token that others obtain with the one before', async () => {
  url = await server.createDatabase()
  const other = (file: ConfigurationFile): ConfigurationFile => {
    const { applications, ...more } = sharing(file)
    const events = { ...required(applications['events']), certificate: 'deploy' }
    return { ...more, applications: { ...applications, events } }
  }
  replicas = [sharing, other, other].map((configuration) => serveFrom(emulator, { configuration }))
  const [before, behind, last] = replicas.map((one) => [one])
  await Promise.all(replicas.map((one) => one.said('ready')))
  const answers: Answer[] = []
  const shared = () => query(url, 'SELECT key_id FROM countersign.shared_token')
  for (const [replica, key] of [
    [before, 'partner-signing'],
    [behind, 'deploy-signing'],
    [last, 'deploy-signing'],
  ] as const) {
    answers.push(...(await askAll(required(replica), 1)))
    await expect
      .poll(shared)
      .toMatchObject([{ key_id: expect.stringContaining(`/${key}/`) as unknown }])
  }
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(distinctTokens(answers.slice(0, 2))).toBe(2)
  expect(distinctTokens(answers.slice(1))).toBe(1)
})

describe('the wrapping key at the start', () => {
  const wrappedWith = (name: string) => (file: ConfigurationFile) => ({
    ...sharing(file),
    tokenCache: {
      wrappingKey: { vault: required(emulator.endpoints.vaults['contoso-hsm']), name },
    },
  })

  test('ends the start when it is wrong', async () => {
    url = await server.createDatabase()
    const replica = serveFrom(emulator, { configuration: wrappedWith('no-such-key') })
    replicas = [replica]
    expect(await replica.ended).toBe(1)
    // What was under way beside it may end, and tell so, after it.
    const codes = replica.log.map(({ err }) => (err as { code?: string } | undefined)?.code)
    expect(codes).toContain('SEALING_KEY_MISSING')
  })

  test('keeps nobody waiting when its vault does not answer: each replica obtains for itself', async () => {
    strike(emulator, {
      at: 'vault',
      match: '/keys/token-wrapping',
      kind: 'server-error',
      times: 1000,
    })
    await startReplicas(2)
    const cost = await costOf(async () => {
      expect(await askAll(replicas, 3)).toMatchObject(Array(6).fill({ status: 200 }))
    })
    expect(cost.exchanges).toBeLessThanOrEqual(2)
    for (const replica of replicas) {
      expect(await replica.said('tokens are not shared now')).toMatchObject({
        err: { code: 'SEALING_UNREACHABLE' },
      })
    }
  })
})

/** What somebody who can write the shared tables may try. */
const planted: Readonly<Record<string, string>> = {
  garbled: 'sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40))',
  'no sealed token': "sealed = 'planted'",
  'given a later end': 'expires_at_seconds = expires_at_seconds + 60',
  'at its end': 'expires_at_seconds = 1790000000',
  'of another tenant': `sealed = (SELECT sealed FROM countersign.shared_token WHERE key LIKE '%${cast.fabrikam}%'),
     expires_at_seconds = (SELECT expires_at_seconds FROM countersign.shared_token WHERE key LIKE '%${cast.fabrikam}%')`,
}

describe('what somebody writes into the shared tables', () => {
  test('is never served', async () => {
    await startReplicas(2)
    const [first, second] = [required(replicas[0]), required(replicas[1])]
    const tenants = manyTenants.slice(0, Object.keys(planted).length).map(({ id }) => id)
    const before = await askAll([first], tenants.length + 1, [...tenants, cast.fabrikam])
    await expect
      .poll(() => query(url, 'SELECT FROM countersign.shared_token'))
      .toHaveLength(tenants.length + 1)

    for (const [i, [name, change]] of Object.entries(planted).entries()) {
      const tenant = required(tenants[i])
      await query(url, `UPDATE countersign.shared_token SET ${change} WHERE key LIKE '%${tenant}%'`)
      let after: readonly Answer[] = []
      const cost = await costOf(async () => {
        after = await askAll([second], 1, [tenant])
      })
      expect(cost.exchanges, name).toBe(1)
      expect(after, name).toMatchObject([{ status: 200 }])
      expect(
        before.map(({ token }) => token),
        name,
      ).not.toContain(after[0]?.token)
    }
    // Each reason is said once, and all are counted. One row only looks as if its time were over.
    const said = second.log.filter(({ msg }) => msg === 'a shared token was not taken')
    expect(said.map(({ reason }) => reason).toSorted()).toEqual(['altered', 'malformed'])
    expect(await refusedBy(second)).toEqual({
      altered: expect.toSatisfy((count: number) => count >= 3) as unknown,
      malformed: expect.toSatisfy((count: number) => count >= 1) as unknown,
    })
    // What nobody has touched is taken.
    const cost = await costOf(async () => {
      const after = await askAll([second], 1)
      expect(before.map(({ token }) => token)).toContain(after[0]?.token)
    })
    expect(cost).toEqual({ signatures: 0, exchanges: 0 })
  })
})

/** Stored tokens that a replica has not taken, by reason. */
async function refusedBy(replica: Served): Promise<Readonly<Record<string, number>>> {
  const metrics = await (await fetch(`${await replica.origin()}/metrics`)).text()
  const lines = metrics.matchAll(
    /^countersign_shared_tokens_refused_total\{reason="([a-z-]+)"\} (\d+)$/gm,
  )
  return Object.fromEntries(
    Array.from(lines, ([, reason = '', count]): [string, number] => [reason, Number(count)]),
  )
}

/** What reconcile finds in the vault's log since a moment, with no other ledger than this one. */
async function findingsSince(sinceMs: number): Promise<readonly Finding[]> {
  const graceMs = 30 * 60_000
  const { findings } = await reconcile({
    ledger: ledgerInDatabase(ledgerAt(url)),
    vaultLogPaths: [emulator.endpoints.vaultLogFolder],
    keys: [],
    // Before any proof is due.
    nowMs: emulator.clock.nowMs() + graceMs + 60_000,
    graceMs,
  })
  // Other tests of this file have used the same vault, and ledgers of their own.
  return findings.filter((one) => !('record' in one) || one.record.timeMs >= sinceMs)
}
