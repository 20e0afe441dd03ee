import { createHmac, createPublicKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import type { TokenIdentifier, TokenRefusal } from '../../../src/caller/caller.ts'
import { createJsonFetcher } from '../../../src/caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from '../../../src/caller/jwt-caller.ts'
import {
  createIssuerKey,
  signToken,
  startLoopbackIssuer,
  type Claims,
  type IssuerKey,
  type LoopbackIssuer,
} from '../../support/caller-issuer.ts'
import {
  audience,
  azureDevOpsInEntra,
  bundlePath,
  callerKinds,
  connectionSubject,
  entraB2c,
  entraKeyIssuer,
  entraKeysPath,
  entraKinds,
  otherTenantId,
  ownClientId,
  policyKeysPath,
  spiffe,
  tenantId,
  type CallerKind,
} from '../../support/caller-kinds.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

/** The good token of a kind, as claims and as whoever could sign it. */
interface Good {
  readonly claims: Claims
  /** Signs the good claims with changes; a member that is undefined is left out. */
  readonly sign: (changes?: Claims, header?: Claims, by?: IssuerKey) => Promise<string>
}
type Mint = (good: Good) => Promise<string> | string
type Fault = readonly [name: string, reason: TokenRefusal['reason'], detail: string, mint: Mint]

const clock = fixedClock(1_795_000_000)
const now = clock.nowSeconds()
const fetcher = createJsonFetcher()
const key = createIssuerKey('current')
const keyOfOtherTenant = createIssuerKey('of-other-tenant')
const keyOfNobody = createIssuerKey('of-nobody')
const keyOfOtherPolicy = createIssuerKey('of-other-policy')
const keyOfX509 = createIssuerKey('of-x509')
const unpublished = createIssuerKey('current')
const ellipticKey = createIssuerKey('elliptic', 'ES256')
const encryptionKey = createIssuerKey('encryption')

let issuer: LoopbackIssuer
beforeAll(async () => {
  const encryption = { ...encryptionKey.jwk, use: 'enc' }
  issuer = await startLoopbackIssuer(key, ellipticKey)
  issuer.publish(key, ellipticKey, encryption)
  const template = entraKeyIssuer(issuer.url)
  const keys = [
    { ...key.jwk, issuer: template },
    { ...ellipticKey.jwk, issuer: template },
    { ...encryption, issuer: template },
    { ...keyOfOtherTenant.jwk, issuer: template.replace('{tenantid}', otherTenantId) },
    keyOfNobody.jwk,
  ]
  issuer.answer(entraKeysPath, { json: { keys } })
  const policyKeys = { keys: [key.jwk, ellipticKey.jwk, encryption] }
  issuer.answer(policyKeysPath('b2c_1_signin'), { json: policyKeys })
  issuer.answer(policyKeysPath('b2c_1_other'), { json: { keys: [keyOfOtherPolicy.jwk] } })
  const svid = { use: 'jwt-svid' }
  const bundle = [
    { ...key.jwk, ...svid },
    { ...ellipticKey.jwk, ...svid },
    encryption,
    { ...keyOfX509.jwk, use: 'x509-svid' },
    keyOfNobody.jwk,
  ]
  issuer.answer(bundlePath, { json: { keys: bundle } })
})
afterAll(async () => {
  await issuer.close()
  await fetcher.close()
})

function identifierFor(kind: CallerKind): TokenIdentifier {
  return createJwtCallerIdentifier({
    issuers: [kind.settings(issuer.url)],
    ownClientIds: [ownClientId],
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => {
      throw failure
    },
  })
}

function goodOf(kind: CallerKind): Good {
  const claims = kind.claims(issuer.url, now)
  const sign: Good['sign'] = (changes = {}, header = {}, by = key) =>
    signToken(by, { ...claims, ...changes }, header)
  return { claims, sign }
}

const encode = (text: string) => Buffer.from(text).toString('base64url')
const parts = (token: string) => token.split('.') as [string, string, string]

/** The good token with its payload or header written otherwise, under the signature that it had. */
async function rewritten({ sign }: Good, part: 0 | 1, rewrite: (json: string) => string) {
  const written = parts(await sign())
  written[part] = encode(rewrite(Buffer.from(written[part], 'base64url').toString()))
  return written.join('.')
}

/** The classic confusion: a MAC whose secret is the issuer's public key. */
function macToken({ claims }: Good): string {
  const header = encode(JSON.stringify({ alg: 'HS256', kid: 'current' }))
  const input = `${header}.${encode(JSON.stringify(claims))}`
  const secret = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

const unsigned = ({ claims }: Good, alg: string) =>
  `${encode(JSON.stringify({ alg }))}.${encode(JSON.stringify(claims))}.c2ln`

const faults: readonly Fault[] = [
  ['no token at all', 'caller_token_missing', '', () => ''],

  [
    'signed by somebody who took the name of its key',
    'caller_signature_wrong',
    'RS256',
    (good) => good.sign({}, {}, unpublished),
  ],
  [
    'with a claim changed after it was signed',
    'caller_signature_wrong',
    'RS256',
    (good) => rewritten(good, 1, (json) => json.replace('"aud"', '"admin":true,"aud"')),
  ],
  [
    'with a header changed after it was signed',
    'caller_signature_wrong',
    'RS256',
    (good) => rewritten(good, 0, (json) => json.replace('{', '{"x":1,')),
  ],
  [
    'under the signature of another token',
    'caller_signature_wrong',
    'RS256',
    async (good) => {
      const [header, payload] = parts(await good.sign())
      return [header, payload, parts(await good.sign({ jti: 'other' }))[2]].join('.')
    },
  ],
  [
    'with a signature of one byte',
    'caller_signature_wrong',
    'RS256',
    async (good) =>
      `${parts(await good.sign())
        .slice(0, 2)
        .join('.')}.AA`,
  ],

  [
    'that says it needs no signature',
    'caller_algorithm_refused',
    'none',
    (g) => unsigned(g, 'none'),
  ],
  ['that says so in capitals', 'caller_algorithm_refused', 'NONE', (g) => unsigned(g, 'NONE')],
  ['authenticated with the public key as a secret', 'caller_algorithm_refused', 'HS256', macToken],
  [
    'signed with an algorithm that is not listed',
    'caller_algorithm_refused',
    'PS256',
    (good) => good.sign({}, { alg: 'PS256' }),
  ],
  [
    'signed with a good key of an algorithm that is not listed',
    'caller_algorithm_refused',
    'ES256',
    (good) => good.sign({}, {}, ellipticKey),
  ],
  [
    'without an algorithm',
    'caller_algorithm_refused',
    'nothing',
    (good) => rewritten(good, 0, () => '{"kid":"current"}'),
  ],
  [
    'with a sentence for an algorithm',
    'caller_algorithm_refused',
    '(not shown)',
    (good) => unsigned(good, 'please trust me'),
  ],

  [
    'signed with a key that the issuer does not show',
    'caller_key_unknown',
    'kid made-up',
    (good) => good.sign({}, { kid: 'made-up' }),
  ],
  [
    'that names a key of another kind',
    'caller_key_unknown',
    'kid elliptic',
    (good) => good.sign({}, { kid: 'elliptic' }),
  ],
  [
    'signed with a key that is for encryption',
    'caller_key_unknown',
    'kid encryption',
    (good) => good.sign({}, {}, encryptionKey),
  ],

  [
    'of an issuer that is not listed',
    'caller_issuer_unknown',
    '',
    (good) => good.sign({ iss: 'https://issuer.example' }),
  ],
  [
    'whose issuer differs by a slash',
    'caller_issuer_unknown',
    '',
    (good) => good.sign({ iss: `${String(good.claims['iss'])}/` }),
  ],
  ['without an issuer', 'caller_issuer_unknown', '', (good) => good.sign({ iss: undefined })],

  [
    'meant for somebody else',
    'caller_audience_wrong',
    'meant for api://AzureADTokenExchange',
    (good) => good.sign({ aud: 'api://AzureADTokenExchange' }),
  ],
  [
    'meant for somebody whose name begins like ours',
    'caller_audience_wrong',
    `meant for ${audience}/`,
    (good) => good.sign({ aud: `${audience}/` }),
  ],
  [
    'meant for several others',
    'caller_audience_wrong',
    'meant for a, b, (not shown)',
    (good) => good.sign({ aud: ['a', 'b', { c: audience }, 'd'] }),
  ],
  ['meant for nobody', 'caller_audience_wrong', 'meant for ', (good) => good.sign({ aud: [] })],
  [
    'that does not say for whom it is',
    'caller_audience_wrong',
    'meant for nothing',
    (good) => good.sign({ aud: undefined }),
  ],

  [
    'that expires this second',
    'caller_token_expired',
    `exp ${now}, now ${now}`,
    (good) => good.sign({ exp: now }),
  ],
  [
    'that expires within this second',
    'caller_token_expired',
    `exp ${now + 0.9}, now ${now}`,
    (good) => good.sign({ exp: now + 0.9 }),
  ],
  [
    'that expired long ago',
    'caller_token_expired',
    `exp -1, now ${now}`,
    (good) => good.sign({ exp: -1 }),
  ],
  [
    'that is valid only later',
    'caller_token_not_yet_valid',
    `from ${now + 61}, now ${now}`,
    (good) => good.sign({ nbf: now + 61 }),
  ],
  [
    'that will have been issued',
    'caller_token_not_yet_valid',
    `from ${now + 61}, now ${now}`,
    (good) => good.sign({ iat: now + 61 }),
  ],
  [
    'that lives for a year',
    'caller_token_too_long_lived',
    '31536000 s',
    (good) => good.sign({ iat: now, nbf: now, exp: now + 31_536_000 }),
  ],
  [
    'that lives for a year and does not say since when',
    'caller_token_too_long_lived',
    '31536000 s',
    (good) => good.sign({ iat: undefined, nbf: undefined, exp: now + 31_536_000 }),
  ],

  ['that never expires', 'caller_claim_missing', 'exp', (good) => good.sign({ exp: undefined })],
  [
    'whose expiry is text',
    'caller_claim_missing',
    'exp',
    (good) => good.sign({ exp: String(now + 300) }),
  ],
  ['whose start is text', 'caller_claim_missing', 'nbf', (good) => good.sign({ nbf: 'now' })],
  ['of nobody', 'caller_claim_missing', 'sub', (good) => good.sign({ sub: undefined })],
  ['of somebody without a name', 'caller_claim_missing', 'sub', (good) => good.sign({ sub: '' })],

  [
    'of an application that we sign for, in v2',
    'caller_is_ourselves',
    'appid or azp',
    (good) => good.sign({ azp: ownClientId }),
  ],
  [
    'of an application that we sign for, in v1 and capitals',
    'caller_is_ourselves',
    'appid or azp',
    (good) => good.sign({ appid: ownClientId.toUpperCase() }),
  ],

  [
    'of the type of a client assertion',
    'caller_token_malformed',
    'another type',
    (good) => good.sign({}, { typ: 'client-authentication+jwt' }),
  ],
  [
    'that brings its own key',
    'caller_token_malformed',
    'a refused header member',
    (good) => good.sign({}, { jwk: unpublished.jwk }, unpublished),
  ],
  [
    'that says where its key is',
    'caller_token_malformed',
    'a refused header member',
    (good) => good.sign({}, { jku: 'https://attacker.example/keys' }),
  ],
  [
    'longer than 16 KiB',
    'caller_token_malformed',
    'too long',
    (good) => good.sign({ padding: 'x'.repeat(16 * 1024) }),
  ],
  [
    'nested nine deep',
    'caller_token_malformed',
    'nested too deep',
    (good) => good.sign({ deep: [[[[[[[[1]]]]]]]] }),
  ],
  [
    'that is a personal access token, which is stronger than ours',
    'caller_token_malformed',
    'not three parts',
    () => 'ghs_16C7e42F292c6912E7710c838347Ae178B4a',
  ],
  [
    'with padding',
    'caller_token_malformed',
    'not base64url',
    async (good) => `${await good.sign()}==`,
  ],
  [
    'with its name in front',
    'caller_token_malformed',
    'not base64url',
    async (good) => `Bearer ${await good.sign()}`,
  ],
  [
    'in four parts',
    'caller_token_malformed',
    'not three parts',
    async (good) => `${await good.sign()}.AA`,
  ],
  [
    'with an id that is not exact',
    'caller_token_malformed',
    'a number that is not exact',
    (good) => rewritten(good, 1, (json) => json.replace('{', '{"id":9007199254740993,')),
  ],
  [
    'with two subjects',
    'caller_token_malformed',
    'a member twice',
    (good) => rewritten(good, 1, (json) => json.replace('{', '{"sub":"admin",')),
  ],
]

/** Whose token it is, is told by `sub` in some: without it, nobody's. */
function faultsOf(kind: CallerKind): readonly Fault[] {
  if (kind !== azureDevOpsInEntra && kind !== spiffe) return faults
  // And what a trust domain says in `iss` is nobody's business.
  const about = faults.filter(([, reason]) => kind !== spiffe || reason !== 'caller_issuer_unknown')
  return about.map(([name, reason, detail, mint]) =>
    detail === 'sub' ? [name, 'caller_issuer_unknown', '', mint] : [name, reason, detail, mint],
  )
}

describe.each(callerKinds)('an identifier for $name', (kind) => {
  it('proves the caller of a good token', async () => {
    const identification = await identifierFor(kind).identify(new Secret(await goodOf(kind).sign()))
    const { claims } = goodOf(kind)
    expect(identification).toMatchObject({ ok: true, caller: { claims, subject: claims['sub'] } })
  })

  it.each<[string, Claims, Claims]>([
    ['a second before it expires', { exp: now + 1 }, {}],
    ['a minute before it is valid, by our clock', { nbf: now + 60, iat: now + 60 }, {}],
    ['with fractions of seconds', { iat: now - 0.5, nbf: now - 0.25, exp: now + 300.75 }, {}],
    ['that is meant for others too', { aud: ['https://other.example', audience] }, {}],
    ['without a type', {}, { typ: undefined }],
    ['of the type of access tokens', {}, { typ: 'at+jwt' }],
    ['with a chain of certificates in its header', {}, { x5t: 'AQAB', x5c: ['AQAB'] }],
    ['with a claim named __proto__', JSON.parse('{"__proto__":{"team":"billing"}}') as Claims, {}],
  ])('proves it from a token %s', async (_, changes, header) => {
    const token = await goodOf(kind).sign(changes, header)
    expect(await identifierFor(kind).identify(new Secret(token))).toMatchObject({ ok: true })
  })

  it('proves it from a token that lives as long as may be, and not a second longer', async () => {
    const { maxTokenSeconds } = kind.settings(issuer.url)
    const { sign } = goodOf(kind)
    const born = { iat: now - 10, nbf: now - 10 }
    const longest = await sign({ ...born, exp: now - 10 + maxTokenSeconds })
    const longer = await sign({ ...born, exp: now - 9 + maxTokenSeconds })
    const identifier = identifierFor(kind)
    expect(await identifier.identify(new Secret(longest))).toMatchObject({ ok: true })
    expect(await identifier.identify(new Secret(longer))).toMatchObject({
      refusal: { reason: 'caller_token_too_long_lived' },
    })
  })

  it.each(faultsOf(kind))('refuses a token %s: %s', async (_, reason, detail, mint) => {
    await expectRefusal(kind, mint, reason, detail)
  })

  it('refuses a token that lacks what is required, or has it with another type or value', async () => {
    const [rule] = kind.settings(issuer.url).require
    if (rule === undefined) throw new TypeError('every kind here requires something')
    const { claim } = rule
    // What is required of `sub` and `oid` can be wrong and cannot be absent.
    const values = ['sub', 'oid'].includes(claim)
      ? ['other']
      : ['other', undefined, [rule.anyOf[0]]]
    for (const value of values) {
      const changes = claim === 'oid' ? { oid: value, sub: value } : { [claim]: value }
      await expectRefusal(kind, (good) => good.sign(changes), 'caller_claim_refused', claim)
    }
  })
})

const entraFaults: readonly Fault[] = [
  [
    'of a tenant that is not listed',
    'caller_tenant_refused',
    'iss and tid',
    ({ claims, sign }) =>
      sign({ iss: String(claims['iss']).replace(tenantId, otherTenantId), tid: otherTenantId }),
  ],
  [
    'whose tid is not the tenant of its issuer',
    'caller_tenant_refused',
    'iss and tid',
    (good) => good.sign({ tid: otherTenantId }),
  ],
  ['without tid', 'caller_tenant_refused', 'iss and tid', (good) => good.sign({ tid: undefined })],
  [
    'of the common issuer',
    'caller_issuer_unknown',
    '',
    ({ claims, sign }) => sign({ iss: String(claims['iss']).replace(tenantId, '{tenantid}') }),
  ],
  [
    'signed with a key of another tenant',
    'caller_key_unknown',
    'kid of-other-tenant',
    (good) => good.sign({}, {}, keyOfOtherTenant),
  ],
  [
    'signed with a key that says of no tenant that it is its',
    'caller_key_unknown',
    'kid of-nobody',
    (good) => good.sign({}, {}, keyOfNobody),
  ],
  [
    'of a user, with scopes',
    'caller_not_an_application',
    'scp',
    (good) => good.sign({ scp: 'user_impersonation' }),
  ],
  [
    'of a user, that says so',
    'caller_not_an_application',
    'idtyp',
    (good) => good.sign({ idtyp: 'user' }),
  ],
  [
    'that is a sign-in of a user',
    'caller_not_an_application',
    'sub is not oid',
    (good) => good.sign({ idtyp: undefined, sub: 'pairwise-subject' }),
  ],
  [
    'that is an application with scopes',
    'caller_not_an_application',
    'scp',
    (good) => good.sign({ idtyp: 'app', scp: '' }),
  ],
  [
    'of another version than its issuer',
    'caller_claim_missing',
    'ver',
    ({ claims, sign }) => sign({ ver: claims['ver'] === '1.0' ? '2.0' : '1.0' }),
  ],
  ['without a version', 'caller_claim_missing', 'ver', (good) => good.sign({ ver: undefined })],
  ['without an object id', 'caller_claim_missing', 'oid', (good) => good.sign({ oid: undefined })],
]

describe.each(entraKinds)('an identifier for $name', (kind) => {
  it.each(entraFaults)('refuses a token %s: %s', async (_, reason, detail, mint) => {
    await expectRefusal(kind, mint, reason, detail)
  })

  it('accepts an application that does not say what it is, by its subject', async () => {
    const token = await goodOf(kind).sign({ idtyp: undefined })
    expect(await identifierFor(kind).identify(new Secret(token))).toMatchObject({ ok: true })
  })

  it('contacts the authority alone', async () => {
    const before = issuer.asked.length
    await identifierFor(kind).identify(new Secret(await goodOf(kind).sign()))
    expect(issuer.asked.slice(before)).toEqual([entraKeysPath])
  })
})

describe('an identifier for service connections that Entra vouches for', () => {
  const connectionFaults: readonly Fault[] = [
    [
      'of another organisation that is connected to the same tenant',
      'caller_issuer_unknown',
      '',
      ({ sign }) => sign({ sub: connectionSubject('0f0f0f0f-0000-4000-8000-000000000002') }),
    ],
    [
      'of an application of the tenant',
      'caller_issuer_unknown',
      '',
      ({ sign }) => sign({ sub: 'eeeeeeee-0000-4000-8000-000000000001' }),
    ],
    [
      'whose subject goes on',
      'caller_issuer_unknown',
      '',
      ({ sign }) => sign({ sub: `${connectionSubject()}/x` }),
    ],
    [
      'of an application of the tenant that calls itself one',
      'caller_issuer_unknown',
      '',
      ({ sign }) => sign({ sub: `x${connectionSubject()}` }),
    ],
    [
      'signed with a key of another tenant',
      'caller_key_unknown',
      'kid of-other-tenant',
      (good) => good.sign({}, {}, keyOfOtherTenant),
    ],
  ]
  it.each(connectionFaults)('refuses a token %s: %s', async (_, reason, detail, mint) => {
    await expectRefusal(azureDevOpsInEntra, mint, reason, detail)
  })

  it('knows the organisation whatever the case of its GUID', async () => {
    const sub = connectionSubject('0F0F0F0F-0000-4000-8000-000000000001')
    const token = await goodOf(azureDevOpsInEntra).sign({ sub })
    expect(await identifierFor(azureDevOpsInEntra).identify(new Secret(token))).toMatchObject({
      ok: true,
      caller: { subject: sub },
    })
  })

  it('lives beside one for the applications of that tenant, and neither takes what is the other’s', async () => {
    const [, entra] = entraKinds
    if (entra === undefined) throw new TypeError('there is a kind for version 2')
    const identifier = createJwtCallerIdentifier({
      issuers: [azureDevOpsInEntra, entra].map(({ settings }) => settings(issuer.url)),
      ownClientIds: [ownClientId],
      clock,
      fetchJson: fetcher.fetchJson,
      onIssuerAway: (failure) => {
        throw failure
      },
    })
    for (const [kind, name] of [
      [azureDevOpsInEntra, 'devops'],
      [entra, 'entra'],
    ] as const) {
      const token = new Secret(await goodOf(kind).sign())
      expect(await identifier.identify(token)).toMatchObject({ ok: true, caller: { issuer: name } })
    }
  })
})

describe('an identifier for workloads of a trust domain', () => {
  const workloadFaults: readonly Fault[] = [
    ...[
      'spiffe://other.example/billing/export',
      'spiffe://contoso.example.other.example/billing/export',
      'spiffe://CONTOSO.example/billing/export',
      'SPIFFE://contoso.example/billing/export',
      'spiffe://contoso.example/billing/../export',
      'spiffe://contoso.example/./export',
      'spiffe://contoso.example//export',
      'spiffe://contoso.example/export/',
      'spiffe://contoso.example/',
      'spiffe://contoso.example/ex%70ort',
      'spiffe://user@contoso.example/export',
      'spiffe://contoso.example:8443/export',
      'spiffe://contoso.example/export?x',
      'https://contoso.example/export',
      'contoso.example/export',
      `spiffe://contoso.example/${'x'.repeat(2048)}`,
    ].flatMap((sub): Fault[] =>
      [undefined, 'spiffe://contoso.example', 'https://issuer.example'].map((iss) => [
        `of ${sub.slice(0, 60)}, by ${String(iss)}`,
        'caller_issuer_unknown',
        '',
        ({ sign }) => sign({ sub, iss }),
      ]),
    ),
    [
      'signed with a key for X.509',
      'caller_key_unknown',
      'kid of-x509',
      (good) => good.sign({}, {}, keyOfX509),
    ],
    [
      'signed with a key that does not say that it is for these',
      'caller_key_unknown',
      'kid of-nobody',
      (good) => good.sign({}, {}, keyOfNobody),
    ],
  ]
  it.each(workloadFaults)('refuses a token %s: %s', async (_, reason, detail, mint) => {
    await expectRefusal(spiffe, mint, reason, detail)
  })

  it.each<[string, Claims, Claims]>([
    ['whatever its iss', { iss: 'https://anything.example' }, {}],
    ['of the type JOSE', {}, { typ: 'JOSE' }],
    ['of the domain itself', { sub: 'spiffe://contoso.example' }, {}],
    ['with dots in its path', { sub: 'spiffe://contoso.example/a.b/..c/v1.2' }, {}],
  ])('proves a workload %s', async (_, changes, header) => {
    const token = new Secret(await goodOf(spiffe).sign(changes, header))
    expect(await identifierFor(spiffe).identify(token)).toMatchObject({ ok: true })
  })

  it('asks for its bundle alone', async () => {
    const before = issuer.asked.length
    await identifierFor(spiffe).identify(new Secret(await goodOf(spiffe).sign()))
    expect(issuer.asked.slice(before)).toEqual([bundlePath])
  })
})

describe('an identifier for a policy of B2C', () => {
  const b2cFaults: readonly Fault[] = [
    ...[
      ['of a policy that is not listed', { tfp: 'B2C_1_other' }],
      ['of a policy whose name begins like it', { tfp: 'B2C_1_signin2' }],
      ['of a policy that only looks like it', { tfp: 'B2C_1_s\u0131gnin' }],
      ['of no policy', { tfp: undefined }],
      ['of a policy without a name', { tfp: '' }],
      ['of a policy that is a list', { tfp: ['B2C_1_signin'] }],
      ['of two policies', { acr: 'B2C_1_other' }],
      ['of two policies, the other way round', { tfp: 'B2C_1_other', acr: 'B2C_1_signin' }],
      ['with a level of assurance where the policy would be', { acr: 1 }],
      ['of the tenant itself', { iss: undefined }],
    ].map(([name, changes]): Fault => [
      name as string,
      'caller_issuer_unknown',
      '',
      (good) => good.sign(changes as Claims),
    ]),
    [
      'signed with a key of another policy',
      'caller_key_unknown',
      'kid of-other-policy',
      (good) => good.sign({}, {}, keyOfOtherPolicy),
    ],
    [
      'for an application itself, with no permission for anybody',
      'caller_claim_missing',
      'azp',
      (good) => good.sign({ azp: undefined, scp: undefined }),
    ],
    [
      'without a permission',
      'caller_claim_missing',
      'scp',
      (good) => good.sign({ scp: undefined }),
    ],
    [
      'about an access token that came with it',
      'caller_claim_refused',
      'at_hash',
      (good) => good.sign({ at_hash: 'SGCPtt01wxwfgnYZy2VJtQ' }),
    ],
    [
      'about a code that came with it',
      'caller_claim_refused',
      'c_hash',
      (good) => good.sign({ c_hash: 'SGCPtt01wxwfgnYZy2VJtQ' }),
    ],
    [
      'of a tenant that gives everybody one subject',
      'caller_claim_missing',
      'sub',
      (good) => good.sign({ sub: 'Not supported currently. Use oid claim.' }),
    ],
  ]
  it.each(b2cFaults)('refuses a token %s: %s', async (_, reason, detail, mint) => {
    await expectRefusal(entraB2c, mint, reason, detail)
  })

  it.each<[string, Claims]>([
    ['by acr', { tfp: undefined, acr: 'b2c_1_signin' }],
    ['twice', { acr: 'b2c_1_signin' }],
    ['in capitals', { tfp: 'B2C_1_SIGNIN' }],
  ])('proves a caller whose token names the policy %s', async (_, changes) => {
    const token = new Secret(await goodOf(entraB2c).sign(changes))
    expect(await identifierFor(entraB2c).identify(token)).toMatchObject({ ok: true })
  })

  it('asks for the keys of its policy alone', async () => {
    const before = issuer.asked.length
    await identifierFor(entraB2c).identify(new Secret(await goodOf(entraB2c).sign()))
    expect(issuer.asked.slice(before)).toEqual([policyKeysPath('b2c_1_signin')])
  })

  it('takes each policy’s tokens by that policy’s keys', async () => {
    const settings = entraB2c.settings(issuer.url)
    const identifier = createJwtCallerIdentifier({
      issuers: [settings, { ...settings, policy: 'b2c_1_other' } as typeof settings],
      ownClientIds: [],
      clock,
      fetchJson: fetcher.fetchJson,
      onIssuerAway: () => undefined,
    })
    const reasonOf = async (policy: string, by: IssuerKey) => {
      const token = await goodOf(entraB2c).sign({ tfp: policy }, {}, by)
      const identification = await identifier.identify(new Secret(token))
      return identification.ok ? 'proven' : identification.refusal.reason
    }
    expect(await reasonOf('B2C_1_signin', key)).toBe('proven')
    expect(await reasonOf('B2C_1_other', keyOfOtherPolicy)).toBe('proven')
    expect(await reasonOf('B2C_1_signin', keyOfOtherPolicy)).toBe('caller_key_unknown')
    expect(await reasonOf('B2C_1_other', key)).toBe('caller_key_unknown')
  })
})

/** A new reason does not compile until it stands here, and does not pass until a token shows it. */
const everyReason: Readonly<Record<TokenRefusal['reason'], true>> = {
  caller_token_missing: true,
  caller_token_malformed: true,
  caller_issuer_unknown: true,
  caller_algorithm_refused: true,
  caller_key_unknown: true,
  caller_signature_wrong: true,
  caller_audience_wrong: true,
  caller_token_expired: true,
  caller_token_not_yet_valid: true,
  caller_token_too_long_lived: true,
  caller_claim_missing: true,
  caller_claim_refused: true,
  caller_tenant_refused: true,
  caller_not_an_application: true,
  caller_is_ourselves: true,
}

describe('the faults above', () => {
  it('show every reason', () => {
    const shown = [...faults, ...entraFaults].map(([, reason]) => reason)
    expect(new Set([...shown, 'caller_claim_refused'])).toEqual(new Set(Object.keys(everyReason)))
  })
})

async function expectRefusal(kind: CallerKind, mint: Mint, reason: string, detail: string) {
  const token = await mint(goodOf(kind))
  const identification = await identifierFor(kind).identify(new Secret(token))
  const refusal = identification.ok ? { reason: 'none' } : identification.refusal
  expect(refusal.reason).toBe(reason)
  expect('detail' in refusal ? refusal.detail : '').toContain(detail)
  expectNothingOf(token, refusal)
}

/** What goes to the log holds no part of the token that could be used or that says something. */
function expectNothingOf(token: string, refusal: object) {
  const logged = JSON.stringify(refusal)
  expect(logged.length).toBeLessThan(250)
  for (const part of token.split('.')) {
    if (part.length > 8) expect(logged).not.toContain(part.slice(0, 16))
  }
}
