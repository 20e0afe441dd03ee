import { describe, expect, it } from 'vitest'
import { parseTenantId, type TenantId } from '../../../src/base/ids.ts'
import { createIssuerDirectory, keyLocationOf } from '../../../src/caller/issuer-directory.ts'
import type {
  EntraB2cSettings,
  EntraIssuerSettings,
  IssuerSettings,
  OpenIdIssuerSettings,
} from '../../../src/caller/issuer-settings.ts'
import { issuerName } from '../../support/caller-issuer.ts'

const tenant = (digit: string) =>
  parseTenantId(`${digit.repeat(8)}-0000-4000-8000-000000000000`) as TenantId
const listed = tenant('a')
const unlisted = tenant('b')

const common = {
  audience: 'https://countersign.example',
  algorithms: ['RS256'],
  require: [],
  maxTokenSeconds: 3600,
} as const
const cluster: OpenIdIssuerSettings = {
  ...common,
  kind: 'kubernetes',
  name: issuerName('cluster'),
  issuer: 'https://oidc.example/cluster',
}
const platform: EntraIssuerSettings = {
  ...common,
  kind: 'entra',
  name: issuerName('platform'),
  authority: 'https://login.microsoftonline.com',
  authorityV1: 'https://sts.windows.net',
  tenants: [listed],
}
const customers: EntraB2cSettings = {
  ...common,
  kind: 'entra-b2c',
  name: issuerName('customers'),
  issuer: `https://contoso.b2clogin.com/${listed}/v2.0/`,
  policy: 'B2C_1_signin',
}
const directory = createIssuerDirectory([cluster, platform])

describe('createIssuerDirectory', () => {
  it('finds an issuer by its exact name', () => {
    expect(directory.find({ iss: 'https://oidc.example/cluster' })).toEqual({
      found: 'issuer',
      issuer: { settings: cluster },
    })
  })

  it.each<[unknown]>([
    ['https://oidc.example/cluster/'],
    ['https://OIDC.example/cluster'],
    ['https://oidc.example/Cluster'],
    ['https://oidc.example'],
    ['https://oidc.example/cluster?a'],
    ['https://oidc.example/cluster#a'],
    ['https://oidc.example:443/cluster'],
    [' https://oidc.example/cluster'],
    ['constructor'],
    ['__proto__'],
    [''],
    [undefined],
    [null],
    [['https://oidc.example/cluster']],
  ])('does not find one as %j', (iss) => {
    expect(directory.find({ iss })).toEqual({ found: 'nothing' })
  })

  it.each([
    ['1.0', `https://sts.windows.net/${listed}/`],
    ['2.0', `https://login.microsoftonline.com/${listed}/v2.0`],
  ])('finds a listed tenant by the issuer of its %s tokens', (version, iss) => {
    expect(directory.find({ iss, tid: listed })).toEqual({
      found: 'issuer',
      issuer: {
        settings: platform,
        tenant: {
          tenantId: listed,
          version,
          keyIssuer: `https://login.microsoftonline.com/${listed}/v2.0`,
        },
      },
    })
  })

  it.each<[string, string, unknown]>([
    ['another tenant', `https://login.microsoftonline.com/${unlisted}/v2.0`, unlisted],
    ['another tenant in v1', `https://sts.windows.net/${unlisted}/`, unlisted],
    ['a tid of another tenant', `https://login.microsoftonline.com/${listed}/v2.0`, unlisted],
    ['an iss of another tenant', `https://login.microsoftonline.com/${unlisted}/v2.0`, listed],
    ['no tid', `https://login.microsoftonline.com/${listed}/v2.0`, undefined],
    ['a tid in capitals', `https://login.microsoftonline.com/${listed}/v2.0`, listed.toUpperCase()],
  ])('calls a token with %s one of an unlisted tenant', (_, iss, tid) => {
    expect(directory.find({ iss, tid })).toEqual({ found: 'unlisted tenant', settings: platform })
  })

  it.each([
    [`https://login.microsoftonline.com/${listed}/v2.0/`],
    [`https://login.microsoftonline.com/${listed}/`],
    [`https://sts.windows.net/${listed}`],
    [`https://sts.windows.net/${listed}/v2.0`],
    [`https://login.microsoftonline.us/${listed}/v2.0`],
    [`https://login.microsoftonline.com.example/${listed}/v2.0`],
    ['https://login.microsoftonline.com/common/v2.0'],
    ['https://login.microsoftonline.com/{tenantid}/v2.0'],
  ])('knows nobody as %s', (iss) => {
    expect(directory.find({ iss, tid: listed })).toEqual({ found: 'nothing' })
  })

  it('knows nobody as a service connection of a tenant whose applications it knows', () => {
    const iss = `https://login.microsoftonline.com/${listed}/v2.0`
    const sub = '/eid1/c/pub/t/x/a/y/sc/0f0f0f0f-0000-4000-8000-000000000001/z'
    expect(directory.find({ iss, sub, tid: listed })).toEqual({ found: 'nothing' })
    expect(directory.find({ iss, sub: '/eid1/', tid: listed })).toEqual({ found: 'nothing' })
  })

  it('leaves subjects to issuers that are nobody else’s', () => {
    const sub = '/eid1/c/pub/t/x/a/y/sc/0f0f0f0f-0000-4000-8000-000000000001/z'
    const found = { found: 'issuer', issuer: { settings: cluster } }
    expect(directory.find({ iss: cluster.issuer, sub })).toEqual(found)
    expect(directory.find({ iss: cluster.issuer, sub: 'spiffe://a.example/b' })).toEqual(found)
  })

  it('refuses two issuers that could have made the same token', () => {
    const twin = { ...cluster, name: issuerName('twin') }
    expect(() => createIssuerDirectory([cluster, twin])).toThrow(RangeError)
    const overlap = { ...platform, name: issuerName('overlap'), tenants: [unlisted, listed] }
    expect(() => createIssuerDirectory([platform, overlap])).toThrow(RangeError)
    const generic = { ...cluster, issuer: `https://sts.windows.net/${listed}/` }
    expect(() => createIssuerDirectory([platform, generic])).toThrow(RangeError)
  })

  it('refuses a policy of B2C twice, and an issuer that has its tokens too', () => {
    const inCapitals = { ...customers, policy: 'B2C_1_SIGNIN' }
    expect(() => createIssuerDirectory([customers, inCapitals])).toThrow(RangeError)
    const generic = { ...cluster, issuer: customers.issuer }
    expect(() => createIssuerDirectory([customers, generic])).toThrow(RangeError)
    const other = { ...customers, policy: 'B2C_1_other' }
    expect(() => createIssuerDirectory([customers, other])).not.toThrow()
  })

  it('accepts two Entra issuers that share no tenant', () => {
    const other = { ...platform, name: issuerName('other'), tenants: [unlisted] }
    const iss = `https://login.microsoftonline.com/${unlisted}/v2.0`
    expect(createIssuerDirectory([platform, other]).find({ iss, tid: unlisted })).toMatchObject({
      issuer: { settings: { name: 'other' } },
    })
  })

  it.each<[string, IssuerSettings]>([
    ['no audience', { ...cluster, audience: '' }],
    ['no algorithm', { ...cluster, algorithms: [] }],
    ['no lifetime', { ...cluster, maxTokenSeconds: 0 }],
    ['no lifetime', { ...cluster, maxTokenSeconds: NaN }],
    ['an issuer that cannot be asked', { ...cluster, issuer: 'http://oidc.example' }],
    ['an issuer that cannot be asked', { ...cluster, issuer: 'kubernetes/serviceaccount' }],
    ['an unusable jwksUri', { ...cluster, jwksUri: 'http://oidc.example/keys' }],
    ['an issuer that is none of B2C', { ...customers, issuer: 'https://contoso.b2clogin.com/' }],
    ['a policy that is none', { ...customers, policy: '../other' }],
    ['no tenant', { ...platform, tenants: [] }],
    ['an authority that is not an origin', { ...platform, authority: 'https://login.example/' }],
    ['an authority that is not an origin', { ...platform, authorityV1: 'sts.windows.net' }],
  ])('refuses settings with %s', (fault, settings) => {
    expect(() => createIssuerDirectory([settings])).toThrow(
      new RangeError(`issuer ${settings.name}: ${fault}`),
    )
  })
})

describe('keyLocationOf', () => {
  it('sends an issuer without jwksUri through discovery', () => {
    expect(keyLocationOf(cluster)).toEqual({ discoverFrom: 'https://oidc.example/cluster' })
  })

  it('prefers a jwksUri', () => {
    const jwksUri = 'https://keys.example/openid/v1/jwks'
    expect(keyLocationOf({ ...cluster, jwksUri })).toEqual({ jwksUri: new URL(jwksUri) })
    expect(keyLocationOf({ ...platform, jwksUri })).toEqual({ jwksUri: new URL(jwksUri) })
  })

  it("asks Entra's tenant-independent keys, and never the host of v1 tokens", () => {
    expect(keyLocationOf(platform)).toEqual({
      jwksUri: new URL('https://login.microsoftonline.com/common/discovery/v2.0/keys'),
    })
  })
})
