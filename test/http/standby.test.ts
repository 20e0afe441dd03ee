import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { signing, strike } from '../support/faults.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { expectNothingPrivate } from '../support/problems.ts'
import { required } from '../support/required.ts'
import { thumbprintOf, withStandby, worldWithStandby } from '../support/standby.ts'
import {
  type Answer,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
  type TestServiceOptions,
} from '../support/test-service.ts'

/** Two vaults, a certificate in each, and both of them registered: one stands by for the other. */

const customers = 60

let emulator: TestEmulator
let service: TestService
let token: string

beforeAll(async () => {
  emulator = await startServiceEmulator(worldWithStandby(worldWithCustomers(customers)))
})
afterEach(async () => {
  emulator.faults.clear()
  await Promise.all(emulator.vaults.map((vault) => vault.comeBack()))
  await service.stop()
})
afterAll(() => emulator.stop())

interface Start extends Pick<TestServiceOptions, 'certificates'> {
  readonly standby?: 'configured' | 'absent'
  readonly headroom?: number
}

async function start({ standby = 'configured', headroom = 0.8, ...options }: Start = {}) {
  const customersToo = forCustomers(customers)
  service = await startTestService({
    emulator,
    grants: grantsForCustomers,
    configuration: (file) => ({
      ...(standby === 'configured'
        ? withStandby(emulator)(customersToo(file))
        : customersToo(file)),
      governor: { headroom },
    }),
    ...options,
  })
  token = await service.callerToken('github', { lifetimeSeconds: 3600 })
}

const vaultOf = (name: string) => required(emulator.vaults.find((vault) => vault.name === name))
const leave = (name: string) => vaultOf(name).leave()

const ask = (customer: number) =>
  service.ask('POST /v1/token', { token, json: { ...ordersAsk, tenant: customerAt(customer) } })

async function askInTurn(from: number, count: number): Promise<readonly Answer[]> {
  const answers = []
  for (let customer = from; customer < from + count; customer += 1)
    answers.push(await ask(customer))
  return answers
}

const switches = () =>
  service
    .entries()
    .filter((entry) => entry.kind === 'certificate.switched')
    .map(({ certificate, application, from, to, reason }) => ({
      certificate,
      application,
      way: `${from} to ${to}`,
      reason,
    }))

const toStandby = { certificate: 'partners', application: 'events', way: 'primary to standby' }
const toPrimary = { certificate: 'partners', application: 'events', way: 'standby to primary' }

/** Which certificates Entra has accepted, in the order of the exchanges. */
const certificatesAccepted = () =>
  service
    .exchanges()
    .flatMap(({ outcome }) => (outcome.kind === 'issued' ? [outcome.certificate] : []))

describe('at the start', () => {
  test('both are proven, and the primary signs', async () => {
    await start()
    const loaded = service.entries().filter((entry) => entry.kind === 'certificate.loaded')
    const ofPartners = loaded.filter(({ certificate }) => certificate === 'partners')
    const named = ofPartners.map(
      ({ standby, keyId }) => `${new URL(keyId).pathname.split('/')[2] ?? ''} ${standby ?? ''}`,
    )
    expect(named.toSorted()).toEqual(['partner-signing ', 'partner-standby true'])

    expect((await ask(0)).status).toBe(200)
    expect(certificatesAccepted()).toEqual([thumbprintOf(emulator, 'partner-signing')])
    expect(switches()).toEqual([])
  })

  test('a primary whose vault is away keeps the standby from nothing, and comes later', async () => {
    await leave('contoso-hsm')
    await start({ certificates: 'later' })
    // The other certificate has no standby: it keeps the service from being ready.
    await expect(service.service.credentials.prove()).rejects.toMatchObject({
      code: 'CERTIFICATE_UNREACHABLE',
      transient: true,
    })
    expect((await ask(0)).status).toBe(200)
    expect(certificatesAccepted()).toEqual([thumbprintOf(emulator, 'partner-standby')])
    expect(switches()).toEqual([{ ...toStandby, reason: 'CERTIFICATE_NOT_PROVEN' }])

    await vaultOf('contoso-hsm').comeBack()
    await service.service.credentials.prove()
    emulator.clock.shift(40)
    expect((await ask(1)).status).toBe(200)
    expect(certificatesAccepted().at(-1)).toBe(thumbprintOf(emulator, 'partner-signing'))
    expect(switches().slice(1)).toEqual([{ ...toPrimary, reason: 'SERVES_AGAIN' }])
  })

  test('a standby whose vault is away keeps the primary from nothing, and the service is ready', async () => {
    await leave('contoso-standby')
    await start()
    const missing = await service.service.credentials.prove()

    expect(missing).toMatchObject([{ code: 'CERTIFICATE_UNREACHABLE', certificate: 'partners' }])
    expect((await ask(0)).status).toBe(200)
    expect((await service.ask('GET /readyz')).status).toBe(200)
  })
})

describe('a vault that is away', () => {
  test('is stood in for: three fail before it is known, and one line tells of the switch', async () => {
    await start()
    await leave('contoso-hsm')
    const answers = await askInTurn(0, 20)

    expect(answers.filter(({ status }) => status !== 200).length).toBeLessThanOrEqual(3)
    expect(new Set(certificatesAccepted())).toEqual(
      new Set([thumbprintOf(emulator, 'partner-standby')]),
    )
    expect(switches()).toHaveLength(1)
    expect(switches()).toMatchObject([toStandby])
  })

  test('signs again when it is back, and one line tells of that', async () => {
    await start()
    await leave('contoso-hsm')
    await askInTurn(0, 10)
    await vaultOf('contoso-hsm').comeBack()
    const meanwhile = await askInTurn(10, 5)
    emulator.clock.shift(60)
    const afterwards = await askInTurn(20, 10)

    expect([...meanwhile, ...afterwards].every(({ status }) => status === 200)).toBe(true)
    expect(certificatesAccepted().slice(-8)).toEqual(
      Array(8).fill(thumbprintOf(emulator, 'partner-signing')),
    )
    expect(switches()).toHaveLength(2)
    expect(switches()[1]).toEqual({ ...toPrimary, reason: 'SERVES_AGAIN' })
  })

  test('is missed by callers when nothing stands in: they fail fast, and are told when to come', async () => {
    await start({ standby: 'absent' })
    await leave('contoso-hsm')
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(index)))

    for (const answer of answers) {
      expect(answer.status).toBe(503)
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    }
    expectNothingPrivate(required(answers[0]), service, { token })
    await vaultOf('contoso-hsm').comeBack()
    emulator.clock.shift(60)
    expect((await ask(0)).status).toBe(200)
  })

  test('takes the standby with it when both are away', async () => {
    await start()
    await leave('contoso-hsm')
    await leave('contoso-standby')
    const answers = await askInTurn(0, 8)

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
  })
})

describe('a vault that throttles', () => {
  test('is stood in for at once by the one with a budget of its own', async () => {
    await start()
    strike(emulator, {
      ...signing,
      match: '/keys/partner-signing/',
      kind: 'throttle',
      times: 1_000,
    })
    const answers = await askInTurn(0, 20)

    expect(answers.filter(({ status }) => status !== 200).length).toBeLessThanOrEqual(1)
    expect(switches()).toHaveLength(1)
  })
})

describe('a queue that cannot serve in time', () => {
  test('sends on to the standby what it cannot', async () => {
    // Twenty in ten seconds, four of which the start has spent, and patience for one more window.
    await start({ headroom: 0.01 })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(index)))

    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(45)
    const byVault = Object.groupBy(certificatesAccepted(), (certificate) => certificate)
    expect(byVault[thumbprintOf(emulator, 'partner-standby')]?.length).toBeGreaterThan(10)
    expect(byVault[thumbprintOf(emulator, 'partner-signing')]?.length).toBeGreaterThan(10)
    expect(switches()[0]).toEqual({ ...toStandby, reason: 'GOVERNOR_BUDGET_SPENT' })
    expect(switches().length).toBeLessThanOrEqual(2)
  })
})
