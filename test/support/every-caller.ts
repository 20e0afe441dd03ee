import { decodeJwt } from 'jose'
import { createHash, X509Certificate } from 'node:crypto'
import type { ClientCredential } from '../../src/emulator/clients/client-authority.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { SigningKey } from '../../src/emulator/signing-keys.ts'
import type { World } from '../../src/emulator/world.ts'
import { signToken, type Claims } from './caller-issuer.ts'
import { connectionSubject } from './caller-kinds.ts'
import { createDpopClient, type DpopClient } from './dpop.ts'
import { required } from './required.ts'
import {
  cast,
  longLivedWorld,
  ordersAsk,
  type Answer,
  type ConfigurationFile,
  type GrantFile,
  type TestService,
} from './test-service.ts'
import { clientOrder, type LoopbackTlsFiles } from './tls-clients.ts'
import type { GoodToken, TokenFault } from './token-faults.ts'

/**
 * Callers of every kind that a configuration can list, coming to one service: each with the token that its
 * issuer makes, and what would make it another's.
 */
export interface EveryCaller {
  readonly name: string
  /** Under which the configuration has it. */
  readonly issuer: string
  /** Which claims say whose token it is. */
  readonly namedBy: 'iss' | 'sub'
  /** Its issuer wants tokens that come with a DPoP proof, and says so. */
  readonly wantsDpop?: true
  /** Of whom its token must not be. */
  readonly ofOthers: readonly TokenFault[]
  good(visited: Visited): Promise<GoodToken>
  /** Asks for what is granted, with the proof that the kind wants beside the token. */
  send(token: string, visited: Visited): Promise<Answer>
}

/** The service, and what clients have that hold a key. */
export interface Visited {
  readonly service: TestService
  readonly files: LoopbackTlsFiles
  readonly dpop: DpopClient
  readonly certificate: ClientCredential
}

export async function createVisited({
  service,
  files,
}: Pick<Visited, 'service' | 'files'>): Promise<Visited> {
  const certificate = await service.emulator.clients.issue(clientOrder({ wrong: 'self-signed' }))
  return { service, files, dpop: await createDpopClient(), certificate }
}

/** The default world with an issuer of every kind. */
export const everyIssuerWorld: World = {
  ...longLivedWorld,
  issuers: [
    ...longLivedWorld.issuers,
    { name: 'builds', kind: 'oidc', claims: { team: 'billing' } },
    { name: 'bound-to-certificates', kind: 'oidc', claims: { team: 'billing' } },
    { name: 'bound-to-dpop', kind: 'oidc', claims: { team: 'billing' } },
    { name: 'customers', kind: 'entra-b2c', claims: {} },
  ],
}

const organization = '0f0f0f0f-0000-4000-8000-000000000001'

/** Each good once, so that the second use of a good token is one more fault. */
export function everyIssuer(
  { endpoints }: TestService['emulator'],
  listed: ConfigurationFile['issuers'],
): ConfigurationFile['issuers'] {
  const issuer = (name: string) => required(endpoints.issuers[name])
  const once = { audience: cast.publicUrl, replay: 'once' } as const
  const team = () => ({ require: { team: 'billing' } })
  return {
    fabrikam: { ...required(listed['fabrikam']), ...once },
    github: { ...required(listed['github']), ...once },
    gitlab: {
      kind: 'gitlab',
      issuer: issuer('gitlab'),
      require: { namespace_id: '72' },
      ...once,
    },
    cluster: {
      kind: 'kubernetes',
      issuer: issuer('cluster'),
      require: { sub: 'system:serviceaccount:billing:export' },
      ...once,
    },
    devops: {
      kind: 'azure-devops',
      issuer: issuer('devops'),
      organization,
      connectedTenant: cast.fabrikam,
      ...once,
    },
    mesh: {
      kind: 'spiffe',
      trustDomain: 'fabrikam.example',
      bundleUrl: `${issuer('mesh')}/bundle`,
      algorithms: ['RS256'],
      ...once,
    },
    builds: { kind: 'oidc', issuer: issuer('builds'), ...team(), ...once },
    'bound-to-certificates': {
      kind: 'oidc',
      issuer: issuer('bound-to-certificates'),
      boundTokens: 'certificate',
      ...team(),
      ...once,
    },
    'bound-to-dpop': {
      kind: 'oidc',
      issuer: issuer('bound-to-dpop'),
      boundTokens: 'dpop',
      ...team(),
      ...once,
    },
    customers: {
      kind: 'entra-b2c',
      issuer: issuer('customers'),
      policies: ['B2C_1_signin'],
      ...once,
    },
    edge: {
      kind: 'mtls',
      caFile: endpoints.clientCaFile,
      identity: 'uri',
      trustDomain: 'fabrikam.example',
    },
  }
}

const grantedTo = (issuer: string, claims: GrantFile['caller']['claims']): GrantFile => ({
  grant: `of-${issuer}`,
  caller: { issuer, claims },
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  limits: { perMinute: 1000 },
})

/** One for each issuer that the default grants do not name. */
export const everyGrant: readonly GrantFile[] = [
  grantedTo('gitlab', { project_id: '20' }),
  grantedTo('cluster', { sub: 'system:serviceaccount:billing:export' }),
  grantedTo('devops', { sub: ['sc://fabrikam/billing/countersign', connectionSubject()] }),
  grantedTo('mesh', { sub: 'spiffe://fabrikam.example/billing/export' }),
  ...['builds', 'bound-to-certificates', 'bound-to-dpop'].map((issuer) =>
    grantedTo(issuer, { sub: 'workload' }),
  ),
  grantedTo('customers', { scp: 'tokens.get' }),
  grantedTo('edge', { uri: 'spiffe://fabrikam.example/billing/export' }),
]

const claimsText = (claims: Claims) =>
  Object.entries(claims)
    .map(([name, value]) => `with ${value === undefined ? 'no' : JSON.stringify(value)} ${name}`)
    .join()

const callerRefusedBy = (claim: string, changes: readonly Claims[]): readonly TokenFault[] =>
  changes.map((changed) => [
    claimsText(changed),
    'caller_claim_refused',
    claim,
    (good) => good.sign(changed),
  ])

const ofNobodyHere = (changes: readonly Claims[]): readonly TokenFault[] =>
  changes.map((changed) => [
    claimsText(changed),
    'caller_issuer_unknown',
    '',
    (good) => good.sign(changed),
  ])

const fromIssuer = (name: string, claims: Claims = {}) => ({
  good: async ({ service }: Visited) => {
    const issuer = required(service.emulator.issuers.find(name))
    const minted = await issuer.mint(mintOrderSchema.parse({ claims }))
    return goodFrom(service, minted, issuer.keys.current())
  },
})

const bearer = {
  send: (token: string, { service, files }: Visited) =>
    service.ask('POST /v1/token', { json: ordersAsk, token, dispatcher: files.connections() }),
}

/** Whatever its issuer makes it for, it is made for us. */
function goodFrom(
  { clock }: TestService,
  minted: string,
  { keyId, privateKey, jwk }: SigningKey,
  changes: Claims = {},
): GoodToken {
  const key = { kid: keyId, alg: 'RS256', privateKey, jwk }
  const claims = { ...decodeJwt(minted), aud: cast.publicUrl, ...changes }
  return {
    claims,
    key,
    now: clock.nowSeconds(),
    audience: cast.publicUrl,
    ownClientId: cast.eventsClientId,
    sign: (changed = {}, header = {}, by = key) => signToken(by, { ...claims, ...changed }, header),
  }
}

function entraToken({ emulator }: TestService, accessTokenVersion: 1 | 2): Promise<string> {
  const workload = required(
    emulator.world.principals.find(({ name }) => name === 'fabrikam-orders'),
  )
  const forUs = required(emulator.world.resources.find(({ uris }) => uris.includes(cast.publicUrl)))
  return emulator.entra.accessTokens.issue(
    { ...workload, tenantId: cast.fabrikam },
    { ...forUs, accessTokenVersion },
  )
}

const fromEntra = (version: 1 | 2, changes?: Claims) => ({
  good: async ({ service }: Visited) =>
    goodFrom(
      service,
      await entraToken(service, version),
      service.emulator.entra.keys.current(),
      changes,
    ),
})

const ofOtherTenants: readonly TokenFault[] = [
  [
    'of a tenant that is not listed',
    'caller_tenant_refused',
    'iss and tid',
    ({ claims, sign }) =>
      sign({
        iss: String(claims['iss']).replace(cast.fabrikam, cast.northwind),
        tid: cast.northwind,
      }),
  ],
  [
    'whose tid is not the tenant of its issuer',
    'caller_tenant_refused',
    'iss and tid',
    (good) => good.sign({ tid: cast.northwind }),
  ],
  ['without tid', 'caller_tenant_refused', 'iss and tid', (good) => good.sign({ tid: undefined })],
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
  ['without an object id', 'caller_claim_missing', 'oid', (good) => good.sign({ oid: undefined })],
]

const sha256Of = ({ certificatePem }: ClientCredential) =>
  createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('base64url')

const otherTeams = callerRefusedBy('team', [
  { team: 'orders' },
  { team: undefined },
  { team: ['billing'] },
  { team: 'Billing' },
])

/** What nobody could prove the key of, whatever is beside it. */
const bindings: readonly TokenFault[] = [
  [
    'that is bound to nothing',
    'caller_token_unbound',
    'bound to nobody',
    (good) => good.sign({ cnf: undefined }),
  ],
  [
    'that is bound in an unknown way',
    'caller_binding_unknown',
    'cnf',
    (good) => good.sign({ cnf: { kid: 'a' } }),
  ],
]

export const everyTokenCaller: readonly EveryCaller[] = [
  {
    name: 'oidc',
    issuer: 'builds',
    namedBy: 'iss',
    ofOthers: otherTeams,
    ...fromIssuer('builds'),
    ...bearer,
  },
  {
    name: 'github',
    issuer: 'github',
    namedBy: 'iss',
    ofOthers: callerRefusedBy('repository_owner_id', [
      { repository_owner_id: '666' },
      { repository_owner_id: 987 },
      { repository_owner_id: undefined },
    ]),
    ...fromIssuer('github'),
    ...bearer,
  },
  {
    name: 'gitlab',
    issuer: 'gitlab',
    namedBy: 'iss',
    ofOthers: callerRefusedBy('namespace_id', [
      { namespace_id: '73' },
      { namespace_id: 72 },
      { namespace_id: undefined },
    ]),
    ...fromIssuer('gitlab'),
    ...bearer,
  },
  {
    name: 'kubernetes',
    issuer: 'cluster',
    namedBy: 'iss',
    ofOthers: callerRefusedBy('sub', [
      { sub: 'system:serviceaccount:orders:export' },
      { sub: 'system:serviceaccount:billing:export2' },
    ]),
    ...fromIssuer('cluster'),
    ...bearer,
  },
  {
    name: 'azure-devops',
    issuer: 'devops',
    namedBy: 'iss',
    ofOthers: ofNobodyHere([
      { iss: 'https://vstoken.dev.azure.com/0f0f0f0f-0000-4000-8000-000000000002' },
    ]),
    ...fromIssuer('devops'),
    ...bearer,
  },
  {
    name: 'azure-devops, issued by Entra',
    issuer: 'devops',
    namedBy: 'iss',
    ofOthers: ofNobodyHere([
      { sub: connectionSubject('0f0f0f0f-0000-4000-8000-000000000002') },
      { sub: `${connectionSubject()}/x` },
    ]),
    ...fromEntra(2, { sub: connectionSubject() }),
    ...bearer,
  },
  {
    name: 'spiffe',
    issuer: 'mesh',
    namedBy: 'sub',
    ofOthers: ofNobodyHere([
      { sub: 'spiffe://northwind.example/billing/export' },
      { sub: 'spiffe://fabrikam.example.northwind.example/billing/export' },
      { sub: 'spiffe://FABRIKAM.example/billing/export' },
      { sub: 'spiffe://fabrikam.example/billing/../export' },
      { sub: 'https://fabrikam.example/billing/export' },
    ]),
    ...fromIssuer('mesh'),
    ...bearer,
  },
  {
    name: 'entra-b2c',
    issuer: 'customers',
    namedBy: 'iss',
    ofOthers: [
      ...ofNobodyHere([{ tfp: 'B2C_1_other' }, { tfp: undefined }, { acr: 'B2C_1_other' }]),
      [
        'for an application, without a permission',
        'caller_claim_missing',
        'scp',
        (good) => good.sign({ scp: undefined }),
      ],
      [
        'that is a sign-in',
        'caller_claim_refused',
        'at_hash',
        (good) => good.sign({ at_hash: 'SGCPtt01wxwfgnYZy2VJtQ' }),
      ],
    ],
    ...fromIssuer('customers'),
    ...bearer,
  },
  {
    name: 'entra, version 1',
    issuer: 'fabrikam',
    namedBy: 'iss',
    ofOthers: ofOtherTenants,
    ...fromEntra(1),
    ...bearer,
  },
  {
    name: 'entra, version 2',
    issuer: 'fabrikam',
    namedBy: 'iss',
    ofOthers: ofOtherTenants,
    ...fromEntra(2),
    ...bearer,
  },
  {
    name: 'a token that is bound to a certificate',
    issuer: 'bound-to-certificates',
    namedBy: 'iss',
    ofOthers: [
      ...otherTeams,
      ...bindings,
      [
        'that is bound to the certificate of another client',
        'caller_binding_unproven',
        'another certificate',
        (good) => good.sign({ cnf: { 'x5t#S256': 'a'.repeat(43) } }),
      ],
      [
        'that is bound to a DPoP key',
        'caller_token_unbound',
        'bound to dpop',
        (good) => good.sign({ cnf: { jkt: 'a'.repeat(43) } }),
      ],
    ],
    good: (visited) =>
      fromIssuer('bound-to-certificates', {
        cnf: { 'x5t#S256': sha256Of(visited.certificate) },
      }).good(visited),
    send: (token, { service, files, certificate }) =>
      service.ask('POST /v1/token', {
        json: ordersAsk,
        token,
        dispatcher: files.connections(certificate),
      }),
  },
  {
    name: 'a token that is bound to a DPoP key',
    issuer: 'bound-to-dpop',
    namedBy: 'iss',
    wantsDpop: true,
    ofOthers: [
      ...otherTeams,
      ...bindings,
      [
        'that is bound to the key of another client',
        'caller_binding_unproven',
        'another key',
        (good) => good.sign({ cnf: { jkt: 'a'.repeat(43) } }),
      ],
      [
        'that is bound to a certificate',
        'caller_token_unbound',
        'bound to certificate',
        (good) => good.sign({ cnf: { 'x5t#S256': 'a'.repeat(43) } }),
      ],
    ],
    good: (visited) =>
      fromIssuer('bound-to-dpop', { cnf: { jkt: visited.dpop.thumbprint } }).good(visited),
    send: async (token, { service, files, dpop }) => {
      const proof = await dpop.proof({
        token,
        htm: 'POST',
        htu: `${cast.publicUrl}/v1/token`,
        nowSeconds: service.clock.nowSeconds(),
      })
      return service.ask('POST /v1/token', {
        json: ordersAsk,
        headers: { authorization: `DPoP ${token}`, dpop: proof },
        dispatcher: files.connections(),
      })
    },
  },
]
