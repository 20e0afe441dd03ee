import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { exchanging, strike } from '../support/faults.ts'
import { expectProblem } from '../support/problems.ts'
import {
  cast,
  type CallerName,
  type GrantFile,
  longLivedWorld,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Continuous access evaluation, and grants with tokens of their own. */

const graph = 'https://graph.microsoft.com/.default'

const grantFor = (caller: CallerName, claim: object, terms: Partial<GrantFile>): GrantFile => ({
  grant: caller,
  caller: { issuer: caller, claims: { ...claim } },
  may: [
    { application: 'events', tenant: cast.contoso, scopes: [graph] },
    { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
  ],
  ...terms,
})

const grants = [
  grantFor('github', { repository_id: '123456' }, { longLived: true }),
  grantFor('gitlab', { project_id: '42' }, {}),
  grantFor('cluster', { sub: 'system:serviceaccount:orders:api' }, { isolate: true }),
]

let service: TestService
let tokens: ReadonlyMap<CallerName, string>

beforeAll(async () => {
  service = await startTestService({
    grants,
    world: longLivedWorld,
    configuration: (file) => ({
      ...file,
      applications: {
        ...file.applications,
        events: {
          clientId: cast.eventsClientId,
          certificate: 'partners',
          tenants: [cast.contoso, cast.fabrikam],
        },
      },
    }),
  })
})
afterAll(() => service.stop())

/** Nothing is left of the tests before, not even tokens of a day. */
const letDaysPass = () => {
  service.emulator.clock.shift(2 * 86_400)
}

const proveCallers = async () => {
  tokens = new Map([
    ['github', await service.callerToken('github')],
    ['gitlab', await service.callerToken('gitlab', { claims: { project_id: '42' } })],
    [
      'cluster',
      await service.callerToken('cluster', { claims: { sub: 'system:serviceaccount:orders:api' } }),
    ],
  ])
  service.newEntries()
}

interface TokenAnswer {
  readonly access_token: string
  readonly expires_in: number
}

async function ask(
  caller: CallerName,
  claims?: unknown,
  json: object = { application: 'events', tenant: cast.contoso, scope: graph },
): Promise<TokenAnswer> {
  const answer = await service.ask('POST /v1/token', {
    token: tokens.get(caller) ?? '',
    json: { ...json, ...(claims === undefined ? {} : { claims: JSON.stringify(claims) }) },
  })
  expect(answer.status, answer.text).toBe(200)
  return answer.body as TokenAnswer
}

const cp1 = { xms_cc: { values: ['cp1'] } }
const capable = { access_token: cp1 }
const challenge = (nbf: number, more: object = {}) => ({
  access_token: { nbf: { essential: true, value: String(nbf) }, ...more },
})

const isLongLived = ({ access_token, expires_in }: TokenAnswer) =>
  decodeJwt(access_token)['xms_cc'] !== undefined && expires_in > 19 * 3600

describe('a caller that can handle challenges', () => {
  beforeEach(letDaysPass)
  beforeEach(proveCallers)

  test('gets a token of a day where its grant says so, and the ledger says that too', async () => {
    const answer = await ask('github', capable)

    expect(isLongLived(answer)).toBe(true)
    const entries = service.newEntries()
    expect(entries.filter((entry) => 'longLived' in entry).map(({ kind }) => kind)).toEqual([
      'request.granted',
      'token.issued',
    ])
  })

  test('gets an ordinary one where it does not, the same as everybody', async () => {
    const answer = await ask('gitlab', capable)

    expect(isLongLived(answer)).toBe(false)
    expect(answer.expires_in).toBeLessThan(3600)
    expect(service.newEntries().filter((entry) => 'longLived' in entry)).toEqual([])
    expect((await ask('github')).access_token).toBe(answer.access_token)
  })

  test('never gets the token of one that cannot, nor the other way round', async () => {
    const day = await ask('github', capable)
    const hour = await ask('github')

    expect(isLongLived(hour)).toBe(false)
    expect((await ask('github', capable)).access_token).toBe(day.access_token)
    expect((await ask('github')).access_token).toBe(hour.access_token)
  })

  test('may spell it as some SDKs do', async () => {
    const plain = await ask('github', capable)
    const spelt = await ask('github', {
      access_token: { xms_cc: { essential: false, values: ['CP1'] } },
    })

    expect(spelt.access_token).toBe(plain.access_token)
  })
})

describe('a challenge', () => {
  beforeEach(letDaysPass)
  beforeEach(proveCallers)

  const now = () => service.clock.nowSeconds()

  async function askedWhileEntraFails() {
    const claims = challenge(now())
    strike(service.emulator, { ...exchanging, kind: 'server-error' })
    const answer = await service.ask('POST /v1/token', {
      token: tokens.get('gitlab') ?? '',
      json: {
        application: 'events',
        tenant: cast.contoso,
        scope: graph,
        claims: JSON.stringify(claims),
      },
    })
    return { claims, answer }
  }

  test('is met by a token that was obtained after it', async () => {
    const token = await ask('gitlab')

    expect((await ask('gitlab', challenge(now() - 60))).access_token).toBe(token.access_token)
  })

  test('is otherwise met by a fresh one, which is then for everybody', async () => {
    const old = await ask('gitlab')
    service.emulator.clock.shift(60)
    const fresh = await ask('gitlab', challenge(now() - 30))

    expect(fresh.access_token).not.toBe(old.access_token)
    expect((await ask('gitlab', challenge(now() - 30))).access_token).toBe(fresh.access_token)
    expect((await ask('gitlab')).access_token).toBe(fresh.access_token)
  })

  test('of a token of a day brings another one of a day', async () => {
    const old = await ask('github', capable)
    service.emulator.clock.shift(60)
    const fresh = await ask('github', challenge(now() - 30, cp1))

    expect(fresh.access_token).not.toBe(old.access_token)
    expect(isLongLived(fresh)).toBe(true)
    expect((await ask('github', capable)).access_token).toBe(fresh.access_token)
  })

  test('that nothing can meet costs one exchange in 30 s, whoever has it', async () => {
    const tomorrow = challenge(now() + 86_400)
    const before = service.exchanges().length
    const [first, ...others] = await Promise.all(
      (['gitlab', 'github', 'gitlab'] as const).map((caller) => ask(caller, tomorrow)),
    )
    const again = await ask('github', tomorrow)

    expect([...others, again].map((one) => one.access_token)).toEqual(
      [1, 2, 3].map(() => first?.access_token),
    )
    expect(service.exchanges().length - before).toBe(1)
    service.emulator.clock.shift(30)
    expect((await ask('gitlab', tomorrow)).access_token).not.toBe(first?.access_token)
  })

  test('that cannot be met takes nothing from those who have none', async () => {
    const old = await ask('gitlab')
    service.emulator.clock.shift(60)
    const { answer } = await askedWhileEntraFails()

    expect(answer.status).toBe(503)
    expect((await ask('gitlab')).access_token).toBe(old.access_token)
  })

  test('that could not be met is not met with the token that the resource has refused', async () => {
    const old = await ask('gitlab')
    service.emulator.clock.shift(60)
    const { claims } = await askedWhileEntraFails()

    expect((await ask('gitlab', claims)).access_token).not.toBe(old.access_token)
  })
})

describe('claims', () => {
  beforeAll(proveCallers)

  test.each([
    'cp1',
    '[]',
    '{}',
    '{"access_token":{}}',
    '{"access_token":{"xms_cc":{"values":["cp2"]}}}',
    '{"access_token":{"xms_cc":{"values":["cp1","cp1"]}}}',
    '{"access_token":{"xms_cc":{"values":[]}}}',
    '{"access_token":{"xms_cc":{"value":"cp1"}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"],"eve-was-here":1}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"]},"xms_cc":{"values":["cp1"]}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"]},"acrs":{"essential":true,"value":"c1"}}}',
    '{"access_token":{"nbf":{"essential":true,"value":1763787376}}}',
    '{"access_token":{"nbf":{"essential":true,"value":"-1"}}}',
    '{"access_token":{"nbf":{"essential":true,"value":"1e9"}}}',
    '{"access_token":{"nbf":null}}',
    '{"id_token":{"xms_cc":{"values":["cp1"]}}}',
    '{"access_token":{"xms_caeerror":{"value":"10012"}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"]},"xms_caeerror":"10012"}}',
    '{"__proto__":{"access_token":{"xms_cc":{"values":["cp1"]}}}}',
  ])('of another form are refused, with what is taken: %s', async (claims) => {
    const answer = await service.ask('POST /v1/token', {
      token: tokens.get('github') ?? '',
      json: { application: 'events', tenant: cast.contoso, scope: graph, claims },
    })

    expectProblem(answer, {
      status: 400,
      code: 'request_invalid',
      title: 'The request is not valid',
      detail:
        'The member claims must be JSON text, and what is taken in its access_token is ' +
        '"xms_cc": {"values": ["cp1"]} and "nbf": {"value": "SECONDS"}, one of them or both; ' +
        'nothing else may be essential.',
    })
    expect(service.newEntries()).toEqual([])
  })

  test.each([
    '{"access_token":{"nbf":{"essential":true,"value":"1763787376"},"xms_caeerror":{"value":"10012"}}}',
    '{"access_token":{"nbf":{"essential":true,"value":"1763787376"},"xms_rp_ipaddr":{"value":"203.0.113.9"}}}',
    '{"id_token":{"login_hint":null},"access_token":{"xms_cc":{"values":["cp1"]}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"]},"acrs":{"essential":false,"value":"c1"}}}',
    '{"access_token":{"xms_cc":{"values":["cp1"]},"sub":null},"userinfo":{}}',
  ])('that nobody insists on are passed over beside those that are taken: %s', async (claims) => {
    const before = service.exchanges().length
    const { status } = await service.ask('POST /v1/token', {
      token: tokens.get('github') ?? '',
      json: { application: 'events', tenant: cast.contoso, scope: graph, claims },
    })

    expect(status).toBe(200)
    expect(JSON.stringify(service.exchanges().slice(before))).not.toMatch(
      /caeerror|ipaddr|acrs|hint/,
    )
  })

  test('that are an object are refused: SDKs have them as text', async () => {
    const json = { application: 'events', tenant: cast.contoso, scope: graph, claims: capable }
    const { status } = await service.ask('POST /v1/token', {
      token: tokens.get('github') ?? '',
      body: JSON.stringify(json),
      headers: { 'content-type': 'application/json' },
    })

    expect(status).toBe(400)
  })
})

describe('a grant that isolates', () => {
  beforeAll(proveCallers)

  const orders = { application: 'events', tenant: cast.fabrikam, scope: cast.orders }

  test('has tokens of its own, and the others share theirs', async () => {
    const own = await ask('cluster', undefined, orders)
    const shared = await ask('github', undefined, orders)

    expect(own.access_token).not.toBe(shared.access_token)
    expect((await ask('gitlab', undefined, orders)).access_token).toBe(shared.access_token)
    expect((await ask('cluster', undefined, orders)).access_token).toBe(own.access_token)
  })
})
