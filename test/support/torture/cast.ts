import type { z } from 'zod'
import type { worldSchema } from '../../../src/emulator/world.ts'
import type { grantForm } from '../../../src/policy/grant-form.ts'

/** Who plays in the torture, and what each may have: the world, the grants and the judge read this. */

export const publicUrl = 'https://countersign.contoso.example'
export const homeTenantId = 'c0c0c0c0-0000-4000-8000-000000000001'
/** The service's own identity: whose signatures have to be accounted for. */
export const serviceObjectId = '51000000-0000-4000-8000-000000000001'
/** Somebody with a role on the key, who should never use it. */
export const rogueObjectId = '51000000-0000-4000-8000-000000000002'

/** What replicas seal tokens with that they share. */
export const wrappingKeyName = 'token-wrapping'
/** What signs heads of the ledger. */
export const headKeyName = 'ledger-heads'

/** A tenant with a workload of its own, and a CI system of its own. */
export interface Place {
  readonly name: string
  readonly tenantId: string
  /** Of another place, where callers of this one have nothing to ask for. */
  readonly neighbourTenantId: string
  readonly workload: { readonly name: string; readonly objectId: string; readonly clientId: string }
  readonly ci: string
  /** Of the repository whose main branch has a grant. */
  readonly repositoryId: string
}

const digits = (index: number) => String(index).padStart(12, '0')

export const placesOf = (count: number): readonly Place[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `place-${index}`,
    tenantId: tenantIdOf(index),
    neighbourTenantId: tenantIdOf((index + 1) % count),
    workload: {
      name: `workload-${index}`,
      objectId: `0b1ec700-0000-4000-8000-${digits(index)}`,
      clientId: `c11e0700-0000-4000-8000-${digits(index)}`,
    },
    ci: `ci-${index}`,
    repositoryId: String(1000 + index),
  }))

const tenantIdOf = (index: number) => `ace00000-0000-4000-8000-${digits(index)}`

export const clientIds = {
  events: '11111111-0000-4000-8000-000000000001',
  deploy: '22222222-0000-4000-8000-000000000002',
} as const

export type ApplicationName = keyof typeof clientIds
export const applicationNames = ['events', 'deploy'] as const

/** What a token that is served has left to live, at least: what decides between the resources below. */
export const minRemainingSeconds = 5

/** By how long their tokens live: served from the cache, for some seconds of it, and never. */
export const resources = {
  'https://orders.example': 3599,
  'https://alerts.example': minRemainingSeconds + 3,
  'https://meters.example': minRemainingSeconds - 1,
} as const

export const scopes = Object.keys(resources).map((resource) => `${resource}/.default`)

export type Ask =
  | {
      readonly want: 'token'
      readonly application: ApplicationName
      readonly tenant: string
      readonly scope: string
    }
  | {
      readonly want: 'assertion'
      readonly application: ApplicationName
      readonly tenant: string
      /** Absent: what the grant says. */
      readonly lifetimeSeconds?: number
    }

export interface Caller {
  readonly name: string
  readonly place: Place
  readonly kind:
    | 'workload'
    | 'job'
    /** Proven, and named by no grant. */
    | 'job-of-a-branch'
    /** Shows a job's token whose signature is not the issuer's. */
    | 'forger'
  /** Absent: there is nothing for it. */
  readonly grant?: { readonly name: string; readonly may: readonly Ask[] }
}

export const assertionLifetimeMaxSeconds = 300

export const callersAt = (place: Place): readonly Caller[] => {
  const token = (application: ApplicationName, scope: string): Ask => ({
    want: 'token',
    application,
    tenant: place.tenantId,
    scope,
  })
  const assertion: Ask = { want: 'assertion', application: 'deploy', tenant: place.tenantId }
  const [, ...shortLived] = scopes
  return [
    {
      name: place.workload.name,
      place,
      kind: 'workload',
      grant: { name: place.workload.name, may: scopes.map((scope) => token('events', scope)) },
    },
    {
      name: `job-${place.name}`,
      place,
      kind: 'job',
      grant: {
        name: `job-${place.name}`,
        may: [assertion, ...shortLived.map((scope) => token('deploy', scope))],
      },
    },
    { name: `branch-${place.name}`, place, kind: 'job-of-a-branch' },
    { name: `forger-${place.name}`, place, kind: 'forger' },
  ]
}

/** Everything that somebody of this place could ask for, granted or not. */
export const asksAt = ({ tenantId, neighbourTenantId }: Place): readonly Ask[] =>
  [tenantId, neighbourTenantId].flatMap((tenant) =>
    applicationNames.flatMap((application): readonly Ask[] => [
      ...scopes.map((scope) => ({ want: 'token', application, tenant, scope }) as const),
      { want: 'assertion', application, tenant },
      { want: 'assertion', application, tenant, lifetimeSeconds: 60 },
      { want: 'assertion', application, tenant, lifetimeSeconds: 600 },
    ]),
  )

/** Whether the caller's grant has it; a second opinion to the policy of the product. */
export const mayHave = ({ grant }: Caller, ask: Ask): boolean =>
  grant?.may.some(
    (one) =>
      one.want === ask.want &&
      one.application === ask.application &&
      one.tenant === ask.tenant &&
      (ask.want === 'token'
        ? one.want === 'token' && one.scope === ask.scope
        : (ask.lifetimeSeconds ?? 0) <= assertionLifetimeMaxSeconds),
  ) ?? false

export const claimsOfJob = ({ repositoryId }: Place, ref: string) => ({
  repository_owner_id: '9870',
  repository_id: repositoryId,
  ref,
})

/** The grants as an operator would write them. */
export const grantFilesFor = (places: readonly Place[]): readonly z.input<typeof grantForm>[] =>
  places.flatMap(callersAt).flatMap(({ grant, kind, place }) =>
    grant === undefined
      ? []
      : [
          {
            grant: grant.name,
            caller:
              kind === 'workload'
                ? {
                    issuer: place.name,
                    claims: { tid: place.tenantId, oid: place.workload.objectId },
                  }
                : { issuer: place.ci, claims: claimsOfJob(place, 'refs/heads/main') },
            may: grant.may.map(permissionFor),
            limits: { perMinute: 60_000 },
          },
        ],
  )

function permissionFor(ask: Ask) {
  const { application, tenant } = ask
  return ask.want === 'token'
    ? { application, tenant, scopes: [ask.scope] }
    : { application, tenant, assertion: { lifetimeSeconds: assertionLifetimeMaxSeconds } }
}

export interface WorldOptions {
  /** Lifetime of the tokens that the service's managed identity gets for the vault. */
  readonly vaultTokenSeconds: number
}

/** The world as a seed file says it. */
export function worldFor(
  places: readonly Place[],
  { vaultTokenSeconds }: WorldOptions,
): z.input<typeof worldSchema> {
  const tenants = [{ name: 'contoso', id: homeTenantId }].concat(
    places.map(({ name, tenantId: id }) => ({ name, id })),
  )
  const everywhere = tenants.map(({ name }) => name)
  const resource = (uri: string, index: number, tokenSeconds: number) => ({
    uris: [uri],
    clientId: `33333333-0000-4000-8000-${digits(index)}`,
    tenants: everywhere,
    tokenSeconds,
  })
  return {
    tenants,
    principals: [
      principal('countersign', 'contoso', serviceObjectId),
      principal('build-agent', 'contoso', rogueObjectId),
      ...places.map(({ name, workload }) => ({ ...workload, tenant: name })),
    ],
    applications: applicationNames.map((name) => ({
      name,
      clientId: clientIds[name],
      objectId: clientIds[name].replace('-0000-', '-0a00-'),
      homeTenant: 'contoso',
      certificates: [`contoso-hsm/${name}-signing`],
      presentIn: everywhere.map((tenant, index) => ({
        tenant,
        objectId: clientIds[name].slice(0, 24) + digits(1000 + index),
      })),
    })),
    resources: [
      resource('https://vault.azure.net', 1, vaultTokenSeconds),
      resource(publicUrl, 2, 3599),
      ...Object.entries(resources).map(([uri, seconds], index) =>
        resource(uri, 10 + index, seconds),
      ),
    ],
    vaults: [
      {
        name: 'contoso-hsm',
        certificates: applicationNames.map((name) => ({ name: `${name}-signing` })),
        keys: [
          { name: wrappingKeyName, keyOps: ['wrapKey', 'unwrapKey'] },
          { name: headKeyName, keyOps: ['sign', 'verify'] },
        ],
        roleAssignments: [
          {
            principal: 'countersign',
            actions: ['keys/sign/action', 'keys/read', 'certificates/read'],
          },
          {
            principal: 'countersign',
            actions: ['keys/read', 'keys/wrap/action', 'keys/unwrap/action'],
            scope: `keys/${wrappingKeyName}`,
          },
          { principal: 'build-agent', actions: ['keys/sign/action'] },
        ],
      },
    ],
    issuers: places.map(({ ci }) => ({ name: ci, kind: 'github' })),
  }
}

const principal = (name: string, tenant: string, objectId: string) => ({
  name,
  tenant,
  objectId,
  clientId: objectId.replace('-0000-', '-0c00-'),
})
