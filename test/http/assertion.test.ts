import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { cast, deployAsk, startTestService, type TestService } from '../support/test-service.ts'

let service: TestService
let token: string

beforeAll(async () => {
  service = await startTestService()
  token = await service.callerToken('github')
})
afterAll(() => service.stop())

interface AssertionAnswer {
  readonly client_assertion: string
  readonly client_id: string
  readonly token_endpoint: string
  readonly expires_in: number
  readonly attempt: string
}

async function assertionFor(json: object = deployAsk): Promise<AssertionAnswer> {
  const answer = await service.ask('POST /v1/assertion', { token, json })
  expect(answer.status, answer.text).toBe(200)
  return answer.body as AssertionAnswer
}

const tokenEndpoint = () =>
  `${service.emulator.endpoints.authority}/${cast.fabrikam}/oauth2/v2.0/token`

describe('POST /v1/assertion', () => {
  test('gives an assertion of the application for the token endpoint of the tenant', async () => {
    const answer = await assertionFor()

    expect(answer).toMatchObject({
      client_id: cast.deployClientId,
      token_endpoint: tokenEndpoint(),
    })
    expect(answer.expires_in).toBeGreaterThan(290)
    expect(answer.expires_in).toBeLessThanOrEqual(300)
    const { jti, exp, nbf, iat, ...claims } = decodeJwt(answer.client_assertion)
    expect(claims).toEqual({
      iss: cast.deployClientId,
      sub: cast.deployClientId,
      aud: tokenEndpoint(),
    })
    expect(jti).toMatch(/^[0-9a-f-]{36}$/)
    expect([nbf, exp]).toEqual([iat, (iat ?? 0) + 300])
    expect(decodeProtectedHeader(answer.client_assertion)).toEqual({
      alg: 'PS256',
      typ: 'JWT',
      'x5t#S256': expect.stringMatching(/^[\w-]{43}$/) as string,
    })
  })

  test('gives a shorter one to whoever asks, and never the same one twice', async () => {
    const [short, another] = [
      await assertionFor({ ...deployAsk, lifetimeSeconds: 60 }),
      await assertionFor({ ...deployAsk, lifetimeSeconds: 60 }),
    ]

    const { exp = 0, iat = 0 } = decodeJwt(short.client_assertion)
    expect(exp - iat).toBe(60)
    expect(short.expires_in).toBeLessThanOrEqual(60)
    expect(another.client_assertion).not.toBe(short.client_assertion)
    expect(decodeJwt(another.client_assertion).jti).not.toBe(decodeJwt(short.client_assertion).jti)
  })

  test('is no way to a token of ours: nothing was exchanged', async () => {
    const before = service.exchanges().length
    await assertionFor()

    expect(service.exchanges()).toHaveLength(before)
  })

  test('leaves in the ledger: granted, begun, made, issued', async () => {
    service.newEntries()
    const recordsBefore = service.vaultRecords().length
    const { attempt, client_assertion } = await assertionFor()

    const entries = service.newEntries()
    expect(entries.map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.made',
      'assertion.issued',
    ])
    const [granted, begun, made, issued] = entries
    const decision = {
      attempt,
      grant: 'deploy-pipeline',
      caller: { issuer: 'github', tokenSha256: sha256Base64url(token) },
      ...deployAsk,
    }
    expect(granted).toMatchObject(decision)
    expect(granted).not.toHaveProperty('scope')
    const signingInput = client_assertion.split('.').slice(0, 2).join('.')
    expect(begun).toMatchObject({
      attempt,
      purpose: 'hand-out',
      digest: sha256Base64url(signingInput),
    })
    const { signature } = begun as { signature: string }
    const [record] = service.vaultRecords().slice(recordsBefore)
    expect(made).toMatchObject({ signature, vaultRequestId: record?.correlationId })
    expect(issued).toMatchObject({
      ...decision,
      signature,
      assertionSha256: sha256Base64url(client_assertion),
    })
    expect(JSON.stringify(entries)).not.toMatch(/eyJ[\w-]+\.eyJ/)
  })
})

describe('GET /v1/assertion/{application}/{tenant}', () => {
  const path = `/v1/assertion/deploy/${cast.fabrikam}`

  test.each([
    ['no audience', ''],
    ["Entra's audience of token exchange", '?audience=api%3A%2F%2FAzureADTokenExchange'],
    ['the name of the application', '?audience=deploy'],
    ['a parameter that means nothing here', '?api-version=2.0'],
  ])('gives the assertion as the request URL of a runner does, with %s', async (_, query) => {
    const answer = await service.ask(`GET ${path}${query}`, { token })

    expect(answer.status).toBe(200)
    const { value } = answer.body as { value: string }
    expect(decodeJwt(value)).toMatchObject({ iss: cast.deployClientId, aud: tokenEndpoint() })
  })

  test('tells the attempt in the header, and the ledger knows it', async () => {
    service.newEntries()
    const answer = await service.ask(`GET ${path}`, { token })

    expect(service.newEntries().at(-1)).toMatchObject({
      kind: 'assertion.issued',
      attempt: answer.headers['countersign-attempt'],
      assertionSha256: sha256Base64url((answer.body as { value: string }).value),
    })
  })

  test('signs nothing for a HEAD, which could not carry what was signed', async () => {
    const recordsBefore = service.vaultRecords().length
    const answer = await service.ask(`HEAD ${path}`, { token })

    expect(answer.status).toBe(405)
    expect(service.vaultRecords()).toHaveLength(recordsBefore)
  })

  test.each(['?audience=https%3A%2F%2Felsewhere.example', '?audience=deploy&audience=deploy'])(
    'refuses an audience that is not its own: %s',
    async (query) => {
      const answer = await service.ask(`GET ${path}${query}`, { token })

      expect(answer.status).toBe(400)
      expect(answer.body).toMatchObject({ code: 'request_invalid' })
      expect(answer.text).not.toContain('elsewhere')
    },
  )
})
