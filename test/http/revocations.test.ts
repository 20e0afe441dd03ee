import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { holdBack, signing } from '../support/faults.ts'
import { expectNothingPrivate } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  cast,
  defaultGrants,
  deployAsk,
  type GrantFile,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

const incidentResponse: GrantFile = {
  grant: 'incident-response',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ admin: 'revoke' }],
}

/** Gives tokens too, and is only tried. */
const tried: GrantFile = {
  grant: 'tried',
  caller: { issuer: 'github', claims: { repository_id: '123456' } },
  may: [{ admin: 'revoke' }],
  mode: 'dry-run',
}

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterAll(() => emulator.stop())

let service: TestService
beforeEach(async () => {
  service = await startTestService({
    emulator,
    grants: [...defaultGrants, incidentResponse, tried],
  })
})
afterEach(() => service.stop())

const workload = () => service.callerToken('fabrikam-orders')
const pipeline = () => service.callerToken('github')
const admin = () => service.callerToken('gitlab')

const askToken = async (token: Promise<string> = workload()) =>
  service.ask('POST /v1/token', { token: await token, json: ordersAsk })
const askAssertion = async () =>
  service.ask('POST /v1/assertion', { token: await pipeline(), json: deployAsk })

const revoke = async (json: object, token: Promise<string> = admin()) =>
  service.ask('POST /v1/revocations', { token: await token, json })
const lift = async (id: string, token: Promise<string> = admin()) =>
  service.ask(`DELETE /v1/revocations/${id}`, { token: await token })
const list = async () => service.ask('GET /v1/revocations', { token: await admin() })

interface RevocationBody {
  readonly revocation: { readonly id: string; readonly epoch: number }
}
const idIn = ({ body }: Answer) => (body as RevocationBody).revocation.id

const of = <Kind extends Entry['kind']>(entries: readonly Entry[], kind: Kind) =>
  entries.filter((entry): entry is Extract<Entry, { kind: Kind }> => entry.kind === kind)

const keyVersion = (application: 'events' | 'deploy') =>
  required(
    service.service.credentials.proven.find(
      ({ certificate }) => certificate === { events: 'partners', deploy: 'deploy' }[application],
    ),
  ).key.keyId

const subjectOfWorkload = async () => {
  await askToken()
  return required(of(service.entries(), 'token.issued').at(-1)).caller.subject
}

/** Each of them stops the workload's token, and leaves something else that is asked for beside it. */
const kinds: readonly (readonly [string, () => Promise<object>, beside: () => Promise<Answer>])[] =
  [
    [
      'its caller',
      async () => ({ caller: { issuer: 'fabrikam', subject: await subjectOfWorkload() } }),
      () => askToken(pipeline()),
    ],
    ['its grant', () => Promise.resolve({ grant: 'fabrikam-orders' }), () => askToken(pipeline())],
    ['its issuer', () => Promise.resolve({ issuer: 'fabrikam' }), () => askToken(pipeline())],
    ['its application', () => Promise.resolve({ application: 'events' }), askAssertion],
    [
      'its tenant',
      () => Promise.resolve({ tenant: cast.fabrikam }),
      async () =>
        service.ask('POST /v1/token', {
          token: await workload(),
          json: { ...ordersAsk, tenant: cast.northwind, scope: cast.eventHubs },
        }),
    ],
    [
      'the version of its key',
      () => Promise.resolve({ keyVersion: keyVersion('events') }),
      askAssertion,
    ],
  ]

describe.each(kinds)('a token when %s is revoked', (_, named, beside) => {
  test('is refused at once, although it is cached, and given again when that is lifted', async () => {
    expect((await askToken()).status).toBe(200)
    const revoked = await revoke({ ...(await named()), reason: 'stolen laptop' })
    expect(revoked.status).toBe(200)

    const refused = await askToken()
    expect(refused).toMatchObject({ status: 403, body: { code: 'revoked' } })
    expectNothingPrivate(refused, service, { token: await workload() })
    expect((await beside()).status).toBe(200)

    expect((await lift(idIn(revoked))).status).toBe(200)
    expect((await askToken()).status).toBe(200)
  })
})

describe('an assertion', () => {
  test.each([
    ['its grant', () => ({ grant: 'deploy-pipeline' })],
    ['its application', () => ({ application: 'deploy' })],
    ['the version of its key', () => ({ keyVersion: keyVersion('deploy') })],
  ])('is refused on both routes when %s is revoked, until that is lifted', async (_, named) => {
    const url = `GET /v1/assertion/deploy/${cast.fabrikam}`
    const revoked = await revoke(named())
    const before = service.vaultRecords().length
    expect(await askAssertion()).toMatchObject({ status: 403, body: { code: 'revoked' } })
    expect(await service.ask(url, { token: await pipeline() })).toMatchObject({ status: 403 })
    expect(service.vaultRecords()).toHaveLength(before)
    await lift(idIn(revoked))
    expect((await askAssertion()).status).toBe(200)
    expect((await service.ask(url, { token: await pipeline() })).status).toBe(200)
  })
})

describe('who may', () => {
  test.each([
    ['a caller with other grants, and one that is only tried', pipeline],
    ['a caller with grants for tokens', workload],
  ])('%s neither revokes nor lifts nor looks', async (_, token) => {
    const made = idIn(await revoke({ application: 'deploy' }))
    for (const answer of [
      await revoke({ application: 'events' }, token()),
      await lift(made, token()),
      await service.ask('GET /v1/revocations', { token: await token() }),
    ]) {
      expect(answer).toMatchObject({ status: 403, body: { code: 'not_granted' } })
    }
    expect((await list()).body).toMatchObject({ revocations: [{ id: made }] })
  })

  test('nobody does without proof', async () => {
    const stranger = Promise.resolve('not-a-token')
    expect(await revoke({ application: 'events' }, stranger)).toMatchObject({ status: 401 })
    expect(await service.ask('GET /v1/revocations')).toMatchObject({ status: 401 })
    expect(of(service.entries(), 'revocation.made')).toEqual([])
  })

  test('whoever may gets no token by it', async () => {
    expect(await askToken(admin())).toMatchObject({ status: 403, body: { code: 'not_granted' } })
  })

  test.each([
    ['its own grant', () => ({ grant: 'incident-response' })],
    ['its own issuer', () => ({ issuer: 'gitlab' })],
  ])('whoever would stop itself by %s is told so, and may mean it', async (_, named) => {
    expect(await revoke(named())).toMatchObject({
      status: 409,
      body: { code: 'revokes_its_maker' },
    })
    expect((await revoke({ ...named(), lockout: 'accept' })).status).toBe(200)
    expect(await list()).toMatchObject({ status: 403, body: { code: 'revoked' } })
    expect(await revoke({ tenant: cast.fabrikam })).toMatchObject({ status: 403 })
  })
})

describe('a revocation', () => {
  test('is an entry with who, what, why and the epoch that it begins, and so is its lifting', async () => {
    service.newEntries()
    const made = await revoke({ grant: 'deploy-pipeline', reason: 'INC-7' })
    await lift(idIn(made))
    const [first, second, ...others] = service.newEntries()
    expect(others).toEqual([])
    const by = { caller: { issuer: 'gitlab' }, grant: 'incident-response' }
    expect(first).toMatchObject({
      kind: 'revocation.made',
      revocation: idIn(made),
      revoked: { what: 'grant', grant: 'deploy-pipeline' },
      reason: 'INC-7',
      epoch: 1,
      ...by,
    })
    expect(second).toMatchObject({
      kind: 'revocation.lifted',
      revocation: idIn(made),
      epoch: 2,
      ...by,
    })
  })

  test('that stands already is the one that stands', async () => {
    const first = await revoke({ grant: 'deploy-pipeline' })
    const again = await revoke({ grant: 'deploy-pipeline', reason: 'again' })
    expect(idIn(again)).toBe(idIn(first))
    expect(of(service.entries(), 'revocation.made')).toHaveLength(1)
  })

  test('that was lifted cannot be lifted again', async () => {
    const id = idIn(await revoke({ grant: 'deploy-pipeline' }))
    await lift(id)
    expect(await lift(id)).toMatchObject({ status: 404, body: { code: 'revocation_unknown' } })
    expect(of(service.entries(), 'revocation.lifted')).toHaveLength(1)
  })

  test.each([
    ['nothing', {}],
    ['two things', { grant: 'a', application: 'b' }],
    ['no grant', { grant: 'Not A Name' }],
    ['a caller by what is no text', { caller: { issuer: 'gitlab', subject: 'a\ud800' } }],
    ['no key version', { keyVersion: 'https://vault.example/keys/name' }],
    ['a reason that does not print', { grant: 'a', reason: 'a\u001b[2Jb' }],
  ])('that names %s is refused', async (_, json) => {
    expect(await revoke(json)).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
  })

  test('of a caller leaves another of its issuer alone', async () => {
    await revoke({ caller: { issuer: 'fabrikam', subject: 'somebody else' } })
    expect((await askToken()).status).toBe(200)
  })

  test('is written for the first refusals of a minute, and then counted', async () => {
    await revoke({ grant: 'fabrikam-orders' })
    // None begins meanwhile.
    emulator.clock.shift(60 - (emulator.clock.nowSeconds() % 60))
    const answers = await Promise.all(Array.from({ length: 25 }, () => askToken()))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]))
    const refused = of(service.entries(), 'request.refused')
    expect(refused.map(({ reason }) => reason)).toEqual(Array(10).fill('revoked'))
    await service.service.turnedAway.roll('every')
    expect(of(service.entries(), 'service.turned-away')).toMatchObject([
      { reason: 'revoked', issuer: 'fabrikam', count: 15 },
    ])
  })

  test('drops the tokens that it stops, and no others', async () => {
    await askToken()
    const before = service.exchanges().length
    const id = idIn(await revoke({ tenant: cast.northwind }))
    await lift(id)
    await askToken()
    expect(service.exchanges()).toHaveLength(before)
    await lift(idIn(await revoke({ tenant: cast.fabrikam })))
    await askToken()
    expect(service.exchanges()).toHaveLength(before + 1)
  })
})

/** What comes of asking, when something is done while the vault keeps the signature back. */
async function during<Asked>(
  ask: () => Promise<Asked>,
  act: () => Promise<unknown>,
): Promise<Asked> {
  service.newEntries()
  const held = holdBack(emulator, signing)
  const asked = ask()
  await held.reached()
  await act()
  held.letGo()
  return asked
}

describe('what is under way', () => {
  afterEach(() => {
    emulator.faults.clear()
  })

  test('is signed, and not released: the caller is refused, and the attempt ends in the ledger', async () => {
    const answer = await during(
      () => askToken(),
      () => revoke({ grant: 'fabrikam-orders' }),
    )
    expect(answer).toMatchObject({ status: 403, body: { code: 'revoked' } })
    const kinds = service.newEntries().map(({ kind }) => kind)
    const made = kinds.indexOf('revocation.made')
    expect(kinds.slice(0, made)).toEqual(['request.granted', 'signature.begun'])
    expect(kinds.slice(made + 1)).toEqual([
      'signature.made',
      'exchange.succeeded',
      'request.refused',
    ])
  })

  test('is an assertion that nobody gets', async () => {
    const answer = await during(askAssertion, () => revoke({ application: 'deploy' }))
    expect(answer).toMatchObject({ status: 403, body: { code: 'revoked' } })
    expect(of(service.entries(), 'signature.made')).toHaveLength(1)
    expect(of(service.entries(), 'assertion.issued')).toEqual([])
  })

  test('goes on for whoever waits for the same and is not stopped, with one signature', async () => {
    const [stopped, other] = await during(
      () => Promise.all([askToken(workload()), askToken(pipeline())]),
      () => revoke({ issuer: 'fabrikam' }),
    )
    expect([stopped.status, other.status]).toEqual([403, 200])
    expect(of(service.entries(), 'signature.begun')).toHaveLength(1)
  })

  test('is given another time when the version of the key that signed it is revoked', async () => {
    let id = ''
    const answer = await during(
      () => askToken(),
      async () => {
        id = idIn(await revoke({ keyVersion: keyVersion('events') }))
      },
    )
    expect(answer).toMatchObject({ status: 403, body: { code: 'revoked' } })
    await lift(id)
    expect((await askToken()).status).toBe(200)
    expect(of(service.entries(), 'signature.begun')).toHaveLength(2)
  })

  test('is not disturbed by what stops others', async () => {
    const answer = await during(
      () => askToken(),
      () => revoke({ application: 'deploy' }),
    )
    expect(answer.status).toBe(200)
    const granted = of(service.entries(), 'request.granted')
    expect([granted.length, of(service.entries(), 'signature.begun').length]).toEqual([1, 1])
  })
})

describe('a grant with a limit', () => {
  const limited: GrantFile = {
    grant: 'a-few',
    caller: { issuer: 'gitlab', claims: { project_id: '21' } },
    may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
    limits: { perMinute: 1 },
  }
  const limitedJob = () => service.callerToken('gitlab', { claims: { project_id: '21' } })

  beforeEach(async () => {
    await service.stop()
    service = await startTestService({
      emulator,
      grants: [...defaultGrants, incidentResponse, limited],
    })
  })
  afterEach(() => {
    emulator.faults.clear()
  })

  test('is used once by what is decided again', async () => {
    const answer = await during(
      () => askToken(limitedJob()),
      () => revoke({ application: 'deploy' }),
    )
    expect(answer.status).toBe(200)
  })

  test('is said to be used up, whatever else is revoked', async () => {
    await revoke({ application: 'deploy' })
    expect((await askToken(limitedJob())).status).toBe(200)
    service.newEntries()
    expect(await askToken(limitedJob())).toMatchObject({
      status: 429,
      body: { code: 'limit_reached' },
    })
    expect(service.newEntries()).toEqual([])
  })

  test('that has gone meanwhile leaves an attempt that ends in the ledger', async () => {
    const answer = await during(
      () => askToken(limitedJob()),
      async () => {
        rmSync(join(service.config.grants.folder, 'a-few.yaml'))
        await service.service.reloading.grants.look()
        await revoke({ application: 'deploy' })
      },
    )
    expect(answer).toMatchObject({ status: 403, body: { code: 'not_granted' } })
    expect(service.newEntries().at(-1)).toMatchObject({
      kind: 'request.refused',
      reason: 'caller_not_named',
    })
  })
})

describe('while nothing can be signed', () => {
  test('a revoked key version costs a grant none of its uses', async () => {
    await service.stop()
    const few = { ...required(defaultGrants[0]), limits: { perMinute: 1 } }
    service = await startTestService({
      emulator,
      grants: [few, ...defaultGrants.slice(1), incidentResponse],
    })
    const made = await revoke({ keyVersion: keyVersion('events') })
    expect(await askToken()).toMatchObject({ status: 403, body: { code: 'revoked' } })
    expect(await askToken()).toMatchObject({ status: 403, body: { code: 'revoked' } })
    await lift(idIn(made))
    expect((await askToken()).status).toBe(200)
  })

  test('things are revoked and lifted all the same', async () => {
    await service.stop()
    service = await startTestService({
      emulator,
      grants: [...defaultGrants, incidentResponse],
      certificates: 'later',
    })
    const made = await revoke({ grant: 'fabrikam-orders' })
    expect(made.status).toBe(200)
    await service.service.credentials.prove()
    expect(await askToken()).toMatchObject({ status: 403, body: { code: 'revoked' } })
    await lift(idIn(made))
    expect((await askToken()).status).toBe(200)
  })
})

interface OutstandingBody {
  readonly outstanding: {
    readonly tokens: readonly { readonly tokenSha256: string; readonly expiresAtSeconds: number }[]
    readonly tokenCount: number
    readonly assertions: readonly { readonly assertionSha256: string }[]
    readonly complete: boolean
  }
}
const outstandingIn = ({ body }: Answer) => (body as OutstandingBody).outstanding

describe('what is out there', () => {
  test.each([
    ['the application', () => ({ application: 'events' })],
    ['the grant', () => ({ grant: 'fabrikam-orders' })],
    ['the version of its key', () => ({ keyVersion: keyVersion('events') })],
  ])('is told of a token that %s has given, once, with its end', async (_, named) => {
    await askToken()
    await askToken()
    const issued = required(of(service.entries(), 'token.issued')[0])
    const { tokenSha256, expiresAtSeconds } = issued
    const told = outstandingIn(await revoke(named()))
    expect(told).toMatchObject({
      tokens: [{ tokenSha256, expiresAtSeconds, application: 'events', tenant: cast.fabrikam }],
      tokenCount: 1,
      assertions: [],
      complete: true,
    })
  })

  test.each([
    ['the application', () => ({ application: 'deploy' })],
    ['the tenant', () => ({ tenant: cast.fabrikam })],
    ['the version of its key', () => ({ keyVersion: keyVersion('deploy') })],
  ])('is told of assertions of %s, and until when what they buy may live', async (_, named) => {
    await askAssertion()
    await askAssertion()
    const issued = of(service.entries(), 'assertion.issued')
    const { assertions } = outstandingIn(await revoke(named()))
    expect(assertions).toMatchObject(
      issued.map(({ assertionSha256, expiresAtSeconds }) => ({
        assertionSha256,
        expiresAtSeconds,
        tokensUntilSeconds: expiresAtSeconds + 90 * 60,
        longLivedTokensUntilSeconds: expiresAtSeconds + 28 * 3600,
      })),
    )
    expect(assertions).toHaveLength(2)
  })

  test.each([
    ['another application', () => ({ application: 'deploy' })],
    ['another caller', () => ({ caller: { issuer: 'fabrikam', subject: 'somebody else' } })],
    ['another key version', () => ({ keyVersion: keyVersion('deploy') })],
  ])('leaves out what %s has', async (_, named) => {
    await askToken()
    expect(outstandingIn(await revoke(named()))).toMatchObject({ tokens: [], tokenCount: 0 })
  })

  test('leaves out a token that is dead, and goes on with what an assertion may have bought', async () => {
    await askToken()
    await askAssertion()
    emulator.clock.shift(2 * 3600)
    expect(outstandingIn(await revoke({ tenant: cast.fabrikam }))).toMatchObject({
      tokenCount: 0,
      assertionCount: 1,
    })
    emulator.clock.shift(30 * 3600)
    const later = outstandingIn(await revoke({ application: 'deploy' }))
    expect(later).toMatchObject({ assertionCount: 0 })
  })
})
