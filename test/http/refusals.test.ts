import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  callerMissing,
  callerNotProven,
  expectNothingPrivate,
  expectProblem,
  type ProblemWords,
} from '../support/problems.ts'
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
import { lineOf } from '../support/turned-away.ts'

const onceAMinute: GrantFile = {
  grant: 'once-a-minute',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  limits: { perMinute: 1 },
}

let service: TestService

beforeAll(async () => {
  service = await startTestService({
    configuration: ({ issuers, ...file }) => ({
      ...file,
      issuers: {
        ...issuers,
        github: { ...required(issuers['github']), maxTokenSeconds: 3600 },
      },
    }),
    grants: [...defaultGrants, onceAMinute],
  })
})
afterAll(() => service.stop())

const notGranted: ProblemWords = {
  status: 403,
  code: 'not_granted',
  title: 'Not granted',
  detail:
    'No grant allows this caller what it asks for. Check application, tenant and scope; the ' +
    'operator finds the reason by the attempt id.',
}

/** Every route that gives something, asked for what the callers of these tests may have. */
const routes = {
  'POST /v1/token': ordersAsk,
  'POST /v1/assertion': deployAsk,
  [`GET /v1/assertion/deploy/${cast.fabrikam}`]: undefined,
} as const

interface Turned {
  readonly reason: string
  /** The token, in words. */
  readonly what: string
  /** Undefined: the request carries none. */
  readonly token: () => Promise<string> | undefined
  readonly words: ProblemWords
}

const github = (order: object) => () => service.callerToken('github', order)

const entraToken = (subject: { tenantId: string; clientId: string; objectId: string }) => {
  const { emulator } = service
  const meantForUs = required(
    emulator.world.resources.find(({ uris }) => uris.includes(cast.publicUrl)),
  )
  return emulator.entra.accessTokens.issue(subject, meantForUs)
}

/** Strangers: nobody knows yet who they are, or no grant names them. */
const strangers: readonly Turned[] = [
  { reason: 'caller_token_missing', what: 'none', token: () => undefined, words: callerMissing },
  stranger('caller_token_malformed', 'no JWT', () => Promise.resolve('not-a-token')),
  stranger('caller_token_malformed', 'longer than any', () =>
    Promise.resolve(`eyJhbGciOiJSUzI1NiJ9.${'A'.repeat(17_000)}.AAAA`),
  ),
  stranger('caller_token_malformed', 'with its own key', github({ wrong: 'embedded-key' })),
  stranger('caller_token_malformed', 'unsigned', github({ wrong: 'algorithm-none' })),
  stranger('caller_issuer_unknown', 'of an unknown issuer', github({ wrong: 'issuer' })),
  stranger('caller_algorithm_refused', 'with a MAC', github({ wrong: 'algorithm-hs256' })),
  stranger('caller_key_unknown', 'of an unknown key', github({ wrong: 'unknown-key' })),
  stranger('caller_signature_wrong', 'changed after signing', github({ wrong: 'signature' })),
  stranger('caller_audience_wrong', 'for somebody else', github({ wrong: 'audience' })),
  stranger('caller_token_expired', 'expired', github({ wrong: 'expired' })),
  stranger('caller_token_not_yet_valid', 'of tomorrow', github({ wrong: 'not-yet-valid' })),
  stranger('caller_token_too_long_lived', 'too long-lived', github({ lifetimeSeconds: 7200 })),
  stranger('caller_claim_missing', 'without a subject', github({ claims: { sub: '' } })),
  stranger(
    'caller_claim_refused',
    'of another owner',
    github({ claims: { repository_owner_id: '666' } }),
  ),
  stranger('caller_tenant_refused', 'of a tenant that is not listed', () =>
    entraToken({
      tenantId: cast.northwind,
      clientId: '51000000-0000-4000-8000-0000000000c9',
      objectId: cast.workloadObjectId,
    }),
  ),
  stranger('caller_is_ourselves', 'of our own application', () =>
    entraToken({
      tenantId: cast.fabrikam,
      clientId: cast.eventsClientId,
      objectId: '11111111-0000-4000-8000-0000000000b1',
    }),
  ),
  {
    reason: 'caller_not_named',
    what: 'of a branch that no grant names',
    token: github({ claims: { ref: 'refs/heads/feature' } }),
    words: notGranted,
  },
]

function stranger(reason: string, what: string, token: Turned['token']): Turned {
  return { reason, what, token, words: callerNotProven }
}

describe.each(Object.entries(routes))('%s', (route, json) => {
  // So many lines of a minute are written for each reason, and no more.
  beforeAll(() => {
    service.emulator.clock.shift(60)
  })

  test.each(strangers)('turns a token away that is $what: $reason', async (row) => {
    const { reason, token, words } = row
    const callerToken = await token()
    service.newEntries()
    const answer = await service.ask(route, {
      ...(callerToken === undefined ? {} : { token: callerToken }),
      ...(json === undefined ? {} : { json }),
    })

    expectProblem(answer, words)
    expectNothingPrivate(answer, service, {
      ...(callerToken === undefined ? {} : { token: callerToken }),
      values: [cast.fabrikam, cast.orders],
    })
    expect(lineOf(service, answer)).toMatchObject({ msg: 'turned away', reason })
    expect(service.newEntries()).toEqual([])
  })
})

interface Refused {
  readonly reason: string
  readonly asks: string
  readonly caller: 'fabrikam-orders' | 'github'
  readonly route: string
  readonly json?: object
  readonly words: ProblemWords
}

const elsewhere = 'eeee0000-0000-4000-8000-000000000005'

/** Callers that a grant names, who ask for what it does not allow. */
const refused: readonly Refused[] = [
  {
    reason: 'grant_missing',
    asks: 'for a scope that is not granted',
    caller: 'fabrikam-orders',
    route: 'POST /v1/token',
    json: { ...ordersAsk, scope: 'https://graph.microsoft.com/.default' },
    words: notGranted,
  },
  {
    reason: 'grant_missing',
    asks: 'for a tenant that is not listed',
    caller: 'fabrikam-orders',
    route: 'POST /v1/token',
    json: { ...ordersAsk, tenant: elsewhere },
    words: notGranted,
  },
  {
    reason: 'grant_missing',
    asks: 'for an application that does not exist',
    caller: 'fabrikam-orders',
    route: 'POST /v1/token',
    json: { ...ordersAsk, application: 'payments' },
    words: notGranted,
  },
  {
    reason: 'grant_missing',
    asks: 'for an assertion where it may have tokens',
    caller: 'fabrikam-orders',
    route: 'POST /v1/assertion',
    json: deployAsk,
    words: notGranted,
  },
  {
    reason: 'grant_missing',
    asks: 'for a token where it may have assertions',
    caller: 'github',
    route: 'POST /v1/token',
    json: { ...ordersAsk, application: 'deploy' },
    words: notGranted,
  },
  {
    reason: 'grant_missing',
    asks: 'for the assertion of an application that hands none out',
    caller: 'github',
    route: `GET /v1/assertion/events/${cast.fabrikam}`,
    words: notGranted,
  },
  {
    reason: 'lifetime_too_long',
    asks: 'for an assertion that lives longer than granted',
    caller: 'github',
    route: 'POST /v1/assertion',
    json: { ...deployAsk, lifetimeSeconds: 301 },
    words: {
      status: 403,
      code: 'lifetime_too_long',
      title: 'The lifetime is too long',
      detail: 'Ask for lifetimeSeconds of at most 300.',
    },
  },
]

describe('a caller that a grant names', () => {
  test.each(refused)('is refused when it asks $asks: $reason', async (row) => {
    const { reason, caller, route, json, words } = row
    const token = await service.callerToken(caller)
    service.newEntries()
    const answer = await service.ask(route, { token, ...(json === undefined ? {} : { json }) })

    expectProblem(answer, words)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam, elsewhere] })
    const attempt = answer.headers['countersign-attempt']
    const [entry, ...more] = service.newEntries()
    expect(more).toEqual([])
    expect(entry).toMatchObject({ kind: 'request.refused', attempt, reason })
    expect(lineOf(service, answer)).toMatchObject({ msg: 'refused', reason })
  })

  test('is refused beyond its limit, is told when to come back, and is served then', async () => {
    const token = await service.callerToken('gitlab')
    const ask = () => service.ask('POST /v1/token', { token, json: ordersAsk })
    expect((await ask()).status).toBe(200)
    service.newEntries()
    const beyond = await ask()

    const { retryAfterSeconds = 0 } = beyond.body as { retryAfterSeconds?: number }
    expect(retryAfterSeconds).toBeGreaterThan(0)
    expect(retryAfterSeconds).toBeLessThanOrEqual(61)
    expectProblem(beyond, {
      status: 429,
      code: 'limit_reached',
      title: 'The limit of the grant is reached',
      detail: 'Wait, and keep what you were given for as long as it lives.',
      retryAfterSeconds,
    })
    expectNothingPrivate(beyond, service, { token, values: [cast.fabrikam] })
    expect(lineOf(service, beyond)).toMatchObject({ msg: 'turned away', reason: 'limit_reached' })
    expect(service.newEntries()).toEqual([])

    service.emulator.clock.shift(retryAfterSeconds)
    expect((await ask()).status).toBe(200)
  })
})

describe('a request that is not granted', () => {
  test('signs nothing and asks Entra nothing', async () => {
    const [records, exchanges] = [service.vaultRecords().length, service.exchanges().length]
    for (const { caller, route, json } of refused) {
      const token = await service.callerToken(caller)
      await service.ask(route, { token, ...(json === undefined ? {} : { json }) })
    }

    expect(service.vaultRecords()).toHaveLength(records)
    expect(service.exchanges()).toHaveLength(exchanges)
  })

  test('is counted by reason in the metrics, without anything of the caller', async () => {
    const { text } = await service.ask('GET /metrics')

    expect(text).toMatch(/^countersign_refusals_total\{reason="grant_missing"\} \d+$/m)
    expect(text).toMatch(/^countersign_refusals_total\{reason="caller_token_expired"\} \d+$/m)
    expect(text).not.toContain(cast.workloadObjectId)
  })

  test('of strangers becomes one entry per reason, issuer and minute', async () => {
    service.newEntries()
    await service.service.turnedAway.roll('every')

    const entries = service.newEntries()
    const missing = entries.find((entry) => 'reason' in entry && entry.reason.endsWith('_missing'))
    expect(missing).toMatchObject({ kind: 'service.turned-away', reason: 'caller_token_missing' })
    const keys = entries.map((entry) => JSON.stringify({ ...entry, atMs: 0, count: 0 }))
    expect(new Set(keys).size).toBe(entries.length)
  })

  test('is written to the log ten times a minute for each reason, and counted always', async () => {
    service.emulator.clock.shift(60)
    const [linesBefore, countBefore] = [service.log().length, await countOf('caller_token_missing')]
    for (let time = 0; time < 12; time += 1) {
      expect((await service.ask('POST /v1/token', { json: ordersAsk })).status).toBe(401)
    }

    expect(service.log()).toHaveLength(linesBefore + 10)
    expect(await countOf('caller_token_missing')).toBe(countBefore + 12)
  })

  test('leaves no token in the log', () => {
    expect(service.log().join('')).not.toMatch(/eyJ[\w-]+\.eyJ/)
  })
})

async function countOf(reason: string): Promise<number> {
  const { text } = await service.ask('GET /metrics')
  const line = new RegExp(`^countersign_refusals_total\\{reason="${reason}"\\} (\\d+)$`, 'm')
  return Number(line.exec(text)?.[1])
}

describe('a service whose certificates are not proven yet', () => {
  const notReady: ProblemWords = {
    status: 503,
    code: 'not_ready',
    title: 'The service is not ready',
    detail: 'It has not proven its key yet. Try again later.',
    retryAfterSeconds: 5,
  }

  test('refuses what it would grant, and gives it once they are', async () => {
    const early = await startTestService({ emulator: service.emulator, certificates: 'later' })
    try {
      const token = await early.callerToken('github')
      for (const [route, json] of Object.entries(routes)) {
        const answer = await early.ask(route, { token, ...(json === undefined ? {} : { json }) })
        expectProblem(answer, notReady)
        expectNothingPrivate(answer, early, { token, values: [cast.fabrikam] })
      }
      expect(early.vaultRecords()).toEqual([])

      await early.service.credentials.prove()
      expect((await early.ask('POST /v1/token', { token, json: ordersAsk })).status).toBe(200)
    } finally {
      await early.stop()
    }
  })

  test('charges no grant for it', async () => {
    const early = await startTestService({
      emulator: service.emulator,
      certificates: 'later',
      grants: [onceAMinute],
    })
    try {
      const token = await early.callerToken('gitlab')
      const ask = () => early.ask('POST /v1/token', { token, json: ordersAsk })
      expectProblem(await ask(), notReady)

      await early.service.credentials.prove()
      expect((await ask()).status).toBe(200)
      expect((await ask()).status).toBe(429)
    } finally {
      await early.stop()
    }
  })
})
