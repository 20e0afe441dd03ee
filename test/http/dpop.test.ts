import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { JWTHeaderParameters, JWTPayload } from 'jose'
import { callerAlgorithms } from '../../src/base/caller-algorithms.ts'
import type { ClientCredential } from '../../src/emulator/clients/client-authority.ts'
import { createDpopClient, type DpopClient } from '../support/dpop.ts'
import {
  callerNotProven,
  dpopChallenge,
  expectNothingPrivate,
  expectProblem,
} from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  cast,
  deployAsk,
  ordersAsk,
  type Answer,
  type TestService,
} from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startTlsService, type TlsService } from '../support/tls-service.ts'
import { whyOf } from '../support/turned-away.ts'

let tls: TlsService
let service: TestService
let client: DpopClient
let thief: DpopClient
/** Bound to the client's key. */
let token: string

beforeAll(async () => {
  tls = await startTlsService({
    issuers: (_, { gitlab, cluster }) => ({
      gitlab: { ...required(gitlab), boundTokens: 'either' },
      cluster: { ...required(cluster), boundTokens: 'certificate' },
    }),
    grants: [
      {
        grant: 'gitlab',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
    ],
  })
  service = tls.service
  client = await createDpopClient()
  thief = await createDpopClient()
})
afterAll(() => tls.stop())

// So many lines of a minute are written for each reason, and no more.
beforeEach(async () => {
  service.emulator.clock.shift(60)
  token = await boundTo(client)
})

const boundTo = ({ thumbprint }: DpopClient) =>
  service.callerToken('github', { claims: { cnf: { jkt: thumbprint } } })

const route = 'POST /v1/token'

const target = (changes: { token?: string; htu?: string; htm?: string } = {}) => ({
  token,
  htm: 'POST',
  htu: `${cast.publicUrl}/v1/token`,
  nowSeconds: service.clock.nowSeconds(),
  ...changes,
})

interface Sending {
  readonly authorization?: string
  readonly dpop?: string
  readonly certificate?: ClientCredential
}

const send = (
  { authorization = `DPoP ${token}`, dpop, certificate }: Sending,
  request: string = route,
  json: object | null = ordersAsk,
): Promise<Answer> =>
  service.ask(request, {
    ...(json === null ? {} : { json }),
    headers: { authorization, ...(dpop === undefined ? {} : { dpop }) },
    dispatcher: tls.files.connections(certificate),
  })

/** Of a proof that is wrong, of a token that wants one, and of any other. */
const proofIsWrong = dpopChallenge('invalid_dpop_proof')
const proofIsWanted = dpopChallenge('invalid_token')
const bearer = 'Bearer error="invalid_token"'

function expectTurnedAway(
  answer: Answer,
  reason: string,
  detail: string,
  wwwAuthenticate = reason === 'caller_dpop_refused' ? proofIsWrong : proofIsWanted,
) {
  expectProblem(answer, { ...callerNotProven, wwwAuthenticate })
  expectNothingPrivate(answer, service, { token })
  const [toldReason, , toldDetail] = whyOf(service, answer)
  expect([toldReason, toldDetail]).toEqual([reason, detail])
}

describe('a token that is bound to a key', () => {
  test('counts with a proof of that key, on every route', async () => {
    expect((await send({ dpop: await client.proof(target()) })).status).toBe(200)
    const byBody = { ...target(), htu: `${cast.publicUrl}/v1/assertion` }
    const assertion = await send(
      { dpop: await client.proof(byBody) },
      'POST /v1/assertion',
      deployAsk,
    )
    expect(assertion.status).toBe(200)
    const path = `/v1/assertion/deploy/${cast.fabrikam}`
    const byUrl = { ...target(), htm: 'GET', htu: `${cast.publicUrl}${path}` }
    const query = `?audience=${encodeURIComponent('api://AzureADTokenExchange')}`
    const value = await send({ dpop: await client.proof(byUrl) }, `GET ${path}${query}`, null)
    expect(value.status).toBe(200)
  })

  test.each(callerAlgorithms)('counts with a proof by %s', async (algorithm) => {
    const other = await createDpopClient(algorithm)
    token = await boundTo(other)
    expect((await send({ dpop: await other.proof(target()) })).status).toBe(200)
  })

  test.each([
    ['other letters in scheme and host', 'HTTPS://Countersign.Contoso.Example/v1/token'],
    ['the port that https has', 'https://countersign.contoso.example:443/v1/token'],
    ['a query and a fragment', `${cast.publicUrl}/v1/token?a=b#c`],
  ])('counts where htu has %s', async (_, htu) => {
    expect((await send({ dpop: await client.proof(target({ htu })) })).status).toBe(200)
  })

  test.each([-60, 60])('counts with a clock that is wrong by %i seconds', async (seconds) => {
    const nowSeconds = service.clock.nowSeconds() + seconds
    const proof = await client.proof({
      ...target(),
      nowSeconds: nowSeconds + (seconds < 0 ? 2 : 0),
    })
    expect((await send({ dpop: proof })).status).toBe(200)
  })

  type Changes = {
    readonly claims?: JWTPayload
    readonly header?: Partial<JWTHeaderParameters>
  }
  const wrong: readonly (readonly [what: string, detail: string, () => Changes])[] = [
    ['another method', 'htm', () => ({ claims: { htm: 'GET' } })],
    ['the method in small letters', 'htm', () => ({ claims: { htm: 'post' } })],
    [
      'the host of the connection',
      'htu',
      () => ({ claims: { htu: `${service.origin}/v1/token` } }),
    ],
    [
      'plain http',
      'htu',
      () => ({ claims: { htu: 'http://countersign.contoso.example/v1/token' } }),
    ],
    ['another path', 'htu', () => ({ claims: { htu: `${cast.publicUrl}/v1/assertion` } })],
    ['a path alone', 'htu', () => ({ claims: { htu: '/v1/token' } })],
    [
      'a user in front of the host',
      'htu',
      () => ({ claims: { htu: 'https://a@countersign.contoso.example/v1/token' } }),
    ],
    ['the hash of another token', 'ath', () => ({ claims: { ath: 'a'.repeat(43) } })],
    ['a time too long ago', 'iat', () => ({ claims: { iat: service.clock.nowSeconds() - 62 } })],
    ['a time to come', 'iat', () => ({ claims: { iat: service.clock.nowSeconds() + 62 } })],
    ['another typ', 'malformed', () => ({ header: { typ: 'JWT' } })],
    ['no typ', 'malformed', () => ({ header: { typ: undefined as never } })],
    ['a private key', 'malformed', () => ({ header: { jwk: client.privateJwk } })],
    ['no key', 'malformed', () => ({ header: { jwk: undefined as never } })],
    ['a key that is no key', 'malformed', () => ({ header: { jwk: { kty: 'EC' } } })],
    ['a key elsewhere', 'malformed', () => ({ header: { jku: 'https://elsewhere.example' } })],
    ...(['jti', 'htm', 'htu', 'iat', 'ath'] as const).map(
      (claim) => [`no ${claim}`, 'malformed', () => ({ claims: { [claim]: undefined } })] as const,
    ),
    ['a jti without end', 'malformed', () => ({ claims: { jti: 'a'.repeat(257) } })],
    ['a time that is a text', 'malformed', () => ({ claims: { iat: '1' as never } })],
  ]
  test.each(wrong)('does not count with %s: %s', async (_, detail, changes) => {
    const answer = await send({ dpop: await client.proof(target(), changes()) })
    expectTurnedAway(answer, 'caller_dpop_refused', detail)
    // What was wrong with it has not used anything up.
    expect((await send({ dpop: await client.proof(target()) })).status).toBe(200)
  })

  test('does not count with a signature that is not the key’s', async () => {
    const proof = await client.proof(target())
    const [header, payload] = proof.split('.')
    const [, , signature] = (await client.proof(target())).split('.')
    const dpop = [header, payload, signature].join('.')
    expectTurnedAway(await send({ dpop }), 'caller_dpop_refused', 'signature')
  })

  test.each(['none', 'HS256'])('does not count with a proof by %s', async (alg) => {
    const [, payload = ''] = (await client.proof(target())).split('.')
    const header = { alg, typ: 'dpop+jwt', jwk: client.jwk }
    const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}`
    const mac = createHmac('sha256', JSON.stringify(client.jwk)).update(input).digest('base64url')
    expectTurnedAway(await send({ dpop: `${input}.${mac}` }), 'caller_dpop_refused', 'malformed')
  })

  test('does not count with an algorithm that is another kind of key’s', async () => {
    const [, payload = '', signature = ''] = (await client.proof(target())).split('.')
    const header = { alg: 'RS256', typ: 'dpop+jwt', jwk: client.jwk }
    const changed = Buffer.from(JSON.stringify(header)).toString('base64url')
    const dpop = `${changed}.${payload}.${signature}`
    expectTurnedAway(await send({ dpop }), 'caller_dpop_refused', 'algorithm')
  })

  test.each([
    ['no JWT', () => Promise.resolve('proof')],
    ['nothing', () => Promise.resolve('')],
    ['two of them', async () => `${await client.proof(target())}, ${await client.proof(target())}`],
    ['more than a proof', async () => `${await client.proof(target())}${'A'.repeat(9000)}`],
  ])('does not count with a header that is %s', async (_, dpop) => {
    expectTurnedAway(await send({ dpop: await dpop() }), 'caller_dpop_refused', 'malformed')
  })

  test('does not count with one proof twice, until it would not count at all', async () => {
    const dpop = await client.proof(target())
    expect((await send({ dpop })).status).toBe(200)
    expectTurnedAway(await send({ dpop }), 'caller_dpop_refused', 'used before')
    service.emulator.clock.shift(40)
    expectTurnedAway(await send({ dpop }), 'caller_dpop_refused', 'used before')
    service.emulator.clock.shift(28)
    expectTurnedAway(await send({ dpop }), 'caller_dpop_refused', 'iat')
  })

  test('counts once with one proof, however many come at one moment', async () => {
    const dpop = await client.proof(target())
    const answers = await Promise.all(Array.from({ length: 8 }, () => send({ dpop })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('does not count without a proof, or with one of another key', async () => {
    const thiefs = await thief.proof(target())
    expect((await send({ dpop: await client.proof(target()) })).status).toBe(200)
    expectTurnedAway(await send({}), 'caller_binding_unproven', 'no proof')
    expectTurnedAway(await send({ dpop: thiefs }), 'caller_binding_unproven', 'another key')
  })

  test('does not count as a bearer token, with or without its proof', async () => {
    const authorization = `Bearer ${token}`
    const dpop = await client.proof(target())
    for (const one of [{ authorization }, { authorization, dpop }]) {
      expectTurnedAway(await send(one), 'caller_binding_unproven', 'sent as Bearer')
    }
  })

  test('does not count beside a certificate that proves somebody, and does beside another', async () => {
    const { clients } = service.emulator
    const certificate = await clients.issue(clientOrder())
    const dpop = await client.proof(target())
    const beside = await send({ dpop, certificate })
    expectTurnedAway(beside, 'caller_two_proofs', 'certificate', bearer)
    const nobodys = await clients.issue(clientOrder({ wrong: 'self-signed' }))
    expect((await send({ dpop, certificate: nobodys })).status).toBe(200)
  })
})

describe('a token that is bound to nothing', () => {
  test('proves its bearer, and nobody with a proof beside it or as a bound one', async () => {
    token = await service.callerToken('github')
    const authorization = `Bearer ${token}`
    expect((await send({ authorization })).status).toBe(200)
    const dpop = await client.proof(target())
    const both = await send({ authorization, dpop })
    expectTurnedAway(both, 'caller_two_proofs', 'DPoP', bearer)
    for (const one of [{ dpop }, {}]) {
      expectTurnedAway(await send(one), 'caller_token_unbound', 'sent as DPoP', bearer)
    }
  })

  test.each([
    ['gitlab', proofIsWanted],
    ['cluster', bearer],
  ] as const)(
    'does not count where the operator wants it bound, and is told how: %s',
    async (issuer, wwwAuthenticate) => {
      token = await service.callerToken(issuer)
      const answer = await send({ authorization: `Bearer ${token}` })
      expectTurnedAway(answer, 'caller_token_unbound', 'bound to nobody', wwwAuthenticate)
    },
  )

  test('counts there when it is bound, to what is wanted', async () => {
    const cnf = { jkt: client.thumbprint }
    token = await service.callerToken('gitlab', { claims: { cnf } })
    expect((await send({ dpop: await client.proof(target()) })).status).toBe(200)
    token = await service.callerToken('cluster', { claims: { cnf } })
    const answer = await send({ dpop: await client.proof(target()) })
    expectTurnedAway(answer, 'caller_token_unbound', 'bound to dpop', bearer)
  })
})

test('a proof alone proves nobody, and lends nothing to a certificate', async () => {
  const dpop = await client.proof(target())
  const certificate = await service.emulator.clients.issue(clientOrder())
  const json = ordersAsk
  for (const dispatcher of [tls.files.connections(), tls.files.connections(certificate)]) {
    const answer = await service.ask(route, { json, headers: { dpop }, dispatcher })
    expect(answer.status).toBe(401)
    expect(whyOf(service, answer)[0]).toBe('caller_token_missing')
  }
})
