import { createHash, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  createClientAuthority,
  type ClientAuthority,
  type ClientCredential,
} from '../../src/emulator/clients/client-authority.ts'
import { required } from '../support/required.ts'
import {
  cast,
  deployAsk,
  type GrantFile,
  ordersAsk,
  startServiceEmulator,
  type Answer,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startTlsService, type TlsService } from '../support/tls-service.ts'
import { whyOf } from '../support/turned-away.ts'

let tls: TlsService
let service: TestService
let clients: ClientAuthority
/** With CAs of their own, as every issuer has. */
let hosts: ClientAuthority
let people: ClientAuthority
let pinned: ClientAuthority
let pinnedClient: ClientCredential

const export_ = 'spiffe://fabrikam.example/billing/export'
const admin = 'spiffe://fabrikam.example/security/on-call'
const few = 'spiffe://fabrikam.example/few'

function granted(issuer: string, claims: GrantFile['caller']['claims']): GrantFile {
  return {
    grant: `by-${issuer}`,
    caller: { issuer, claims },
    may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  }
}

beforeAll(async () => {
  const emulator = await startServiceEmulator()
  clients = emulator.clients
  hosts = await createClientAuthority(emulator.clock)
  people = await createClientAuthority(emulator.clock)
  pinned = await createClientAuthority(emulator.clock)
  pinnedClient = await pinned.issue(clientOrder({ names: [] }))
  tls = await startTlsService({
    emulator,
    issuers: ({ endpoints }, _, files) => {
      const caFile = (name: string, { certificatePem }: ClientAuthority) =>
        files.write(`${name}.pem`, certificatePem)
      return {
        edge: {
          kind: 'mtls',
          caFile: endpoints.clientCaFile,
          identity: 'uri',
          trustDomain: 'fabrikam.example',
        },
        hosts: { kind: 'mtls', caFile: caFile('hosts', hosts), identity: 'dns' },
        people: { kind: 'mtls', caFile: caFile('people', people), identity: 'email' },
        pinned: { kind: 'mtls', caFile: caFile('pinned', pinned), identity: 'thumbprint' },
      }
    },
    grants: [
      {
        ...granted('edge', { uri: export_ }),
        may: [
          ...granted('edge', {}).may,
          { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
        ],
      },
      {
        ...granted('edge', { uri: admin }),
        grant: 'incident-response',
        may: [{ admin: 'revoke' }],
      },
      {
        ...granted('edge', { uri: { like: `${few}/*` } }),
        grant: 'a-few-each',
        limits: { perCallerPerMinute: 1 },
      },
      granted('hosts', { dns: { like: '*.orders.fabrikam.example' } }),
      {
        ...granted('hosts', { dns: { like: '*.meters.fabrikam.example' } }),
        grant: 'one-each',
        limits: { perCallerPerMinute: 1 },
      },
      granted('people', { email: 'octavia@fabrikam.example' }),
      granted('pinned', { thumbprint: thumbprintOf(pinnedClient) }),
    ],
  })
  service = tls.service
})
afterAll(() => tls.stop())

// So many lines of a minute are written for each reason, and no more.
beforeEach(() => {
  service.emulator.clock.shift(60)
})

const leafOf = ({ certificatePem }: ClientCredential) => new X509Certificate(certificatePem)

const thumbprintOf = (client: ClientCredential) =>
  createHash('sha256').update(leafOf(client).raw).digest('hex')

const x5tS256Of = (client: ClientCredential) =>
  createHash('sha256').update(leafOf(client).raw).digest('base64url')

const askAs = (client: ClientCredential | undefined, token?: string): Promise<Answer> =>
  service.ask('POST /v1/token', {
    json: ordersAsk,
    dispatcher: tls.files.connections(client),
    ...(token === undefined ? {} : { token }),
  })

describe('a client certificate', () => {
  test('proves a SPIFFE workload, and the ledger recognises it', async () => {
    const client = await clients.issue(clientOrder())
    service.newEntries()
    expect((await askAs(client)).status).toBe(200)

    const entry = required(service.newEntries().find(({ kind }) => kind === 'token.issued'))
    expect(entry).toMatchObject({
      grant: 'by-edge',
      caller: { issuer: 'edge', subject: export_, certificateSha256: x5tS256Of(client) },
    })
    expect(entry).not.toHaveProperty('caller.tokenSha256')
  })

  test.each<[string, () => ClientAuthority, string[], string]>([
    ['a host', () => hosts, ['API.orders.fabrikam.example'], 'api.orders.fabrikam.example'],
    ['a person', () => people, ['octavia@fabrikam.example'], 'octavia@fabrikam.example'],
  ])('proves %s by its one name', async (_, authority, names, subject) => {
    service.newEntries()
    const client = await authority().issue(clientOrder({ names: [...names, export_] }))
    expect((await askAs(client)).status).toBe(200)
    expect(service.newEntries()).toContainEqual(
      expect.objectContaining({ caller: expect.objectContaining({ subject }) as unknown }),
    )
  })

  test('proves by its thumbprint itself, and no other of the same CA', async () => {
    expect((await askAs(pinnedClient)).status).toBe(200)
    const another = await askAs(await pinned.issue(clientOrder({ names: [] })))
    expect(another.status).toBe(403)
  })

  test('of a name that no grant has is proven and gets nothing', async () => {
    const names = ['spiffe://fabrikam.example/billing/other']
    const answer = await askAs(await clients.issue(clientOrder({ names })))
    expect(answer.status).toBe(403)
    expect(whyOf(service, answer)).toContain('caller_not_named')
  })

  test('has its own share of a grant that limits each caller', async () => {
    const ask = async (host: string) =>
      (await askAs(await hosts.issue(clientOrder({ names: [`${host}.meters.fabrikam.example`] }))))
        .status
    expect([await ask('a'), await ask('b'), await ask('a')]).toEqual([200, 200, 429])
  })

  const refused = 'caller_certificate_refused'

  test('is of the issuer whose CA signed it, whatever name it has', async () => {
    // All CAs of these issuers have one name, and this one is granted at another issuer.
    const answer = await askAs(await hosts.issue(clientOrder({ names: [export_] })))
    expect(whyOf(service, answer).slice(0, 2)).toEqual([refused, 'hosts'])
  })

  test('counts no longer than it lives, on a connection that lives on', async () => {
    const dispatcher = tls.files.connections(
      await clients.issue(clientOrder({ lifetimeSeconds: 120 })),
    )
    const ask = () => service.ask('POST /v1/token', { json: ordersAsk, dispatcher })
    expect((await ask()).status).toBe(200)
    service.emulator.clock.shift(80)
    expect((await ask()).status).toBe(200)
    service.emulator.clock.shift(50)
    const answer = await ask()
    expect(answer.status).toBe(401)
    expect(whyOf(service, answer)).toEqual([refused, 'edge', 'expired'])
  })

  test('is what a connection without one lacks', async () => {
    const answer = await askAs(undefined)
    expect(answer.status).toBe(401)
    expect(whyOf(service, answer)).toContain('caller_token_missing')
  })

  test('does not answer for an Authorization of another kind', async () => {
    const answer = await service.ask('POST /v1/token', {
      json: ordersAsk,
      dispatcher: tls.files.connections(await clients.issue(clientOrder())),
      headers: { authorization: 'Basic Y2xpZW50OnNlY3JldA==' },
    })
    expect(whyOf(service, answer)).toContain('caller_token_missing')
  })

  test('gets assertions too, on every route that has them', async () => {
    const dispatcher = tls.files.connections(await clients.issue(clientOrder()))
    const byUrl = await service.ask(`GET /v1/assertion/deploy/${cast.fabrikam}`, { dispatcher })
    const byBody = await service.ask('POST /v1/assertion', { json: deployAsk, dispatcher })
    expect([byUrl.status, byBody.status]).toEqual([200, 200])
  })
})

describe('a token beside a certificate', () => {
  test('proves its bearer where the certificate is nobody’s here', async () => {
    const stranger = await clients.issue(clientOrder({ wrong: 'self-signed' }))
    expect((await askAs(stranger, await service.callerToken('github'))).status).toBe(200)
  })

  test.each([undefined, 'expired'] as const)(
    'proves nobody where the certificate is a proof of its own (%s)',
    async (wrong) => {
      const client = await clients.issue(clientOrder(wrong === undefined ? {} : { wrong }))
      const answer = await askAs(client, await service.callerToken('github'))
      expect(answer.status).toBe(401)
      expect(whyOf(service, answer)).toEqual(['caller_two_proofs', 'github', 'certificate'])
    },
  )

  const boundTo = (cnf: unknown) => service.callerToken('github', { claims: { cnf } })

  test('counts when it is bound to it, whether or not the certificate is an issuer’s', async () => {
    for (const wrong of [undefined, 'self-signed'] as const) {
      const client = await clients.issue(clientOrder(wrong === undefined ? {} : { wrong }))
      service.newEntries()
      const token = await boundTo({ 'x5t#S256': x5tS256Of(client) })
      expect((await askAs(client, token)).status).toBe(200)
      expect(service.newEntries()).toContainEqual(
        expect.objectContaining({ grant: 'deploy-pipeline' }),
      )
    }
  })

  test('does not count with another certificate or with none, even a moment later', async () => {
    const [client, thief] = [
      await clients.issue(clientOrder({ wrong: 'self-signed' })),
      await clients.issue(clientOrder({ wrong: 'self-signed' })),
    ]
    const token = await boundTo({ 'x5t#S256': x5tS256Of(client) })
    expect((await askAs(client, token)).status).toBe(200)
    const [another, none] = [await askAs(thief, token), await askAs(undefined, token)]
    expect([another.status, none.status]).toEqual([401, 401])
    expect(whyOf(service, another)).toEqual([
      'caller_binding_unproven',
      'github',
      'another certificate',
    ])
    expect(whyOf(service, none)).toEqual(['caller_binding_unproven', 'github', 'no certificate'])
    expect((await askAs(client, token)).status).toBe(200)
  })

  test.each([
    ['an unknown way', { kid: 'a' }],
    ['two ways', { 'x5t#S256': 'a'.repeat(43), jkt: 'b'.repeat(43) }],
    ['a known way and more', { 'x5t#S256': 'a'.repeat(43), jku: 'https://elsewhere.example' }],
    ['no way', {}],
    ['null', null],
    ['a text', 'x5t#S256'],
    ['a thumbprint of another length', { 'x5t#S256': 'a' }],
  ])('proves nobody when it is bound in %s', async (_, cnf) => {
    // As the mint leaves null out, it is put inside.
    const token = await service.callerToken('github', {
      claims: { cnf: cnf === null ? [null] : cnf },
    })
    const answer = await askAs(undefined, token)
    expect(answer.status).toBe(401)
    expect(whyOf(service, answer)).toEqual(['caller_binding_unknown', 'github', 'cnf'])
  })
})

describe('whoever a certificate proves', () => {
  const issue = (name: string) => clients.issue(clientOrder({ names: [name] }))

  test('may revoke, be revoked, with whichever certificate, and be let go on', async () => {
    const [onCall, workload, renewed] = [
      await issue(admin),
      await issue(export_),
      await issue(export_),
    ]
    const over = (client: ClientCredential) => ({ dispatcher: tls.files.connections(client) })
    const assertion = () =>
      service.ask('POST /v1/assertion', { json: deployAsk, ...over(workload) })
    expect((await askAs(workload)).status).toBe(200)
    service.newEntries()

    const caller = { issuer: 'edge', subject: export_ }
    const revoked = await service.ask('POST /v1/revocations', { json: { caller }, ...over(onCall) })
    expect(revoked).toMatchObject({
      status: 200,
      body: { outstanding: { tokens: [{ lastGivenTo: caller }] } },
    })
    const [made] = service.newEntries()
    expect(made).toMatchObject({
      kind: 'revocation.made',
      caller: { issuer: 'edge', subject: admin, certificateSha256: x5tS256Of(onCall) },
    })
    expect(made).not.toHaveProperty('caller.tokenSha256')
    for (const answer of [await askAs(workload), await askAs(renewed), await assertion()]) {
      expect(answer).toMatchObject({ status: 403, body: { code: 'revoked' } })
    }

    const { id } = (revoked.body as { revocation: { id: string } }).revocation
    const lift = (client: ClientCredential) =>
      service.ask(`DELETE /v1/revocations/${id}`, over(client))
    expect(await lift(workload)).toMatchObject({ status: 403, body: { code: 'not_granted' } })
    expect((await lift(onCall)).status).toBe(200)
    expect((await askAs(renewed)).status).toBe(200)
    expect((await assertion()).status).toBe(200)
  })

  test('has a limit of its own, by its name', async () => {
    const [noisy, quiet] = [await issue(`${few}/noisy`), await issue(`${few}/quiet`)]
    expect((await askAs(noisy)).status).toBe(200)
    expect(await askAs(noisy)).toMatchObject({ body: { code: 'limit_reached' } })
    expect((await askAs(quiet)).status).toBe(200)
  })
})
