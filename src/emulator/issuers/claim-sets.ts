import { randomUUID } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { WorldIssuer } from '../world.ts'

/** What differs between the kinds of issuers. */
export interface IssuerKind {
  /** Of the JWKS, below the issuer's place. */
  readonly jwksPath: string
  /** Of the discovery document; absent: where OpenID Connect has it. */
  readonly metadataPath?: string
  /** What `iss` has after the issuer's place; absent: nothing. */
  readonly issuerPath?: string
  /** `typ` in the header. */
  readonly typ: 'JWT' | 'JOSE' | undefined
  /** `use` of its keys where it is not `sig`, and no `iss` is said then. */
  readonly keyUse?: 'jwt-svid'
  readonly lifetimeSeconds: number
  /** How long before `iat` a token is already valid. */
  readonly backdatedSeconds: number
  /** Whether one audience is still written as an array. */
  readonly audienceAsArray: boolean
  /** `aud` where nobody asks for another. */
  defaultAudience(issuer: string, claims: JWTPayload): string
  /** Claims of one job or pod, without those that every token has. */
  defaultClaims(issuer: string, nowSeconds: number): JWTPayload
  /** `sub`, as the issuer derives it from the other claims. */
  subject(claims: JWTPayload, form: 'by-name' | 'immutable'): string
}

const sha = '5a1d6f0f6c1f4d8e9b7a3c2e1f0d9c8b7a6f5e4d'

const github: IssuerKind = {
  jwksPath: '/.well-known/jwks',
  typ: 'JWT',
  lifetimeSeconds: 300,
  backdatedSeconds: 300,
  audienceAsArray: false,
  defaultAudience: (_, claims) => `https://github.com/${textOf(claims, 'repository_owner')}`,
  defaultClaims: () => ({
    jti: randomUUID(),
    ref: 'refs/heads/main',
    sha,
    repository: 'fabrikam/billing',
    repository_owner: 'fabrikam',
    repository_owner_id: '987',
    run_id: '9182736450',
    run_number: '42',
    run_attempt: '1',
    repository_visibility: 'private',
    repository_id: '123456',
    actor_id: '4711',
    actor: 'octavia',
    workflow: 'export',
    head_ref: '',
    base_ref: '',
    event_name: 'push',
    ref_protected: 'true',
    ref_type: 'branch',
    workflow_ref: 'fabrikam/billing/.github/workflows/export.yml@refs/heads/main',
    workflow_sha: sha,
    job_workflow_ref: 'fabrikam/billing/.github/workflows/export.yml@refs/heads/main',
    job_workflow_sha: sha,
    runner_environment: 'github-hosted',
    environment: 'production',
    check_run_id: '30112233445',
    enterprise: 'fabrikam',
    enterprise_id: '55',
  }),
  subject: (claims, form) => {
    const escaped = (name: string) => textOf(claims, name).replaceAll(':', '%3A')
    const [owner = '', repository = ''] = escaped('repository').split('/')
    const place =
      form === 'by-name'
        ? `${owner}/${repository}`
        : `${owner}@${escaped('repository_owner_id')}/${repository}@${escaped('repository_id')}`
    if (claims['environment'] !== undefined) {
      return `repo:${place}:environment:${escaped('environment')}`
    }
    if (claims['event_name'] === 'pull_request') return `repo:${place}:pull_request`
    return `repo:${place}:ref:${escaped('ref')}`
  },
}

const gitlab: IssuerKind = {
  jwksPath: '/oauth/discovery/keys',
  typ: 'JWT',
  // The job's timeout where it has one; an hour is the default of a project.
  lifetimeSeconds: 3600,
  backdatedSeconds: 5,
  audienceAsArray: false,
  defaultAudience: (issuer) => issuer,
  defaultClaims: (issuer) => ({
    jti: randomUUID(),
    namespace_id: '72',
    namespace_path: 'fabrikam',
    project_id: '20',
    project_path: 'fabrikam/billing',
    user_id: '1',
    user_login: 'octavia',
    user_email: 'octavia@fabrikam.example',
    user_access_level: 'maintainer',
    pipeline_id: '574',
    pipeline_source: 'push',
    job_id: '302',
    ref: 'main',
    ref_type: 'branch',
    ref_path: 'refs/heads/main',
    ref_protected: 'true',
    environment: 'production',
    environment_protected: 'true',
    deployment_tier: 'production',
    runner_id: 1,
    runner_environment: 'self-hosted',
    sha,
    project_visibility: 'private',
    ci_config_ref_uri: `${hostOf(issuer)}/fabrikam/billing//.gitlab-ci.yml@refs/heads/main`,
    ci_config_sha: sha,
  }),
  subject: (claims) =>
    `project_path:${textOf(claims, 'project_path')}:ref_type:${textOf(claims, 'ref_type')}` +
    `:ref:${textOf(claims, 'ref')}`,
}

const kubernetes: IssuerKind = {
  jwksPath: '/openid/v1/jwks',
  typ: undefined,
  lifetimeSeconds: 3600,
  backdatedSeconds: 0,
  audienceAsArray: true,
  defaultAudience: (issuer) => issuer,
  defaultClaims: (_, nowSeconds) => ({
    jti: randomUUID(),
    'kubernetes.io': {
      namespace: 'billing',
      node: { name: 'node-7', uid: '7e0d3e0e-3b1f-4c59-9f0e-1a2b3c4d5e6f' },
      pod: { name: 'export-6c9f7d5b8-x2kqp', uid: 'b1f0c9d8-e7a6-4b5c-8d4e-3f2a1b0c9d8e' },
      serviceaccount: { name: 'export', uid: 'd4c3b2a1-0f9e-4d8c-9b7a-6f5e4d3c2b1a' },
      warnafter: nowSeconds + 3607,
    },
  }),
  subject: (claims) => {
    const { namespace, serviceaccount } = (claims['kubernetes.io'] ?? {}) as {
      readonly namespace?: string
      readonly serviceaccount?: { readonly name?: string }
    }
    return `system:serviceaccount:${namespace ?? ''}:${serviceaccount?.name ?? ''}`
  },
}

const azureDevOps: IssuerKind = {
  jwksPath: '/.well-known/jwks',
  typ: 'JWT',
  lifetimeSeconds: 600,
  backdatedSeconds: 300,
  audienceAsArray: false,
  defaultAudience: () => 'api://AzureADTokenExchange',
  defaultClaims: () => ({
    jti: randomUUID(),
    org_id: '0f0f0f0f-0000-4000-8000-000000000001',
    prj_id: 'a7b4a8a1-3f52-4f0e-9c61-0d9b8e7f6a5c',
    def_id: '12',
    rpo_id: 'b1f0c9d8-e7a6-4b5c-8d4e-3f2a1b0c9d8e',
    rpo_uri: 'https://dev.azure.com/fabrikam/billing/_git/billing',
    rpo_ver: sha,
    rpo_ref: 'refs/heads/main',
    run_id: '4711',
    sub: 'sc://fabrikam/billing/countersign',
  }),
  // By the names of a service connection, which no other claim has.
  subject: (claims) => textOf(claims, 'sub'),
}

const spiffe: IssuerKind = {
  jwksPath: '/bundle',
  typ: 'JOSE',
  keyUse: 'jwt-svid',
  lifetimeSeconds: 300,
  backdatedSeconds: 0,
  audienceAsArray: true,
  defaultAudience: () => 'spiffe://fabrikam.example/api',
  defaultClaims: () => ({ sub: 'spiffe://fabrikam.example/billing/export' }),
  // By the selectors of a registration entry, which no claim has.
  subject: (claims) => textOf(claims, 'sub'),
}

/** Any other: what its tokens say of a workload is for the world and the order to tell. */
const oidc: IssuerKind = {
  jwksPath: '/jwks',
  typ: 'JWT',
  lifetimeSeconds: 300,
  backdatedSeconds: 0,
  audienceAsArray: false,
  defaultAudience: (issuer) => issuer,
  defaultClaims: () => ({ jti: randomUUID(), sub: 'workload' }),
  subject: (claims) => textOf(claims, 'sub'),
}

const b2cTenant = 'fab00000-0000-4000-8000-0000000000bc'
const b2cPolicy = 'B2C_1_signin'

/** As documented, and never compared with the real one: one tenant of Azure AD B2C with one policy. */
const entraB2c: IssuerKind = {
  jwksPath: `/${b2cTenant}/${b2cPolicy.toLowerCase()}/discovery/v2.0/keys`,
  metadataPath: `/${b2cTenant}/${b2cPolicy.toLowerCase()}/v2.0/.well-known/openid-configuration`,
  issuerPath: `/${b2cTenant}/v2.0/`,
  typ: 'JWT',
  lifetimeSeconds: 3600,
  backdatedSeconds: 0,
  audienceAsArray: false,
  // The client id of the API that the access token is for.
  defaultAudience: () => '33333333-0000-4000-8000-000000000003',
  defaultClaims: (_, nowSeconds) => ({
    ver: '1.0',
    sub: '884408e1-2918-4c00-b12d-3aa027d7563b',
    oid: '884408e1-2918-4c00-b12d-3aa027d7563b',
    name: 'Octavia',
    tfp: b2cPolicy,
    nonce: '12345',
    scp: 'tokens.get',
    azp: '975251ed-e4f5-4efd-abcb-5f1a8f566ab7',
    auth_time: nowSeconds,
  }),
  // The object id of whoever signed in.
  subject: (claims) => textOf(claims, 'sub'),
}

export const issuerKinds: Readonly<Record<WorldIssuer['kind'], IssuerKind>> = {
  github,
  gitlab,
  kubernetes,
  'azure-devops': azureDevOps,
  spiffe,
  oidc,
  'entra-b2c': entraB2c,
}

function textOf(claims: JWTPayload, name: string): string {
  const value = claims[name]
  return typeof value === 'string' ? value : ''
}

const hostOf = (issuer: string) => new URL(issuer).host
