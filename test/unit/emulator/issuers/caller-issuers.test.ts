import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  jwtVerify,
  type JSONWebKeySet,
} from 'jose'
import { describe, expect, test } from 'vitest'
import { createEmulatorClock } from '../../../../src/emulator/emulator-clock.ts'
import { createFaultList, faultSchema } from '../../../../src/emulator/faults.ts'
import {
  createCallerIssuers,
  type CallerIssuer,
} from '../../../../src/emulator/issuers/caller-issuers.ts'
import { mintOrderSchema } from '../../../../src/emulator/issuers/mint-order.ts'
import { createSeededRandom } from '../../../../src/emulator/random.ts'
import { createSigningKeys, generateSigningKey } from '../../../../src/emulator/signing-keys.ts'
import { call, defaultWorld } from '../../../support/emulated-entra.ts'
import { required } from '../../../support/required.ts'

const origin = 'https://127.0.0.1:8444'

/** RSA keys take a tenth of a second each, so every issuer here begins with the same one. */
const firstKey = generateSigningKey()

function createTestKeys() {
  const given = [firstKey]
  return createSigningKeys(() => given.pop() ?? generateSigningKey())
}

async function createTestIssuers() {
  const faults = createFaultList(createSeededRandom(1))
  const issuers = await createCallerIssuers({
    origin,
    issuers: defaultWorld.issuers,
    clock: createEmulatorClock(),
    faults,
    createKeys: createTestKeys,
  })
  const find = (name: string): CallerIssuer => {
    const issuer = issuers.find(name)
    if (issuer === undefined) throw new Error(`the default world has no issuer ${name}`)
    return issuer
  }
  return { service: issuers.service, find, faults }
}

const order = (changes = {}) => mintOrderSchema.parse(changes)

/** What a verifier finds that knows the issuer's address and the audience, and nothing else. */
async function verify(
  { service }: Awaited<ReturnType<typeof createTestIssuers>>,
  issuer: string,
  token: string,
  audience: string,
) {
  const { json: metadata } = await call(
    service,
    'GET',
    `${new URL(issuer).pathname}/.well-known/openid-configuration`,
  )
  const { json: jwks } = await call(service, 'GET', new URL(String(metadata['jwks_uri'])).pathname)
  const keys = createLocalJWKSet(jwks as unknown as JSONWebKeySet)
  return jwtVerify(token, keys, { issuer: String(metadata['issuer']), audience })
}

test.each([
  ['github', 'https://github.com/fabrikam', 'repo:fabrikam/billing:environment:production'],
  ['gitlab', `${origin}/gitlab`, 'project_path:fabrikam/billing:ref_type:branch:ref:main'],
  ['cluster', `${origin}/cluster`, 'system:serviceaccount:billing:export'],
])('a token of %s verifies through its discovery', async (name, audience, subject) => {
  const issuers = await createTestIssuers()
  const token = await issuers.find(name).mint(order())
  const { payload } = await verify(issuers, `${origin}/${name}`, token, audience)
  expect(payload.sub).toBe(subject)
})

test('the claims of a GitHub job are all strings but the times', async () => {
  const issuers = await createTestIssuers()
  const claims = decodeJwt(await issuers.find('github').mint(order()))
  const { iat, nbf, exp, ...others } = claims
  expect(Number(exp) - Number(iat)).toBe(300)
  expect(Number(nbf)).toBeLessThan(Number(iat))
  expect(Object.values(others).every((value) => typeof value === 'string')).toBe(true)
  expect(Object.keys(others)).toEqual(
    expect.arrayContaining(['repository_id', 'repository_owner_id', 'job_workflow_ref', 'jti']),
  )
})

test.each([
  [{}, 'repo:fabrikam/billing:environment:production'],
  [{ claims: { environment: null } }, 'repo:fabrikam/billing:ref:refs/heads/main'],
  [{ claims: { environment: 'a:b' } }, 'repo:fabrikam/billing:environment:a%3Ab'],
  [
    { claims: { environment: null, event_name: 'pull_request' } },
    'repo:fabrikam/billing:pull_request',
  ],
  [{ subject: 'immutable' }, 'repo:fabrikam@987/billing@123456:environment:production'],
  [{ claims: { sub: 'octavia' } }, 'octavia'],
])('GitHub derives from %j the subject %s', async (changes, subject) => {
  const issuers = await createTestIssuers()
  expect(decodeJwt(await issuers.find('github').mint(order(changes))).sub).toBe(subject)
})

test('GitLab writes flags as strings, and the subject follows the ref', async () => {
  const issuers = await createTestIssuers()
  const claims = { ref: 'v1', ref_type: 'tag', ref_protected: 'false' }
  const token = await issuers.find('gitlab').mint(order({ claims }))
  expect(decodeJwt(token)).toMatchObject({
    ...claims,
    sub: 'project_path:fabrikam/billing:ref_type:tag:ref:v1',
    environment_protected: 'true',
  })
})

test('Kubernetes writes the audience as an array and no typ', async () => {
  const issuers = await createTestIssuers()
  const token = await issuers.find('cluster').mint(order({ audience: 'https://a.example' }))
  expect(decodeJwt(token)).toMatchObject({
    aud: ['https://a.example'],
    'kubernetes.io': { namespace: 'billing', serviceaccount: { name: 'export' } },
  })
  expect(decodeProtectedHeader(token)).not.toHaveProperty('typ')
})

test.each([
  ['signature', 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
  ['unknown-key', 'ERR_JWKS_NO_MATCHING_KEY'],
  ['embedded-key', 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
  ['algorithm-none', 'ERR_JOSE_NOT_SUPPORTED'],
  ['algorithm-hs256', 'ERR_JOSE_NOT_SUPPORTED'],
  ['expired', 'ERR_JWT_EXPIRED'],
  ['not-yet-valid', 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
  ['issuer', 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
  ['audience', 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
])('a token made wrong by its %s is refused', async (wrong, code) => {
  const issuers = await createTestIssuers()
  const audience = 'https://countersign.contoso.example'
  const url = `${origin}/github`
  const good = await issuers.find('github').mint(order({ audience }))
  const bad = await issuers.find('github').mint(order({ audience, wrong }))
  await expect(verify(issuers, url, good, audience)).resolves.toBeDefined()
  await expect(verify(issuers, url, bad, audience)).rejects.toMatchObject({ code })
})

test('a job fetches its token with its request token, for the audience it names', async () => {
  const { find, service } = await createTestIssuers()
  const job = required(find('github').jobs).start(order({ claims: { environment: 'staging' } }))
  const url = new URL(`${job.requestUrl}&audience=${encodeURIComponent('https://a.example')}`)
  const headers = { authorization: `Bearer ${job.requestToken}` }
  const { status, json } = await call(service, 'GET', url.pathname + url.search, { headers })
  expect(status).toBe(200)
  expect(decodeJwt(String(json['value']))).toMatchObject({
    aud: 'https://a.example',
    environment: 'staging',
  })
})

test.each([
  ['twice an audience', (url: string) => `${url}&audience=a&audience=b`],
  ['its version spoilt', (url: string) => `${url}?audience=a`],
])('a job at GitHub is refused whose request has %s', async (_, requested) => {
  const { find, service } = await createTestIssuers()
  const { requestUrl, requestToken } = required(find('github').jobs).start(order())
  const { pathname, search } = new URL(requested(requestUrl))
  const headers = { authorization: `Bearer ${requestToken}` }
  expect(await call(service, 'GET', pathname + search, { headers })).toMatchObject({ status: 400 })
})

describe('a job of Azure Pipelines', () => {
  const started = async () => {
    const { find, service } = await createTestIssuers()
    const job = required(find('devops').jobs).start(order())
    const ask = (changes: { method?: string; connection?: string; headers?: object } = {}) => {
      const connection = changes.connection ?? required(job.serviceConnectionId)
      const query = `?api-version=7.1&serviceConnectionId=${connection}`
      const headers = {
        'content-type': 'application/json',
        authorization: `Bearer ${job.requestToken}`,
        'x-tfs-fedauthredirect': 'Suppress',
        ...changes.headers,
      }
      const target = new URL(job.requestUrl).pathname + query
      return call(service, changes.method ?? 'POST', target, { headers })
    }
    return ask
  }

  test('fetches the token of its service connection, for the audience of all', async () => {
    const { status, json } = await (await started())()
    expect(status).toBe(200)
    expect(decodeJwt(String(json['oidcToken']))).toMatchObject({
      aud: 'api://AzureADTokenExchange',
      sub: 'sc://fabrikam/billing/countersign',
    })
  })

  test.each([
    ['another connection', 404, { connection: '77777777-0000-4000-8000-000000000001' }],
    ['another method', 405, { method: 'GET' }],
    ['another type', 415, { headers: { 'content-type': 'text/plain' } }],
    ['another token', 401, { headers: { authorization: 'Bearer x' } }],
    [
      'another token, as a browser would ask',
      302,
      { headers: { authorization: 'Bearer x', 'x-tfs-fedauthredirect': '' } },
    ],
  ])('gets nothing with %s', async (_, status, changes) => {
    expect(await (await started())(changes)).toMatchObject({ status })
  })
})

test('a request token is good for no other job', async () => {
  const { find, service } = await createTestIssuers()
  const [one, other] = [
    required(find('github').jobs).start(order()),
    required(find('github').jobs).start(order()),
  ]
  const { pathname, search } = new URL(one.requestUrl)
  const headers = { authorization: `Bearer ${other.requestToken}` }
  expect(await call(service, 'GET', pathname + search, { headers })).toMatchObject({ status: 401 })
  expect(await call(service, 'GET', pathname + search)).toMatchObject({ status: 401 })
})

test('a rotated key signs from then on, and the one before stays until it is withdrawn', async () => {
  const issuers = await createTestIssuers()
  const audience = 'https://a.example'
  const github = issuers.find('github')
  const tokens = [await github.mint(order({ audience }))]
  await github.keys.rotate('published')
  tokens.push(await github.mint(order({ audience })))
  for (const token of tokens) {
    await expect(verify(issuers, github.url, token, audience)).resolves.toBeDefined()
  }
  await github.keys.rotate('withdrawn')
  for (const token of tokens) {
    await expect(verify(issuers, github.url, token, audience)).rejects.toMatchObject({
      code: 'ERR_JWKS_NO_MATCHING_KEY',
    })
  }
})

test('a fault at the issuers strikes once', async () => {
  const { service, faults } = await createTestIssuers()
  faults.add(faultSchema.parse({ at: 'issuer', kind: 'server-error', match: '/github/' }))
  const get = (name: string) =>
    call(service, 'GET', `/${name}/.well-known/openid-configuration`).then(({ status }) => status)
  expect([await get('gitlab'), await get('github'), await get('github')]).toEqual([200, 503, 200])
})

test('what no issuer has is not there', async () => {
  const { service } = await createTestIssuers()
  for (const path of ['/', '/nobody/.well-known/jwks', '/gitlab/.well-known/jwks']) {
    expect((await call(service, 'GET', path)).status).toBe(404)
  }
})
