import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { liftedEntry, revokedEntry } from '../support/entries.ts'
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

async function askInTurn(from: number, count: number): Promise<Answer[]> {
  const answers: Answer[] = []
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
    .flatMap(({ outcome }) => (outcome.kind === 'issued' ? [outcome.certificate ?? ''] : []))

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

  test('a primary whose key version is revoked signs nothing until that is lifted, and the ledger says why', async () => {
    await start()
    const primary = required(
      service.service.credentials.proven.find(
        ({ certificate, place }) => certificate === 'partners' && place === 'primary',
      ),
    )
    const made = {
      ...revokedEntry('1', 1),
      revoked: { what: 'key-version', keyId: primary.key.keyId },
    } as const
    await service.service.ledger.append([made], { decidedUnder: 0 })
    expect((await ask(0)).status).toBe(200)
    expect(switches()).toEqual([{ ...toStandby, reason: 'CERTIFICATE_KEY_REVOKED' }])

    await service.service.ledger.append([liftedEntry('1', 2)], { decidedUnder: 1 })
    emulator.clock.shift(40)
    expect((await ask(1)).status).toBe(200)
    expect(certificatesAccepted()).toEqual([
      thumbprintOf(emulator, 'partner-standby'),
      thumbprintOf(emulator, 'partner-signing'),
    ])
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
    // The first one finds out whether Entra knows it; the next one has the duty.
    expect((await askInTurn(1, 2)).map(({ status }) => status)).toEqual([200, 200])
    const primary = thumbprintOf(emulator, 'partner-signing')
    expect(certificatesAccepted().slice(1)).toEqual([primary, primary])
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
  test('is stood in for at once, and one line tells of the switch', async () => {
    await start()
    await leave('contoso-hsm')
    const answers = await askInTurn(0, 20)

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(certificatesAccepted())).toEqual(
      new Set([thumbprintOf(emulator, 'partner-standby')]),
    )
    expect(switches()).toEqual([{ ...toStandby, reason: 'SIGNER_UNAVAILABLE' }])
  })

  test('costs the attempt that finds it out two begun signatures, each with its end', async () => {
    await start()
    service.newEntries()
    await leave('contoso-hsm')
    const answer = await ask(0)
    const attempt = answer.headers['countersign-attempt']

    const entries = service.newEntries()
    expect(entries.map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.failed',
      'certificate.switched',
      'signature.begun',
      'signature.made',
      'exchange.succeeded',
      'token.issued',
    ])
    const begun = entries.filter((entry) => entry.kind === 'signature.begun')
    expect(begun).toMatchObject([{ attempt }, { attempt }])
    expect(begun.map(({ keyId }) => new URL(keyId).pathname.split('/')[2])).toEqual([
      'partner-signing',
      'partner-standby',
    ])
    expect(entries[2]).toMatchObject({
      signature: begun[0]?.signature,
      code: 'SIGNER_UNAVAILABLE',
      applied: 'no',
    })
  })

  test.each([
    { kind: 'drop-after' },
    { kind: 'server-error-after', status: 408 },
    { kind: 'server-error-after', status: 499 },
  ] as const)(
    'that may have signed ($kind $status) is not stood in for by the attempt: nothing is signed twice in silence',
    async (fault) => {
      await start()
      strike(emulator, { ...signing, match: '/keys/partner-signing/', ...fault })
      const answer = await ask(0)

      expect(answer).toMatchObject({ status: 503, body: { code: 'signing_unavailable' } })
      expect(service.vaultRecords().map(({ operationName }) => operationName)).toEqual(['KeySign'])
      expect((await ask(0)).status).toBe(200)
      expect(switches()).toEqual([])
    },
  )

  test('that fails without a word is stood in for after the third time', async () => {
    await start()
    strike(emulator, {
      ...signing,
      match: '/keys/partner-signing/',
      kind: 'drop-before',
      times: 1_000,
    })
    const answers = await askInTurn(0, 10)

    expect(answers.map(({ status }) => status)).toEqual([
      ...Array<number>(3).fill(503),
      ...Array<number>(7).fill(200),
    ])
    expect(switches()).toEqual([{ ...toStandby, reason: 'SIGNER_UNAVAILABLE' }])
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

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(switches()).toEqual([{ ...toStandby, reason: 'SIGNER_THROTTLED' }])
  })
})

describe('a certificate that Entra does not know', () => {
  test('is stood in for by the other one, for one signature more in each pause', async () => {
    const { certificates } = emulator.entra
    const thumbprint = thumbprintOf(emulator, 'partner-signing')
    certificates.unregister('events', thumbprint)
    await start()
    const answers = await askInTurn(0, 10)
    emulator.clock.shift(38)
    answers.push(...(await askInTurn(10, 10)))
    const signatures = service.vaultRecords().length
    const version = required(vaultOf('contoso-hsm').store.find('partner-signing')?.versions.at(-1))
    certificates.register('events', version.der)

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(signatures).toBe(20 + 2)
    // The one that asked again after the pause was to find out, and changed nothing.
    expect(switches()).toEqual([{ ...toStandby, reason: 'ENTRA_CERTIFICATE_UNKNOWN' }])

    emulator.clock.shift(120)
    expect((await ask(20)).status).toBe(200)
    expect((await ask(21)).status).toBe(200)
    expect(certificatesAccepted().slice(-2)).toEqual([thumbprint, thumbprint])
    expect(switches().slice(1)).toEqual([{ ...toPrimary, reason: 'SERVES_AGAIN' }])
  })
})

describe('a key that is disabled', () => {
  test('is stood in for, in the attempt that finds it out and in those after it', async () => {
    await start()
    const path = '/vaults/contoso-hsm/certificates/partner-signing'
    await emulator.control(`POST ${path}/disable`)
    const answers = await askInTurn(0, 5)
    await emulator.control(`POST ${path}/enable`)

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(service.vaultRecords()).toHaveLength(5 + 1)
    expect(switches()).toEqual([{ ...toStandby, reason: 'SIGNER_KEY_DISABLED' }])
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
