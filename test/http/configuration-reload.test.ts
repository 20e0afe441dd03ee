import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { createDpopClient } from '../support/dpop.ts'
import type { World } from '../../src/emulator/world.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, holdBack, signing, strike } from '../support/faults.ts'
import { required } from '../support/required.ts'
import { thumbprintOf } from '../support/standby.ts'
import {
  type Answer,
  cast,
  type ConfigurationFile,
  deployAsk,
  type GrantFile,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Requests while another configuration comes into force: before, during and after. */

/** Entra knows the certificate of the other application as one of `events` too. */
const world: World = {
  ...serviceWorld,
  applications: serviceWorld.applications.map((one) => ({
    ...one,
    certificates: serviceWorld.applications.flatMap(({ certificates }) => certificates),
  })),
}

let emulator: TestEmulator
beforeAll(async () => {
  emulator = await startServiceEmulator(world)
})
afterAll(() => emulator.stop())

let service: TestService
let token: string
let jobToken: string
beforeEach(async () => {
  service = await startTestService({ emulator })
  token = await service.callerToken('fabrikam-orders')
  jobToken = await service.callerToken('github')
  service.newEntries()
})
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})

type Change = (file: ConfigurationFile) => Partial<ConfigurationFile>

/** Writes the file, and returns when what it says is in force, or is not. */
async function configure(change: Change): Promise<'ok' | 'degraded'> {
  const file = join(service.folder, 'countersign.yaml')
  const before = parse(readFileSync(file, 'utf8')) as ConfigurationFile
  writeFileSync(file, stringify({ ...before, ...change(before) }, { aliasDuplicateObjects: false }))
  await service.service.reloading.configuration.look()
  const { standing } = service.service.reloading.configuration
  return standing === 'in-force' ? 'ok' : 'degraded'
}

const application =
  (name: string, some: object): Change =>
  ({ applications }) => ({
    applications: { ...applications, [name]: { ...required(applications[name]), ...some } },
  })

const issuer =
  (name: string, some: object): Change =>
  ({ issuers }) => ({
    issuers: { ...issuers, [name]: { ...required(issuers[name]), ...some } },
  })

const withoutIssuer =
  (name: string): Change =>
  ({ issuers }) => ({
    issuers: Object.fromEntries(Object.entries(issuers).filter(([one]) => one !== name)),
  })

const withoutApplication =
  (name: string): Change =>
  ({ applications }) => ({
    applications: Object.fromEntries(Object.entries(applications).filter(([one]) => one !== name)),
  })

/** Another one than `partners` has, which is proven already. */
const otherCertificate: Change = application('events', { certificate: 'deploy' })

/** `partners`, with some of it changed. */
const partners =
  (some: (deploy: ConfigurationFile['certificates'][string]) => object): Change =>
  ({ certificates }) => ({
    certificates: {
      ...certificates,
      partners: {
        ...required(certificates['partners']),
        ...some(required(certificates['deploy'])),
      },
    },
  })

/** Another one under the same name. */
const otherUnderItsName = partners(({ name }) => ({ name }))

/** Something that decides nothing about anybody who asks here. */
const unrelated = issuer('gitlab', { maxTokenSeconds: 1234 })

const askToken = (bearer = token, ask: object = ordersAsk) =>
  service.ask('POST /v1/token', { token: bearer, json: ask })
const askAssertion = () => service.ask('POST /v1/assertion', { token: jobToken, json: deployAsk })

const tokenSha256Of = (entry: Entry) => 'tokenSha256' in entry && entry.tokenSha256

const entriesOf = (kind: string) => service.entries().filter((entry) => entry.kind === kind)

/** What vaults call the keys that signatures were begun with since the last call. */
const newlySignedWith = () =>
  service
    .newEntries()
    .flatMap((entry) =>
      entry.kind === 'signature.begun' ? [new URL(entry.keyId).pathname.split('/')[2]] : [],
    )

/** Asks, and has the configuration changed while the vault or Entra keeps it waiting. */
async function during(
  ask: () => Promise<Answer>,
  at: typeof signing | typeof exchanging,
  change: Change,
): Promise<Answer> {
  const held = holdBack(emulator, at)
  const asked = ask()
  await held.reached()
  expect(await configure(change)).toBe('ok')
  held.letGo()
  return asked
}

const taken: readonly (readonly [string, Change, number])[] = [
  ['tenant', application('events', { tenants: [cast.northwind] }), 403],
  ['application', withoutApplication('events'), 403],
  ['issuer', withoutIssuer('fabrikam'), 401],
  ['tenant of an issuer', issuer('fabrikam', { tenants: [cast.contoso] }), 401],
]

test('what is proven of a configuration that cannot come into force is not proven again and again', async () => {
  const withCertificates = (...names: readonly string[]): Change => {
    return ({ certificates }) => {
      const { vault } = required(certificates['deploy'])
      const more = names.map((name) => [`spare-${name}`, { vault, name }] as const)
      return { certificates: { ...certificates, ...Object.fromEntries(more) } }
    }
  }
  expect(await configure(withCertificates('deploy-signing', 'missing'))).toBe('degraded')
  expect(await configure(unrelated)).toBe('degraded')
  const loaded = () => service.newEntries().filter(({ kind }) => kind === 'certificate.loaded')
  expect(loaded()).toMatchObject([{ certificate: 'spare-deploy-signing' }])

  const file = join(service.folder, 'countersign.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('name: missing', 'name: partner-signing'))
  await service.service.reloading.configuration.look()
  expect(service.service.reloading.configuration.standing).toBe('in-force')
  expect(loaded()).toMatchObject([{ certificate: 'spare-missing' }])
})

describe('a client id', () => {
  const swapped: Change = ({ applications }) => {
    const [events, deploy] = [required(applications['events']), required(applications['deploy'])]
    const as = ({ clientId, certificate }: typeof events) => ({ clientId, certificate })
    return {
      applications: {
        ...applications,
        events: { ...events, ...as(deploy) },
        deploy: { ...deploy, ...as(events) },
      },
    }
  }
  const askByClientId = async (clientId: string) => {
    const form = {
      grant_type: 'client_credentials',
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: token,
      scope: cast.orders,
    }
    return service.ask(`POST /${cast.fabrikam}/oauth2/v2.0/token`, { form })
  }

  test('that another application has by now is answered with no token of the one before', async () => {
    const asked = () => askByClientId(cast.eventsClientId)
    const answer = await during(asked, exchanging, swapped)
    expect(answer.status, answer.text).toBe(503)
    expect(answer.body).not.toHaveProperty('access_token')
    // Its grants decide about the one that has it now.
    expect((await asked()).body).toMatchObject({ error_codes: [700213] })
  })

  test('that its application keeps is answered with its token', async () => {
    const answer = await during(() => askByClientId(cast.eventsClientId), exchanging, unrelated)
    expect(answer.status, answer.text).toBe(200)
  })
})

describe('what a configuration takes away', () => {
  test.each(taken)('of a %s: is given to nobody from then on', async (_, change, status) => {
    expect((await askToken()).status).toBe(200)
    expect(await configure(change)).toBe('ok')
    service.newEntries()
    expect((await askToken()).status).toBe(status)
    expect(service.newEntries().map(({ kind }) => kind)).not.toContain('token.issued')
  })

  test.each(taken)('of a %s: is not given to who waits for it', async (_, change, status) => {
    expect((await during(askToken, exchanging, change)).status).toBe(status)
    expect(entriesOf('token.issued')).toEqual([])
    expect(service.newEntries().map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.made',
      'configuration.loaded',
      ...(status === 401 && change === taken[3]?.[1] ? [] : ['policy.loaded']),
      'exchange.succeeded',
      'request.refused',
    ])
  })

  test.each(taken)('of a %s: is not asked of Entra any more', async (_, change, status) => {
    expect((await during(askToken, signing, change)).status).toBe(status)
    expect(entriesOf('signature.made')).toHaveLength(1)
    expect(service.exchanges()).toEqual([])
  })

  test('of assertions: is not given to who waits for one', async () => {
    const change = application('deploy', { handOut: false })
    expect((await during(askAssertion, signing, change)).status).toBe(403)
    expect(entriesOf('assertion.issued')).toEqual([])
    expect(entriesOf('signature.made')).toHaveLength(1)
  })

  test('is dropped from the cache, and comes back only by another exchange', async () => {
    const { tenants } = required(
      (parse(readFileSync(join(service.folder, 'countersign.yaml'), 'utf8')) as ConfigurationFile)
        .applications['events'],
    )
    const elsewhere = { ...ordersAsk, tenant: cast.northwind, scope: cast.eventHubs }
    await askToken()
    await askToken(token, elsewhere)
    await configure(application('events', { tenants: [cast.northwind] }))
    await configure(application('events', { tenants }))
    const before = service.exchanges().length
    expect((await askToken()).status).toBe(200)
    expect(service.exchanges()).toHaveLength(before + 1)
    expect((await askToken(token, elsewhere)).status).toBe(200)
    expect(service.exchanges()).toHaveLength(before + 1)
  })
})

describe('a certificate that an application has no longer', () => {
  const replaced: readonly (readonly [string, Change])[] = [
    ['because it has another one', otherCertificate],
    ['because its name has come to mean another one', otherUnderItsName],
  ]
  test.each(replaced)('%s: nobody has its tokens from then on', async (_, change) => {
    expect((await askToken()).status).toBe(200)
    expect(newlySignedWith()).toEqual(['partner-signing'])
    expect(await configure(change)).toBe('ok')
    expect((await askToken()).status).toBe(200)
    expect(newlySignedWith()).toEqual(['deploy-signing'])
    // Neither come its tokens back with it.
    const back = (file: ConfigurationFile) => ({
      ...application('events', { certificate: 'partners' })(file),
      ...partners(() => ({ name: 'partner-signing' }))(file),
    })
    expect(await configure(back)).toBe('ok')
    expect((await askToken()).status).toBe(200)
    expect(newlySignedWith()).toEqual(['partner-signing'])
    expect(service.exchanges()).toHaveLength(3)
  })

  test.each(replaced)('%s: its token is not given to who waits for it', async (_, change) => {
    expect((await during(askToken, exchanging, change)).status).toBe(200)
    expect(newlySignedWith()).toEqual(['partner-signing', 'deploy-signing'])
    const obtained = entriesOf('exchange.succeeded').map(tokenSha256Of)
    expect(new Set(obtained).size).toBe(2)
    expect(entriesOf('token.issued').map(tokenSha256Of)).toEqual(obtained.slice(1))
  })

  test.each(replaced)('%s: what it signed last is not shown to Entra', async (_, change) => {
    expect((await during(askToken, signing, change)).status).toBe(200)
    expect(newlySignedWith()).toEqual(['partner-signing', 'deploy-signing'])
    expect(service.exchanges()).toHaveLength(1)
  })
})

test.each<readonly [string, Change]>([
  ['something else changes', unrelated],
  [
    'it is given one to stand by for it',
    partners(({ vault, name }) => ({ standby: { vault, name } })),
  ],
  [
    'it becomes the one that stands by',
    partners(({ vault, name }) => ({ name, standby: { vault, name: 'partner-signing' } })),
  ],
  [
    'it is called otherwise',
    (file) => ({
      ...application('events', { certificate: 'renamed' })(file),
      certificates: { ...file.certificates, renamed: required(file.certificates['partners']) },
    }),
  ],
])('what was obtained with a certificate is served when %s', async (_, change) => {
  expect((await askToken()).status).toBe(200)
  expect(await configure(change)).toBe('ok')
  expect((await askToken()).status).toBe(200)
  expect(service.exchanges()).toHaveLength(1)
})

describe('a pair that is swapped, to see if Entra knows the one that stood by', () => {
  const pair = partners(({ vault, name }) => ({ standby: { vault, name } }))
  const swapped = partners(({ vault, name }) => ({
    name,
    standby: { vault, name: 'partner-signing' },
  }))
  const askAnother = () => askToken(token, { ...ordersAsk, scope: cast.eventHubs })

  test('signs with that one', async () => {
    expect(await configure(pair)).toBe('ok')
    expect((await askToken()).status).toBe(200)
    expect(await configure(swapped)).toBe('ok')
    expect((await askAnother()).status).toBe(200)
    expect(newlySignedWith()).toEqual(['partner-signing', 'deploy-signing'])
    expect(entriesOf('certificate.switched')).toEqual([])
  })

  test('serves everybody all the same where Entra does not, and the ledger says so', async () => {
    const { certificates } = emulator.entra
    expect(await configure(pair)).toBe('ok')
    certificates.unregister('events', thumbprintOf(emulator, 'deploy-signing'))
    expect(await configure(swapped)).toBe('ok')
    expect((await askAnother()).status).toBe(200)
    const [vault] = emulator.vaults
    certificates.register(
      'events',
      required(vault?.store.find('deploy-signing')?.versions.at(-1)).der,
    )
    expect(newlySignedWith()).toEqual(['deploy-signing', 'partner-signing'])
    expect(entriesOf('certificate.switched')).toMatchObject([
      { application: 'events', reason: 'ENTRA_CERTIFICATE_UNKNOWN' },
    ])
  })
})

describe('who waits while a configuration comes into force that takes nothing from it', () => {
  test('has its token, of one signature and one exchange', async () => {
    expect((await during(askToken, exchanging, unrelated)).status).toBe(200)
    expect(entriesOf('token.issued')).toHaveLength(1)
    expect(entriesOf('signature.begun')).toHaveLength(1)
    expect(service.exchanges()).toHaveLength(1)
  })

  test('has its token by the signature that was made for it before', async () => {
    expect((await during(askToken, signing, unrelated)).status).toBe(200)
    expect(entriesOf('signature.begun')).toHaveLength(1)
    expect(service.exchanges()).toHaveLength(1)
  })

  test('has an assertion that was decided on by that configuration', async () => {
    expect((await during(askAssertion, signing, unrelated)).status).toBe(200)
    const kinds = service.newEntries().map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'assertion.issued')).toHaveLength(1)
    expect(kinds.indexOf('assertion.issued')).toBeGreaterThan(kinds.indexOf('configuration.loaded'))
  })

  test('has it by the proof of its key that it sent, which is good for nobody else', async () => {
    const client = await createDpopClient()
    const bound = await service.callerToken('github', {
      claims: { cnf: { jkt: client.thumbprint } },
    })
    const dpop = await client.proof({
      token: bound,
      htm: 'POST',
      htu: `${cast.publicUrl}/v1/token`,
      nowSeconds: service.clock.nowSeconds(),
    })
    const headers = { authorization: `DPoP ${bound}`, dpop }
    const ask = () => service.ask('POST /v1/token', { json: ordersAsk, headers })
    expect((await during(ask, exchanging, unrelated)).status).toBe(200)
    expect((await ask()).status).toBe(401)
  })
})

describe('a request', () => {
  test('is decided by one configuration, whole, however many come into force meanwhile', async () => {
    // Each allows one tenant, and by each the caller is proven in another way.
    const variants: readonly Change[] = [
      (file) => ({
        ...application('events', { tenants: [cast.fabrikam] })(file),
        ...issuer('fabrikam', { maxTokenSeconds: 90_000 })(file),
      }),
      (file) => ({
        ...application('events', { tenants: [cast.northwind] })(file),
        ...issuer('fabrikam', { maxTokenSeconds: 90_001 })(file),
      }),
    ]
    await askToken()
    await askToken(token, { ...ordersAsk, tenant: cast.northwind, scope: cast.eventHubs })
    let isOver = false
    const statuses = new Set<number>()
    const keepAsking = async (ask: object) => {
      while (!isOver) statuses.add((await askToken(token, ask)).status)
    }
    const asking = Array.from({ length: 8 }, (_, index) =>
      keepAsking(
        index % 2 === 0
          ? ordersAsk
          : { ...ordersAsk, tenant: cast.northwind, scope: cast.eventHubs },
      ),
    )
    for (let round = 0; round < 20; round += 1) {
      expect(await configure(required(variants[round % 2]))).toBe('ok')
      const gone = round % 2 === 0 ? cast.northwind : cast.fabrikam
      const ask = { ...ordersAsk, tenant: gone, scope: cast.eventHubs }
      expect((await askToken(token, ask)).status).toBe(403)
    }
    isOver = true
    await Promise.all(asking)
    expect([...statuses].toSorted()).toEqual([200, 403])
  }, 180_000)
})

describe('whoever asks to stop something', () => {
  const responder: GrantFile = {
    grant: 'incident-response',
    caller: { issuer: 'gitlab', claims: { project_id: '20' } },
    may: [{ admin: 'revoke' }],
  }
  const revokeWhile = async (change: Change) => {
    writeFileSync(join(service.folder, 'grants', 'responder.yaml'), stringify(responder))
    await service.service.reloading.grants.look()
    const held = holdBack(emulator, { at: 'issuer' })
    const asked = service.ask('POST /v1/revocations', {
      token: await service.callerToken('gitlab'),
      json: { tenant: cast.northwind },
    })
    // Its issuer is asked for keys.
    await held.reached()
    expect(await configure(change)).toBe('ok')
    held.letGo()
    return asked
  }

  test('is not let by one configuration for what another one has proven', async () => {
    const answer = await revokeWhile(issuer('gitlab', { require: { project_id: '21' } }))
    expect(answer.status).toBe(503)
    expect(entriesOf('revocation.made')).toEqual([])
  })

  test('is let by the one that has proven it, while that is in force', async () => {
    const answer = await revokeWhile(() => ({}))
    expect(answer.status).toBe(200)
  })
})

describe('what may change', () => {
  test('an issuer that requires more proves nobody whom it proved before without that', async () => {
    expect((await service.ask('POST /v1/token', { token: jobToken, json: ordersAsk })).status).toBe(
      200,
    )
    const require = { repository_owner_id: '987', environment: 'staging' }
    expect(await configure(issuer('github', { require }))).toBe('ok')
    expect((await service.ask('POST /v1/token', { token: jobToken, json: ordersAsk })).status).toBe(
      401,
    )
  })

  test('an issuer that is away keeps nobody out whose keys are known', async () => {
    await service.ask('POST /v1/token', { token: jobToken, json: ordersAsk })
    strike(emulator, { at: 'issuer', kind: 'server-error', times: 1000 })
    expect(await configure(unrelated)).toBe('ok')
    expect((await service.ask('POST /v1/token', { token: jobToken, json: ordersAsk })).status).toBe(
      200,
    )
  })

  test('an application with another certificate signs with that one, which is proven first', async () => {
    await askToken()
    expect(
      await configure((file) => ({
        ...application('events', { certificate: 'second' })(file),
        certificates: { ...file.certificates, second: required(file.certificates['deploy']) },
      })),
    ).toBe('ok')
    expect(service.newEntries().map(({ kind }) => kind)).toContain('certificate.loaded')
    expect(
      service.service.credentials.proven.map(({ certificate }) => certificate).toSorted(),
    ).toEqual(['deploy', 'partners', 'second'])
    // Proven before, and so not read again.
    expect(entriesOf('certificate.loaded')).toHaveLength(3)
    expect((await askToken()).status).toBe(200)
    expect(newlySignedWith()).toEqual(['deploy-signing'])
  })

  test('an application with another client id is asked for anew, whatever Entra has refused the one before', async () => {
    const clientId = '99999999-0000-4000-8000-000000000009'
    expect(await configure(application('events', { clientId }))).toBe('ok')
    expect((await askToken()).status).not.toBe(200)
    expect((await askToken()).status).not.toBe(200)
    expect(service.exchanges()).toHaveLength(1)
    const mended = application('events', { clientId: cast.eventsClientId })
    expect(await configure(mended)).toBe('ok')
    expect((await askToken()).status).toBe(200)
  })

  test('a grant allows what it names as soon as that is configured', async () => {
    const grant = {
      grant: 'later',
      caller: { issuer: 'fabrikam', claims: { oid: cast.workloadObjectId } },
      may: [{ application: 'later', tenant: cast.fabrikam, scopes: [cast.orders] }],
    }
    writeFileSync(join(service.folder, 'grants', 'later.yaml'), stringify(grant))
    await service.service.reloading.grants.look()
    expect((await service.ask('GET /readyz')).body).toMatchObject({ grants: 'degraded' })
    expect(
      await configure(({ applications }) => {
        const { events, ...others } = applications
        return { applications: { ...others, later: required(events) } }
      }),
    ).toBe('ok')
    const loaded = entriesOf('policy.loaded').at(-1)
    expect(loaded).toMatchObject({ added: ['later'], widened: ['later'] })
    expect((await askToken(token, { ...ordersAsk, application: 'later' })).status).toBe(200)
  })

  test('nothing is in force that cannot be written down', async () => {
    await service.service.ledger.close()
    await expect(configure(withoutIssuer('fabrikam'))).rejects.toMatchObject({
      code: 'LEDGER_CLOSED',
    })
    expect(service.service.reloading.configuration.standing).toBe('differs')
    expect((await askToken()).status).toBe(503)
  })
})
