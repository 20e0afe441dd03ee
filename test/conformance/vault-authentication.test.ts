import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import { decodeJwt, importJWK, SignJWT, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contosoTenantId, startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

const vault = 'contoso-hsm'
const getKey = 'GET /keys/assert/?api%2Dversion=2025-07-01'
const signKey = 'POST /keys/assert//sign?api%2Dversion=2025-07-01'
const digest = createHash('sha256').update('header.payload').digest()
const signBody = { alg: 'PS256', value: digest.toString('base64url') }

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: vault,
        certificates: [{ name: 'assert' }],
        roleAssignments: [{ principal: 'signer', actions: ['keys/read', 'keys/sign/action'] }],
      },
    ],
  })
})
afterAll(() => emulator.stop())

describe('without a token', () => {
  test('a vault says where to get one, and for which resource', async () => {
    const { status, headers, body } = await emulator.ask(vault, getKey)
    expect(status).toBe(401)
    expect(headers['www-authenticate']).toBe(
      `Bearer authorization="${emulator.endpoints.authority}/${contosoTenantId}", resource="https://vault.azure.net"`,
    )
    expect(body).toEqual({
      error: {
        code: 'Unauthorized',
        message: 'AKV10000: Request is missing a Bearer or PoP token.',
      },
    })
  })

  test.each([
    ['an unknown path', 'GET /nothing/here'],
    ['an unknown api-version', 'GET /keys/assert?api-version=1'],
    ['an absent key', 'GET /keys/absent?api-version=7.4'],
    ['a wrong body', signKey],
  ])('%s is not even looked at', async (_, request) => {
    const method = request.startsWith('POST') ? { body: 'nonsense' } : {}
    expect((await emulator.ask(vault, request, method)).status).toBe(401)
  })

  test.each(['', 'Basic eDp5', 'Bearer', 'Bearer a b', 'PoP abc'])(
    'or with %j instead of one, it is challenged',
    async (authorization) => {
      const answer = await emulator.ask(vault, getKey, { headers: { authorization } })
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toContain('Bearer authorization=')
    },
  )
})

describe('a token', () => {
  const messageFor = async (token: string) => {
    const { status, body } = await emulator.ask(vault, getKey, { token })
    return `${status} ${(body as { error?: { message: string } }).error?.message ?? ''}`
  }

  test('for this vault is taken', async () => {
    expect(await messageFor(await emulator.token('signer'))).toBe('200 ')
  })

  test('for another resource is refused by name', async () => {
    const token = await emulator.token('signer', 'https://management.azure.com')
    expect(await messageFor(token)).toBe(
      '401 AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com.',
    )
  })

  test("of another tenant is refused, naming the vault's own issuer", async () => {
    const token = await emulator.token('stranger')
    expect(await messageFor(token)).toMatch(
      /^401 AKV10032: Invalid issuer\. Expected one of .*c0c0/,
    )
  })

  test('that has expired is refused', async () => {
    const token = await emulator.token('signer')
    await emulator.control('POST /clock', { shiftSeconds: 86_400 })
    const message = await messageFor(token)
    await emulator.control('POST /clock', { shiftSeconds: -86_400 })
    expect(message).toContain('401 [TokenExpired]')
    expect(await messageFor(token)).toBe('200 ')
  })

  test('that is not one is refused', async () => {
    expect(await messageFor('abc')).toContain('401 AKV10001')
  })

  test('signed by a key of somebody else is refused', async () => {
    const token = await emulator.token('signer')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk: JWK = privateKey.export({ format: 'jwk' })
    const [published] = emulator.entra.accessTokens.jwks().keys
    const forged = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: published?.kid ?? '' })
      .sign(await importJWK(jwk, 'RS256'))
    expect(await messageFor(forged)).toContain('401 AKV10046')
  })
})

describe('the SDK', () => {
  test('meets the challenge once: a cold client asks without a token, then with one', async () => {
    const client = new KeyClient(
      emulator.vaultUrl(vault),
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const cold = await emulator.recordsOf(() => client.getKey('assert'))
    expect(cold.map(({ properties }) => properties.httpStatusCode)).toEqual([401, 200])
    expect(cold.map(({ operationName }) => operationName)).toEqual(['KeyGet', 'KeyGet'])
    const warm = await emulator.recordsOf(() => client.getKey('assert'))
    expect(warm.map(({ properties }) => properties.httpStatusCode)).toEqual([200])
  })

  test('refuses loopback vaults unless the check of the challenge is turned off', async () => {
    const client = new KeyClient(emulator.vaultUrl(vault), emulator.credential('signer'), {
      ...emulator.clientOptions,
      disableChallengeResourceVerification: false,
    })
    await expect(client.getKey('assert')).rejects.toThrow(/does not match the requested domain/)
  })

  test('may race with itself while it is cold: the log has a 200 for each signature it got', async () => {
    const connection = [emulator.credential('signer'), emulator.clientOptions] as const
    const key = await new KeyClient(emulator.vaultUrl(vault), ...connection).getKey('assert')
    const cold = new CryptographyClient(key, ...connection)
    let signatures = 0
    const records = await emulator.recordsOf(async () => {
      const settled = await Promise.allSettled([1, 2, 3].map(() => cold.sign('PS256', digest)))
      signatures = settled.filter(({ status }) => status === 'fulfilled').length
    })
    const verdicts = records.map(({ properties }) => properties.httpStatusCode)
    expect(verdicts[0]).toBe(401)
    expect(verdicts.filter((status) => status === 200)).toHaveLength(signatures)
    expect(signatures).toBeGreaterThan(0)
  })

  test('that sends its token but not its body gets 400 and no signature', async () => {
    const token = await emulator.token('signer')
    const { status } = await emulator.ask(vault, signKey, { token })
    expect(status).toBe(400)
    const [record] = emulator.vaultLog.records().slice(-1)
    expect(record?.properties['algorithm']).toBeUndefined()
  })
})

describe('api-version', () => {
  const statusOf = async (request: string) =>
    (await emulator.ask(vault, request, { token: await emulator.token('signer') })).status

  test.each([
    'GET /keys/assert?api-version=7.4',
    'GET /keys/assert/?api%2Dversion=2025-07-01',
    'GET /keys/assert?api-version=2016-10-01',
  ])('%s is answered', async (request) => {
    expect(await statusOf(request)).toBe(200)
  })

  test.each([
    'GET /keys/assert',
    'GET /keys/assert?api-version=',
    'GET /keys/assert?api-version=1999-01-01',
    'GET /keys/assert?apiversion=7.4',
  ])('%s is refused', async (request) => {
    expect(await statusOf(request)).toBe(400)
  })
})

describe('paths as clients send them', () => {
  test.each([
    'POST /keys/assert//sign?api%2Dversion=2025-07-01',
    'POST /keys/assert/sign?api-version=7.4',
    'POST /keys/ASSERT/sign?api-version=7.4',
  ])('%s signs with the current version', async (request) => {
    const token = await emulator.token('signer')
    const { status, body } = await emulator.ask(vault, request, { token, body: signBody })
    expect(status).toBe(200)
    expect((body as { kid: string }).kid).toMatch(/\/keys\/assert\/[0-9a-f]{32}$/)
  })

  test.each(['GET /keys/a%ZZb?api-version=7.4', 'GET /keys/%2e%2e?api-version=7.4'])(
    '%s finds nothing',
    async (request) => {
      const token = await emulator.token('signer')
      expect((await emulator.ask(vault, request, { token })).status).toBe(404)
    },
  )
})

test('every answer has the headers of Key Vault and an id of its own', async () => {
  const clientRequestId = randomUUID()
  const headers = { 'x-ms-client-request-id': clientRequestId }
  const refused = await emulator.ask(vault, getKey, { headers })
  const token = await emulator.token('signer')
  const granted = await emulator.ask(vault, getKey, { headers, token })
  for (const answer of [refused, granted]) {
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      expires: '-1',
      'content-type': 'application/json; charset=utf-8',
      'x-ms-keyvault-region': 'westeurope',
      'x-ms-client-request-id': clientRequestId,
      'x-ms-keyvault-service-version': '1.9.79.2',
      'x-ms-keyvault-network-info': 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;',
      'x-powered-by': 'ASP.NET',
      'strict-transport-security': 'max-age=31536000;includeSubDomains',
      'x-content-type-options': 'nosniff',
    })
  }
  expect(granted.headers['www-authenticate']).toBeUndefined()
  const ids = [refused, granted].map((answer) => answer.headers['x-ms-request-id'])
  expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/)
  expect(new Set([...ids, clientRequestId]).size).toBe(3)
})
