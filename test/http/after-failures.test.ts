import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { expectNothingPrivate, expectProblem } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Retries of callers, while vault or Entra refuse: what each of them costs. */

const customers = 200

let emulator: TestEmulator
/** One for each test, because what has failed is remembered for a while. */
let service: TestService
let token: string

beforeAll(async () => {
  emulator = await startServiceEmulator(worldWithCustomers(customers))
})
beforeEach(async () => {
  service = await startTestService({
    emulator,
    configuration: forCustomers(customers),
    grants: grantsForCustomers,
  })
  token = await service.callerToken('github', { lifetimeSeconds: 3600 })
})
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})
afterAll(() => emulator.stop())

const ask = (customer: number) =>
  service.ask('POST /v1/token', { token, json: { ...ordersAsk, tenant: customerAt(customer) } })

/** So many customers at once, each its own token. */
const askFor = (count: number, from = 0) =>
  Promise.all(Array.from({ length: count }, (_, index) => ask(from + index)))
const askForAll = () => askFor(customers)

const signatures = () =>
  service.vaultRecords().filter(({ operationName }) => operationName === 'KeySign').length

const codesOf = (answers: readonly Answer[]) =>
  new Set(answers.map(({ body }) => (body as { readonly code?: string }).code ?? 'served'))

describe('a vault that throttles everybody', () => {
  const throttleFor = (times: number) => {
    strike(emulator, { ...signing, kind: 'throttle', times })
  }

  const pauses = () =>
    service.log().filter((line) => line.includes('"msg":"left alone for a while"')).length

  test('is asked by those who are under way, and then by one for each pause', async () => {
    // With connections that are made already, what is asked takes no longer than it must.
    await askFor(64, 100)
    const earlier = signatures()
    throttleFor(1_000_000)
    // More than are under way at once, and few enough that the rest is served within its patience.
    const answers = askFor(80)
    // Two pauses have ended, and each with one who asked; or there would be more.
    await expect.poll(pauses).toBe(3)
    expect(signatures() - earlier).toBeLessThanOrEqual(64 + 2)
    emulator.faults.clear()

    const codes = codesOf(await answers)
    expect(codes).toEqual(new Set(['signing_throttled', 'served']))
  })

  test('once, makes others wait for a moment, and serves them then', async () => {
    throttleFor(1)
    const first = ask(0)
    expectProblem(await first, {
      status: 503,
      code: 'signing_throttled',
      title: 'Too much is to be signed',
      detail: 'The key is used as often as it may be. Try again later.',
      retryAfterSeconds: 10,
    })
    const others = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(index)))

    expect(codesOf(others)).toEqual(new Set(['served']))
    expect(signatures()).toBe(1 + 20)
  })
})

describe('a vault that fails', () => {
  test('three times in a row is left alone, and its callers are told so at once', async () => {
    strike(emulator, { ...signing, kind: 'server-error', times: 4 })
    for (let customer = 0; customer < 3; customer += 1) {
      expect(await ask(customer)).toMatchObject({ body: { code: 'signing_unavailable' } })
    }
    // The pause is a second: whoever comes now has the patience to wait for its end, and probes.
    expect(await ask(3)).toMatchObject({ body: { code: 'signing_unavailable' } })
    expect(signatures()).toBe(4)
    // The next one is two seconds, and then all is well.
    expect((await ask(4)).status).toBe(200)
    expect(signatures()).toBe(5)
  })
})

describe('a key that the vault refuses', () => {
  test('is asked for once while callers retry, and is told from memory', async () => {
    await emulator.control('POST /vaults/contoso-hsm/certificates/partner-signing/disable')
    expect(await ask(0)).toMatchObject({ body: { code: 'signing_broken' } })
    const retries = await askForAll()
    await emulator.control('POST /vaults/contoso-hsm/certificates/partner-signing/enable')

    expect(codesOf(retries)).toEqual(new Set(['signing_paused']))
    expect(signatures()).toBe(1)
    expectNothingPrivate(required(retries[0]), service, { token, values: [customerAt(0)] })
  })
})

describe('a certificate that Entra does not know', () => {
  const unregister = () => {
    const [registered] = emulator.entra.certificates.registered('events')
    emulator.entra.certificates.unregister('events', required(registered).x5tS256)
  }
  const register = () => {
    const version = required(emulator.vaults[0]?.store.find('partner-signing')?.versions.at(-1))
    emulator.entra.certificates.register('events', version.der)
  }

  test('costs one signature for each pause under 200 callers who retry, and none is lost', async () => {
    unregister()
    const rounds: Answer[] = []
    const costs: string[] = []
    // Long before and just after the ends of pauses of 30, 60 and 120 s, and a quarter more at most: time goes on meanwhile.
    for (const shiftSeconds of [0, 5, 34, 20, 57, 40, 112]) {
      emulator.clock.shift(shiftSeconds)
      const before = [signatures(), service.exchanges().length] as const
      rounds.push(...(await askForAll()), ...(await askForAll()))
      costs.push(`${signatures() - before[0]} ${service.exchanges().length - before[1]}`)
    }
    register()

    // The second one asks with the signature of the first, which is young enough to be used again.
    expect(costs).toEqual(['1 1', '0 0', '0 1', '0 0', '1 1', '0 0', '1 1'])
    expect(codesOf(rounds)).toEqual(new Set(['entra_refused', 'entra_paused']))
    const fromMemory = required(rounds.findLast(({ status }) => status === 503))
    expectProblem(fromMemory, {
      status: 503,
      code: 'entra_paused',
      title: 'Entra is not asked again yet',
      detail: 'Entra does not accept the certificate of the application, or not yet.',
      retryAfterSeconds: Number(fromMemory.headers['retry-after']),
      entra: { errorCodes: [700027], whoMustAct: 'operator', traceId: 'told' },
    })
    expectNothingPrivate(fromMemory, service, { token })

    emulator.clock.shift(400)
    token = await service.callerToken('github')
    expect(codesOf(await askForAll())).toEqual(new Set(['served']))
  })

  test('does not fill the ledger: ten lines a minute of a caller, the rest is counted', async () => {
    unregister()
    const answers = [...(await askForAll()), ...(await askForAll())]
    register()
    await service.service.turnedAway.roll('every')

    const entries = service.entries()
    const lines = entries
      .filter((entry) => entry.kind === 'request.failed')
      .filter(({ code }) => code === 'ENTRA_REMEMBERED')
    expect(lines.length).toBeGreaterThanOrEqual(10)
    // Two minutes at most were begun meanwhile.
    expect(lines.length).toBeLessThanOrEqual(20)
    expect(new Set(lines.map(({ remembered }) => remembered))).toEqual(
      new Set(['ENTRA_CERTIFICATE_UNKNOWN']),
    )
    const counted = entries.filter((entry) => entry.kind === 'service.turned-away')
    expect(new Set(counted.map(({ reason, issuer }) => `${reason} ${issuer ?? ''}`))).toEqual(
      new Set(['ENTRA_REMEMBERED github']),
    )
    const rest = counted.reduce((sum, { count }) => sum + count, 0)
    expect(1 + lines.length + rest).toBe(answers.length)
  })

  test('keeps no other application from its tokens, nor this one from assertions', async () => {
    unregister()
    await ask(0)
    const json = { application: 'deploy', tenant: customerAt(0) }
    const assertion = await service.ask('POST /v1/assertion', { token, json })
    register()

    expect(assertion.status).toBe(200)
  })
})

describe('a tenant whose administrator must act', () => {
  test('is refused from memory, and no other tenant is', async () => {
    const block = {
      tenant: 'customer-0',
      client: 'events',
      reason: 'application-disabled',
    } as const
    emulator.entra.blocks.put(block)
    await ask(1)
    const [refused, again, other] = [await ask(0), await ask(0), await ask(2)]
    emulator.entra.blocks.lift(block)

    expect(refused).toMatchObject({ status: 502, body: { code: 'entra_refused' } })
    expect(again).toMatchObject({ status: 503, body: { code: 'entra_paused' } })
    expect(again.headers['retry-after']).toMatch(/^(2\d|3\d)$/)
    expect(other.status).toBe(200)
    expect(service.exchanges()).toHaveLength(3)
  })
})

describe('Entra that throttles', () => {
  test('is asked again when it said, and by nobody before', async () => {
    const clock = fixedClock(emulator.clock.nowSeconds())
    await service.stop()
    service = await startTestService({
      emulator,
      clock,
      configuration: forCustomers(customers),
      grants: grantsForCustomers,
    })
    strike(emulator, { ...exchanging, kind: 'throttle' })
    const refused = await ask(0)
    const again = await Promise.all([ask(0), ask(0)])

    expect(refused).toMatchObject({ status: 503, body: { code: 'entra_unavailable' } })
    expect(codesOf(again)).toEqual(new Set(['entra_paused']))
    clock.advance(2)
    expect((await ask(0)).status).toBe(200)
    expect(service.exchanges()).toHaveLength(2)
  })
})
