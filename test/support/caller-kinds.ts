import { parseClientId, parseTenantId, type ClientId, type TenantId } from '../../src/base/ids.ts'
import type { IssuerSettings } from '../../src/caller/issuer-settings.ts'
import { issuerName, type Claims } from './caller-issuer.ts'

/** One way in which real callers come: settings for their issuer, and the claims that it makes. */
export interface CallerKind {
  readonly name: string
  readonly settings: (issuerUrl: string) => IssuerSettings
  readonly claims: (issuerUrl: string, nowSeconds: number) => Claims
}

export const audience = 'https://countersign.example'
export const tenantId = parseTenantId('bbbbbbbb-0000-4000-8000-000000000001') as TenantId
export const otherTenantId = 'bbbbbbbb-0000-4000-8000-000000000002'
/** An application that we sign for. */
export const ownClientId = parseClientId('cccccccc-0000-4000-8000-000000000001') as ClientId
const callerClientId = 'dddddddd-0000-4000-8000-000000000001'
const objectId = 'eeeeeeee-0000-4000-8000-000000000001'

const pinned = { audience, algorithms: ['RS256'] } as const

const oidc: CallerKind = {
  name: 'oidc',
  settings: (issuer) => ({
    ...pinned,
    kind: 'oidc',
    name: issuerName('oidc'),
    issuer,
    require: [{ claim: 'team', anyOf: ['billing', 'orders'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (iss, now) => ({
    iss,
    sub: 'job-1',
    aud: audience,
    iat: now,
    exp: now + 300,
    team: 'billing',
  }),
}

const github: CallerKind = {
  name: 'github',
  settings: (issuer) => ({
    ...pinned,
    kind: 'github',
    name: issuerName('github'),
    issuer,
    require: [{ claim: 'repository_owner_id', anyOf: ['987'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (iss, now) => ({
    iss,
    sub: 'repo:contoso@987/billing@123456:ref:refs/heads/main',
    aud: audience,
    jti: 'c9a1f4ac-4b5f-4a5e-8a0b-0d7c7dba1f9c',
    ref: 'refs/heads/main',
    repository: 'contoso/billing',
    repository_id: '123456',
    repository_owner: 'contoso',
    repository_owner_id: '987',
    run_id: '42',
    nbf: now - 300,
    iat: now,
    exp: now + 300,
  }),
}

const gitlab: CallerKind = {
  name: 'gitlab',
  settings: (issuer) => ({
    ...pinned,
    kind: 'gitlab',
    name: issuerName('gitlab'),
    issuer,
    require: [{ claim: 'ref_protected', anyOf: ['true'] }],
    maxTokenSeconds: 86_400,
  }),
  claims: (iss, now) => ({
    iss,
    sub: 'project_path:contoso/billing:ref_type:branch:ref:main',
    aud: audience,
    namespace_id: '7',
    project_id: '22',
    ref: 'main',
    ref_type: 'branch',
    ref_protected: 'true',
    pipeline_id: '574',
    jti: '235b3a54-b797-45c7-ae9a-f72d7bc6ef5b',
    iat: now,
    nbf: now - 5,
    exp: now + 3600,
  }),
}

const kubernetes: CallerKind = {
  name: 'kubernetes',
  settings: (issuer) => ({
    ...pinned,
    kind: 'kubernetes',
    name: issuerName('cluster'),
    issuer,
    require: [{ claim: 'sub', anyOf: ['system:serviceaccount:billing:export'] }],
    maxTokenSeconds: 86_400,
  }),
  claims: (iss, now) => ({
    iss,
    sub: 'system:serviceaccount:billing:export',
    aud: [audience],
    jti: '7ee52be0-9045-4653-aa5e-0da57b8dccdc',
    iat: now,
    nbf: now,
    exp: now + 3607,
    'kubernetes.io': {
      namespace: 'billing',
      node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
      pod: { name: 'export-0', uid: '1e3c1d1c-7c2e-4b36-9c8e-1f1f3e4e0b7f' },
      serviceaccount: { name: 'export', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
    },
  }),
}

const organization = '0f0f0f0f-0000-4000-8000-000000000001'

const azureDevOps: CallerKind = {
  name: 'azure-devops',
  settings: (issuer) => ({
    ...pinned,
    kind: 'azure-devops',
    name: issuerName('devops'),
    issuer,
    require: [{ claim: 'prj_id', anyOf: ['a7b4a8a1-0000-4000-8000-000000000007'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (iss, now) => ({
    iss,
    sub: 'sc://contoso/billing/countersign',
    aud: audience,
    org_id: organization,
    prj_id: 'a7b4a8a1-0000-4000-8000-000000000007',
    def_id: '12',
    rpo_id: 'b1f0c9d8-e7a6-4b5c-8d4e-3f2a1b0c9d8e',
    rpo_ref: 'refs/heads/main',
    run_id: '4711',
    nbf: now - 300,
    iat: now,
    exp: now + 600,
  }),
}

const connection = '9d9d9d9d-0000-4000-8000-000000000001'
const eid1 = `/eid1/c/pub/t/u7u7uwAAAECAAAAAAAAAAQ/a/SZrd0gEBAUCAAQIDBAUGBw`

/** The subject that Entra gives to a service connection of an organisation. */
export const connectionSubject = (ofOrganization: string = organization) =>
  `${eid1}/sc/${ofOrganization}/${connection}`

/** What else these tokens say nobody outside of Microsoft has written down. */
export const azureDevOpsInEntra: CallerKind = {
  name: 'azure-devops, issued by Entra',
  settings: (authority) => ({
    ...pinned,
    kind: 'azure-devops-in-entra',
    name: issuerName('devops'),
    authority,
    tenant: tenantId,
    organization,
    require: [{ claim: 'ver', anyOf: ['2.0'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (authority, now) => ({
    iss: `${authority}/${tenantId}/v2.0`,
    sub: connectionSubject(),
    aud: audience,
    ver: '2.0',
    nbf: now,
    iat: now,
    exp: now + 600,
  }),
}

/** Where a trust domain shows its bundle. */
export const bundlePath = '/bundle'

export const spiffe: CallerKind = {
  name: 'spiffe',
  settings: (url) => ({
    ...pinned,
    kind: 'spiffe',
    name: issuerName('mesh'),
    trustDomain: 'contoso.example',
    bundleUrl: `${url}${bundlePath}`,
    require: [{ claim: 'team', anyOf: ['billing'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (_, now) => ({
    sub: 'spiffe://contoso.example/billing/export',
    aud: [audience],
    iat: now,
    exp: now + 300,
    team: 'billing',
  }),
}

/** Where a policy of B2C shows its keys, by its name in lower case. */
export const policyKeysPath = (policy: string) => `/${tenantId}/${policy}/discovery/v2.0/keys`

/** As Microsoft documents access tokens of Azure AD B2C; the nonce is in the sample of one. */
export const entraB2c: CallerKind = {
  name: 'entra-b2c',
  settings: (url) => ({
    ...pinned,
    kind: 'entra-b2c',
    name: issuerName('customers'),
    issuer: `${url}/${tenantId}/v2.0/`,
    policy: 'b2c_1_signin',
    require: [{ claim: 'extension_team', anyOf: ['billing'] }],
    maxTokenSeconds: 3600,
  }),
  claims: (url, now) => ({
    iss: `${url}/${tenantId}/v2.0/`,
    sub: objectId,
    oid: objectId,
    aud: audience,
    ver: '1.0',
    tfp: 'B2C_1_signin',
    nonce: 'anyRandomValue',
    scp: 'read',
    azp: callerClientId,
    extension_team: 'billing',
    nbf: now,
    iat: now,
    exp: now + 3600,
  }),
}

const entraSettings = (authority: string): IssuerSettings => ({
  ...pinned,
  kind: 'entra',
  name: issuerName('entra'),
  authority,
  authorityV1: 'https://sts.windows.net',
  tenants: [tenantId],
  require: [{ claim: 'oid', anyOf: [objectId] }],
  maxTokenSeconds: 90_000,
})

const entraClaims = (now: number): Claims => ({
  aud: audience,
  tid: tenantId,
  oid: objectId,
  sub: objectId,
  roles: ['Tokens.Get'],
  uti: 'AAAAAAAAAAAAAAAAAAAAAA',
  iat: now - 300,
  nbf: now - 300,
  exp: now + 86_400,
})

const entraV1: CallerKind = {
  name: 'entra, version 1',
  settings: entraSettings,
  claims: (_, now) => ({
    ...entraClaims(now),
    iss: `https://sts.windows.net/${tenantId}/`,
    appid: callerClientId,
    appidacr: '2',
    ver: '1.0',
  }),
}

const entraV2: CallerKind = {
  name: 'entra, version 2',
  settings: entraSettings,
  claims: (authority, now) => ({
    ...entraClaims(now),
    iss: `${authority}/${tenantId}/v2.0`,
    azp: callerClientId,
    azpacr: '2',
    idtyp: 'app',
    ver: '2.0',
  }),
}

export const entraKinds = [entraV1, entraV2]
export const callerKinds = [
  oidc,
  github,
  gitlab,
  kubernetes,
  azureDevOps,
  azureDevOpsInEntra,
  spiffe,
  entraB2c,
  ...entraKinds,
]

/** Entra's tenant-independent keys, and the template that its keys carry. */
export const entraKeysPath = '/common/discovery/v2.0/keys'
export const entraKeyIssuer = (authority: string) => `${authority}/{tenantid}/v2.0`
