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
import {
  tokenFaults,
  tokenFaultsOf,
  type GoodToken,
  type TokenFault,
} from '../../support/token-faults.ts'

type Good = GoodToken
type Fault = TokenFault
type Mint = Fault[3]

const clock = fixedClock(1_795_000_000)
const now = clock.nowSeconds()
const fetcher = createJsonFetcher()
const key = createIssuerKey('current')
const keyOfOtherTenant = createIssuerKey('of-other-tenant')
const keyOfNobody = createIssuerKey('of-nobody')
const keyOfOtherPolicy = createIssuerKey('of-other-policy')
const keyOfX509 = createIssuerKey('of-x509')
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
  return { claims, sign, key, now, audience, ownClientId }
}

/** Whose token it is, is told by `sub` in some. */
function faultsOf(kind: CallerKind): readonly Fault[] {
  const namedBy = kind === spiffe ? 'sub' : kind === azureDevOpsInEntra ? 'iss and sub' : 'iss'
  return tokenFaultsOf(namedBy).map(([, ...fault]) => fault)
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
    const shown = [...Object.values(tokenFaults).flat(), ...entraFaults].map(([, reason]) => reason)
    expect(new Set([...shown, 'caller_claim_refused'])).toEqual(new Set(Object.keys(everyReason)))
  })
})

async function expectRefusal(kind: CallerKind, mint: Mint, reason: string, detail: Fault[2]) {
  const good = goodOf(kind)
  const token = await mint(good)
  const identification = await identifierFor(kind).identify(new Secret(token))
  const refusal = identification.ok ? { reason: 'none' } : identification.refusal
  expect(refusal.reason).toBe(reason)
  expect('detail' in refusal ? refusal.detail : '').toContain(
    typeof detail === 'string' ? detail : detail(good),
  )
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
