import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { createSeededRandom, type SeededRandom } from '../../src/emulator/random.ts'
import type { World } from '../../src/emulator/world.ts'
import {
  type Asker,
  type Given,
  keyIdOf,
  type Naming,
  type Stop,
  type TokenAsked,
  violationsIn,
} from '../support/concurrent-changes/judge.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import { customerAt, worldWithCustomers } from '../support/many-tenants.ts'
import { required } from '../support/required.ts'
import {
  type CallerName,
  cast,
  type ConfigurationFile,
  type GrantFile,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { drawOnTheWay, orderFor } from '../support/torture/fault-schedule.ts'

/**
 * Many callers at once, while vault and Entra fail, things are revoked and let go on, the configuration
 * changes, and time passes. Every token that is given is judged by what it says, and by the ledger.
 */

/** Daily; `CHANGES_SEEDS=100` for as many as an issue is resolved with. */
const seeds = Number(process.env['CHANGES_SEEDS'] ?? 2)
const callersAtOnce = 12
/** As many as it takes, if much was stopped and little given: how much happens meanwhile is up to the machine. */
const asks = { eachMin: 30, eachMax: 600 }
const minRemainingSeconds = 60

const graph = 'https://graph.microsoft.com/.default'
const scopes = [cast.orders, cast.eventHubs, graph]
const applications = ['events', 'deploy']
/** Tokens of a day are given at home alone. */
const tenants = [cast.contoso, customerAt(0), customerAt(1)]

/** How long tokens live, where it is not an hour; and one of the vault for all the time that passes. */
const seconds: Readonly<Record<string, number>> = {
  'https://eventhubs.azure.net': 150,
  'https://vault.azure.net': 30 * 86_400,
}
const base = worldWithCustomers(2)
const world: World = {
  ...base,
  resources: base.resources.map((resource) => {
    const tokenSeconds = seconds[resource.uris[0] ?? '']
    return tokenSeconds === undefined ? resource : { ...resource, tokenSeconds }
  }),
}

const askers: Readonly<Record<CallerName, Asker>> = {
  'fabrikam-orders': { issuer: 'fabrikam', grant: 'workload', longLived: false, isolated: false },
  github: { issuer: 'github', grant: 'pipeline', longLived: true, isolated: false },
  gitlab: { issuer: 'gitlab', grant: 'job', longLived: false, isolated: false },
  cluster: { issuer: 'cluster', grant: 'apart', longLived: false, isolated: true },
}
const callerNames = Object.keys(askers) as CallerName[]

/** What their tokens say, and their grants want. */
const claimsOf: Readonly<Record<CallerName, Record<string, string>>> = {
  'fabrikam-orders': { oid: cast.workloadObjectId },
  github: { repository_id: '123456' },
  gitlab: { project_id: '20' },
  cluster: { sub: 'system:serviceaccount:orders:api' },
}

const grantFor = (caller: CallerName): GrantFile => {
  const { issuer, grant, longLived, isolated } = askers[caller]
  return {
    grant,
    caller: { issuer, claims: claimsOf[caller] },
    may: applications.map((application) => ({
      application,
      tenant: 'any-listed' as const,
      scopes: [...scopes],
    })),
    ...(longLived ? { longLived } : {}),
    ...(isolated ? { isolate: true as const } : {}),
    limits: { perMinute: 60_000 },
  }
}

const grants: readonly GrantFile[] = [
  ...callerNames.map(grantFor),
  {
    grant: 'incident-response',
    caller: { issuer: 'gitlab', claims: { project_id: '77' } },
    may: [{ admin: 'revoke' }],
  },
]

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startServiceEmulator(world)
})
afterAll(() => emulator.stop())

let service: TestService
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})

/** What the test has seen, in order. */
interface Story {
  readonly random: SeededRandom
  readonly given: Given[]
  /** Of all answers, from when they were asked for. */
  readonly spans: { readonly sentAt: number; readonly answeredAt: number }[]
  readonly stops: Stop[]
  readonly namings: Naming[]
  readonly codes: Set<string>
  /** What is changed now, and is not to be changed again meanwhile. */
  readonly changing: Set<string>
  /** Changes whenever callers have to be proven by fresh tokens. */
  era: number
  readonly moment: () => number
  /** Requests under way. */
  asking: number
  /** Resolves when one may begin. */
  gate: Promise<unknown>
}

const namesIn = (file: ConfigurationFile) =>
  Object.fromEntries(
    Object.entries(file.applications).map(([name, { clientId }]) => [name, clientId]),
  )

function newStory(seed: number): Story {
  let now = 0
  return {
    random: createSeededRandom(seed),
    given: [],
    spans: [],
    stops: [],
    namings: [{ from: 0, until: Infinity, clientIds: namesIn(configurationNow()) }],
    codes: new Set(),
    changing: new Set(),
    era: 0,
    moment: () => (now += 1),
    asking: 0,
    gate: Promise.resolve(),
  }
}

const drawn = <T>(from: readonly T[], random: SeededRandom): T =>
  required(from[random.below(from.length)])

const configurationFile = () => join(service.folder, 'countersign.yaml')
const configurationNow = () => parse(readFileSync(configurationFile(), 'utf8')) as ConfigurationFile

/** One who asks again and again, by a fresh token whenever the last one may have ended. */
async function keepAsking(story: Story): Promise<void> {
  const { random } = story
  const proofs = new Map<CallerName, { readonly era: number; readonly token: string }>()
  for (let asked = 0; asked < asks.eachMax; asked += 1) {
    if (asked >= asks.eachMin && missingIn(story).length === 0) return
    const name = drawn(callerNames, random)
    const known = proofs.get(name)
    const proof = known?.era === story.era ? known : { era: story.era, token: await tokenOf(name) }
    proofs.set(name, proof)
    await askOnce(story, name, proof.token, {
      application: drawn(applications, random),
      tenant: drawn(tenants, random),
      scope: drawn(scopes, random),
      isCapable: random.next() < 0.5,
    })
    if (random.next() < 0.3) await delay(random.below(30))
  }
}

const tokenOf = (name: CallerName) => service.callerToken(name, { claims: claimsOf[name] })

const capable = JSON.stringify({ access_token: { xms_cc: { values: ['cp1'] } } })

async function askOnce(
  story: Story,
  name: CallerName,
  token: string,
  asked: TokenAsked,
): Promise<void> {
  const { isCapable, ...json } = asked
  await story.gate
  story.asking += 1
  const [sentAt, sentSeconds] = [story.moment(), emulator.clock.nowSeconds()]
  const { status, body, headers } = await service.ask('POST /v1/token', {
    token,
    json: { ...json, ...(isCapable ? { claims: capable } : {}) },
  })
  story.asking -= 1
  const answeredAt = story.moment()
  story.spans.push({ sentAt, answeredAt })
  const code = status === 200 ? 'given' : (body as { readonly code: string }).code
  story.codes.add(code)
  if (status !== 200) return
  const answer = body as { readonly access_token: string; readonly expires_in: number }
  story.given.push({
    asker: askers[name],
    asked,
    sentAt,
    answeredAt,
    sentSeconds,
    attempt: String(headers['countersign-attempt']),
    token: answer.access_token,
    expiresInSeconds: answer.expires_in,
  })
}

/** Stops something for a while, as operators can. Each ends with all as it was. */
type Act = (story: Story, meanwhile: () => Promise<void>) => Promise<void>

/** Once at a time. */
async function unlessChanging(
  { changing }: Story,
  what: string,
  change: () => Promise<void>,
): Promise<void> {
  if (changing.has(what)) return
  changing.add(what)
  await change()
  changing.delete(what)
}

const admin = () => service.callerToken('gitlab', { claims: { project_id: '77' } })

/** What is revoked, as it is asked for; and what it stops, by what the test knows. */
interface Revocable {
  readonly json: object
  readonly stops: (given: Given) => boolean
}

function revocables(): readonly Revocable[] {
  const keyIds = service.service.credentials.proven.map(({ key }) => key.keyId)
  return [
    ...['workload', 'pipeline', 'job', 'apart'].map((grant) => ({
      json: { grant },
      stops: ({ asker }: Given) => asker.grant === grant,
    })),
    ...['fabrikam', 'github', 'cluster'].map((issuer) => ({
      json: { issuer },
      stops: ({ asker }: Given) => asker.issuer === issuer,
    })),
    ...applications.map((application) => ({
      json: { application },
      stops: ({ asked }: Given) => asked.application === application,
    })),
    ...tenants.map((tenant) => ({
      json: { tenant },
      stops: ({ asked }: Given) => asked.tenant === tenant,
    })),
    ...keyIds.map((keyVersion) => ({
      json: { keyVersion },
      stops: (given: Given) => keyIdOf(given, service.entries()) === keyVersion,
    })),
  ]
}

const revoking: Act = (story, meanwhile) => {
  const one = drawn(revocables(), story.random)
  return unlessChanging(story, JSON.stringify(one.json), () => revoke(one, story, meanwhile))
}

async function revoke(
  { json, stops }: Revocable,
  story: Story,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const made = await service.ask('POST /v1/revocations', { token: await admin(), json })
  expect(made.status, made.text).toBe(200)
  const stop = { what: JSON.stringify(json), stops, from: story.moment(), until: Infinity }
  story.stops.push(stop)
  await meanwhile()
  stop.until = story.moment()
  const { revocation } = made.body as { readonly revocation: { readonly id: string } }
  const lifted = await service.ask(`DELETE /v1/revocations/${revocation.id}`, {
    token: await admin(),
  })
  expect(lifted.status, lifted.text).toBe(200)
}

/** Returns whether it is in force: not when the vault keeps its certificates from being proven. */
async function configure(file: ConfigurationFile, { namings, moment }: Story): Promise<boolean> {
  const before = [...namings]
  namings.push({ from: moment(), until: Infinity, clientIds: namesIn(file) })
  writeFileSync(configurationFile(), stringify(file, { aliasDuplicateObjects: false }))
  await service.service.reloading.configuration.look()
  const isInForce = service.service.reloading.configuration.standing === 'in-force'
  if (isInForce) for (const one of before) one.until = Math.min(one.until, moment())
  return isInForce
}

/** The entry of the configuration that is in force. */
const lastLoaded = () =>
  service.entries().findLastIndex(({ kind }) => kind === 'configuration.loaded')

/** Brings a configuration into force, and the one before it again. */
const configuring =
  (
    what: string,
    change: (file: ConfigurationFile, random: SeededRandom) => ConfigurationFile,
    stopsOf: (after: ConfigurationFile) => (given: Given) => boolean,
  ): Act =>
  (story, meanwhile) =>
    unlessChanging(story, 'configuration', async () => {
      const before = configurationNow()
      const after = change(before, story.random)
      const isInForce = await configure(after, story)
      const stop: Stop = {
        what,
        stops: stopsOf(after),
        from: story.moment(),
        until: Infinity,
        behindEntry: lastLoaded(),
      }
      if (isInForce) story.stops.push(stop)
      await meanwhile()
      stop.until = story.moment()
      await configure(before, story)
    })

const isListed = ({ applications: listed }: ConfigurationFile, { asked }: Given) =>
  (listed[asked.application]?.tenants ?? []).includes(asked.tenant)

const withoutTenant = configuring(
  'a tenant that was removed',
  (file, random) => {
    const name = drawn(applications, random)
    const application = required(file.applications[name])
    const gone = drawn(tenants, random)
    const left = tenants.filter((tenant) => tenant !== gone)
    return {
      ...file,
      applications: { ...file.applications, [name]: { ...application, tenants: left } },
    }
  },
  (after) => (given) => !isListed(after, given),
)

const withoutApplication = configuring(
  'an application that was removed',
  (file, random) => {
    const name = drawn(applications, random)
    const left = Object.entries(file.applications).filter(([one]) => one !== name)
    return { ...file, applications: Object.fromEntries(left) }
  },
  (after) => (given) => !isListed(after, given),
)

/** Each is the other one to Entra: what was obtained for a name before is of another application now. */
const swapped = configuring(
  'the client id that an application had before',
  (file) => {
    const [events, deploy] = [
      required(file.applications['events']),
      required(file.applications['deploy']),
    ]
    const as = ({ clientId, certificate }: typeof events) => ({ clientId, certificate })
    return {
      ...file,
      applications: {
        events: { ...events, ...as(deploy) },
        deploy: { ...deploy, ...as(events) },
      },
    }
  },
  (after) =>
    ({ asked, token }) =>
      decodeJwt(token)['appid'] !== namesIn(after)[asked.application],
)

const withoutGrant: Act = (story, meanwhile) => {
  const grant = drawn(grants.slice(0, 4), story.random)
  const what = `the grant ${grant.grant} was removed`
  return unlessChanging(story, what, async () => {
    const file = join(service.config.grants.folder, `${grant.grant}.yaml`)
    rmSync(file)
    await service.service.reloading.grants.look()
    const stops = ({ asker }: Given) => asker.grant === grant.grant
    const stop = { what, stops, from: story.moment(), until: Infinity }
    story.stops.push(stop)
    await meanwhile()
    stop.until = story.moment()
    writeFileSync(file, stringify(grant))
    await service.service.reloading.grants.look()
  })
}

/**
 * Tokens come to their end, and what is paused goes on. While nobody asks: no reply takes minutes. Whoever
 * asks has to be proven anew.
 */
const timePasses: Act = async (story, meanwhile) => {
  const gate = Promise.withResolvers<undefined>()
  story.gate = gate.promise
  while (story.asking > 0) await delay(5)
  emulator.clock.shift(drawn([30, 100, 100, 2000], story.random))
  story.era += 1
  gate.resolve(undefined)
  service.service.refresher.start()
  await meanwhile()
}

const failing: Act = async (story, meanwhile) => {
  const faults = drawOnTheWay(story.random).filter((fault) =>
    /^(vault|token-endpoint) /.test(fault),
  )
  for (const fault of faults) strike(emulator, orderFor(fault, story.random))
  await meanwhile()
}

const acts: readonly Act[] = [
  revoking,
  revoking,
  revoking,
  withoutTenant,
  withoutApplication,
  swapped,
  withoutGrant,
  timePasses,
  timePasses,
  failing,
]

/** One act within another, now and then, until the callers are done. */
async function keepChanging(story: Story, isOver: () => boolean): Promise<void> {
  const change = async (depth: number): Promise<void> => {
    await delay(20 + story.random.below(60))
    if (isOver() || depth === 0) return
    await drawn(acts, story.random)(story, () => change(depth - 1))
  }
  while (!isOver()) await change(3)
}

async function live(seed: number): Promise<Story> {
  const configuration = ({ applications: named, ...file }: ConfigurationFile) => ({
    ...file,
    applications: Object.fromEntries(
      Object.entries(named).map(([name, one]) => [name, { ...one, tenants: [...tenants] }]),
    ),
    tokenCache: { minRemainingSeconds, refreshAheadSeconds: 90 },
  })
  service = await startTestService({ emulator, grants, configuration })
  const story = newStory(seed)
  for (const at of [signing, exchanging]) {
    strike(emulator, { ...at, kind: 'server-error' })
    // Whatever is under way takes long enough for something to happen meanwhile.
    strike(emulator, { ...at, kind: 'delay', delayMs: 40, times: 10_000, probability: 0.6 })
  }
  let isOver = false
  const asking = Promise.all(Array.from({ length: callersAtOnce }, () => keepAsking(story)))
  await Promise.all([
    asking.finally(() => {
      isOver = true
    }),
    keepChanging(story, () => isOver),
  ])
  await service.service.refresher.idle()
  await askInPeace(story)
  return story
}

/** When all is as it was, everybody is served. */
async function askInPeace(story: Story): Promise<void> {
  emulator.faults.clear()
  emulator.clock.shift(2000)
  const asked = { application: 'events', tenant: cast.contoso, scope: graph, isCapable: true }
  for (const name of callerNames) await askOnce(story, name, await tokenOf(name), asked)
}

/** How many answers were under way when something was stopped, or let go on. */
const metIn = ({ spans, stops }: Story) =>
  spans.filter(({ sentAt, answeredAt }) =>
    stops.some(({ from, until }) =>
      [from, until].some((moment) => sentAt < moment && moment < answeredAt),
    ),
  ).length

/** What has not happened yet, without which the test could pass by nothing that happens. */
function missingIn(story: Story): readonly string[] {
  const { given, codes } = story
  const grantsServed = new Set(given.map(({ asker }) => asker.grant))
  const happened: Readonly<Record<string, boolean>> = {
    'enough is given': given.length > 50,
    'enough is under way when something is stopped': metIn(story) > 10,
    'everybody is served': grantsServed.size === callerNames.length,
    'a token of a day': given.some(({ expiresInSeconds }) => expiresInSeconds > 7200),
    ...Object.fromEntries(mustBeAnswered.map((code) => [code, codes.has(code)])),
  }
  return Object.keys(happened).filter((what) => happened[what] === false)
}

const mustBeAnswered = ['revoked', 'not_granted', 'signing_unavailable', 'entra_unavailable']

test(
  `${seeds} times: nobody is given a token of something else, one that is dead, or one that was stopped`,
  { timeout: Math.max(120_000, seeds * 60_000) },
  async () => {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const story = await live(seed)
      const entries = service.entries()
      expect(violationsIn({ ...story, entries, minRemainingSeconds }), `seed ${seed}`).toEqual([])
      expect(missingIn(story), `seed ${seed}`).toEqual([])
      emulator.faults.clear()
      if (seed < seeds) await service.stop()
    }
  },
)
