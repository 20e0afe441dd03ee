import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trustByDefault } from '../support/default-trust.ts'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

const audience = 'https://countersign.contoso.example'
let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({
    world: {
      ...oneVaultWorld,
      issuers: [
        ...oneVaultWorld.issuers,
        { name: 'builds', kind: 'oidc', claims: { sub: 'build-1' } },
        { name: 'customers', kind: 'entra-b2c', claims: {} },
      ],
    },
  })
  trustByDefault(emulator.ca)
})
afterAll(() => emulator.stop())

/** What a verifier finds that was given the issuer's address and nothing else. */
async function verify(issuer: string, token: string) {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  const metadata = (await response.json()) as { issuer: string; jwks_uri: string }
  expect(metadata.issuer).toBe(issuer)
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
  return jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] })
}

const mint = async (issuer: string, order = {}) => {
  const minted = await emulator.control(`POST /issuers/${issuer}/token`, { audience, ...order })
  return (minted as { token: string }).token
}

const issuerUrl = (name: string) => emulator.endpoints.issuers[name] ?? ''

test.each(['github', 'gitlab', 'cluster'])('a token of %s verifies over HTTPS', async (name) => {
  const { payload } = await verify(issuerUrl(name), await mint(name))
  expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/)
})

test('an issuer of no kind of its own says what its world does', async () => {
  const { payload } = await verify(issuerUrl('builds'), await mint('builds'))
  expect(payload.sub).toBe('build-1')
})

test('a policy of B2C has its metadata below its name, about an issuer that does not name it', async () => {
  const iss = issuerUrl('customers')
  const metadata = await fetch(
    new URL('../b2c_1_signin/v2.0/.well-known/openid-configuration', iss),
  )
  const { issuer, jwks_uri } = (await metadata.json()) as { issuer: string; jwks_uri: string }
  expect(issuer).toBe(iss)
  expect(jwks_uri).toBe(new URL('../b2c_1_signin/discovery/v2.0/keys', iss).href)
  const keys = createRemoteJWKSet(new URL(jwks_uri))
  const { payload } = await jwtVerify(await mint('customers'), keys, { issuer, audience })
  expect(payload).toMatchObject({ tfp: 'B2C_1_signin', ver: '1.0' })
  expect((await fetch(new URL('../b2c_1_other/discovery/v2.0/keys', iss))).status).toBe(404)
})

test('a token of one issuer is none of another', async () => {
  await expect(verify(issuerUrl('gitlab'), await mint('github'))).rejects.toThrow()
})

test('a token that was made wrong does not verify', async () => {
  const forged = await mint('github', { wrong: 'signature' })
  await expect(verify(issuerUrl('github'), forged)).rejects.toMatchObject({
    code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  })
})

test('a CI job fetches its token as a runner lets it', async () => {
  const job = (await emulator.control('POST /issuers/github/jobs', {
    claims: { repository_id: '42' },
  })) as { requestUrl: string; requestToken: string }
  const response = await fetch(`${job.requestUrl}&audience=${encodeURIComponent(audience)}`, {
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${job.requestToken}`,
      'user-agent': 'actions/oidc-client',
    },
  })
  const { value } = (await response.json()) as { value: string }
  const { payload } = await verify(issuerUrl('github'), value)
  expect(payload['repository_id']).toBe('42')
  expect((await fetch(job.requestUrl)).status).toBe(401)
})
