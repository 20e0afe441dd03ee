import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'

/**
 * The seed file: everything that exists in the emulated cloud before the first request. Names in it
 * (`vault`, `certificate`, `principal`, …) refer to one another; keys and certificates are generated
 * at start and kept nowhere.
 */

const guid = z.guid()
const objectName = z.string().regex(/^[0-9A-Za-z-]{1,127}$/)

/** Data actions as Azure RBAC spells them, without the `Microsoft.KeyVault/vaults/` in front. */
const dataAction = z.enum([
  'keys/read',
  'keys/sign/action',
  'keys/verify/action',
  'keys/wrap/action',
  'keys/unwrap/action',
  'keys/encrypt/action',
  'keys/decrypt/action',
  'certificates/read',
  'secrets/getSecret/action',
])

const roleAssignmentSchema = z.strictObject({
  /** Of the vault's tenant: a principal, or an application that is present there. */
  principal: z.string(),
  actions: z.array(dataAction).min(1),
  /** `keys/NAME` or `certificates/NAME`; without it the whole vault. */
  scope: z
    .string()
    .regex(/^(keys|certificates|secrets)\/[0-9A-Za-z-]{1,127}$/)
    .optional(),
})

/** What Azure Resource Manager calls a permission of an access policy: for all objects of a kind, never for one. */
const accessPolicySchema = z.strictObject({
  /** Of the vault's tenant: a principal, or an application that is present there. */
  principal: z.string(),
  keys: z
    .array(z.enum(['get', 'list', 'sign', 'verify', 'wrapKey', 'unwrapKey', 'encrypt', 'decrypt']))
    .default([]),
  certificates: z.array(z.enum(['get', 'list'])).default([]),
  secrets: z.array(z.enum(['get'])).default([]),
})

const keyType = z.enum(['RSA-HSM', 'RSA']).default('RSA-HSM')
const keySize = z.union([z.literal(2048), z.literal(3072), z.literal(4096)]).default(2048)
const keyOperation = z.enum(['sign', 'verify', 'encrypt', 'decrypt', 'wrapKey', 'unwrapKey'])

/** A key by itself; every certificate has one besides, which is called like the certificate. */
const keySchema = z.strictObject({
  name: objectName,
  keyType,
  keySize,
  exportable: z.boolean().default(false),
  /** A vault allows all of them unless told otherwise. */
  keyOps: z.array(keyOperation).default([...keyOperation.options]),
  /** Relative to the start of the emulator; without it the key has no beginning. */
  notBeforeSeconds: z.int().optional(),
  /** Relative to the start of the emulator; without it the key has no end. */
  notAfterSeconds: z.int().optional(),
  enabled: z.boolean().default(true),
})

const certificateSchema = z.strictObject({
  name: objectName,
  keyType,
  keySize,
  exportable: z.boolean().default(false),
  keyOps: z.array(keyOperation).default(['sign', 'verify']),
  subject: z.string().default('CN=assertion-signer'),
  /** What its secret is, where the key is exportable: PFX or PEM, certificate and private key. */
  contentType: z
    .enum(['application/x-pkcs12', 'application/x-pem-file'])
    .default('application/x-pkcs12'),
  /** Relative to the start of the emulator; negative begins in the past. */
  notBeforeSeconds: z.int().default(-3600),
  /** Relative to the start of the emulator; negative has already expired. */
  notAfterSeconds: z.int().default(180 * 24 * 3600),
  enabled: z.boolean().default(true),
})

/** A secret by itself; that of a certificate is called like the certificate. */
const secretSchema = z.strictObject({
  name: objectName,
  value: z.string(),
  contentType: z.string().optional(),
  enabled: z.boolean().default(true),
})

const vaultSchema = z
  .strictObject({
    name: z.string().regex(/^[0-9A-Za-z-]{3,24}$/),
    location: z.string().default('westeurope'),
    /** Whose tokens it takes; without it the first tenant. */
    tenant: z.string().optional(),
    /** 0 lets the system choose; the address is in the ready file. */
    port: z.int().min(0).max(65535).default(0),
    certificates: z.array(certificateSchema).default([]),
    /** None is called like a certificate of the vault, whose key has that name. */
    keys: z.array(keySchema).default([]),
    /** None is called like a certificate of the vault, whose secret has that name. */
    secrets: z.array(secretSchema).default([]),
    roleAssignments: z.array(roleAssignmentSchema).default([]),
    /** With it the vault has access policies, and no roles. */
    accessPolicies: z.array(accessPolicySchema).optional(),
  })
  .refine(
    ({ roleAssignments, accessPolicies }) =>
      accessPolicies === undefined || roleAssignments.length === 0,
    { message: 'a vault has access policies or roles, and not both', path: ['accessPolicies'] },
  )

const tenantSchema = z.strictObject({ name: z.string(), id: guid })

/** Where programs of a managed identity find its tokens. `workload-identity` is a pod, and needs a federated credential. */
const identitySource = z.enum(['app-service', 'imds', 'arc', 'cloud-shell', 'workload-identity'])

/** Whose tokens stand for a principal, compared exactly: an issuer of this file, by name. */
const federatedCredentialSchema = z.strictObject({
  issuer: z.string(),
  subject: z.string(),
  audience: z.string().default('api://AzureADTokenExchange'),
})

/** A service principal that can authenticate as itself: a managed identity, or an app with its own certificate. */
const principalSchema = z
  .strictObject({
    name: z.string(),
    tenant: z.string(),
    objectId: guid,
    clientId: guid,
    kind: z.enum(['managed-identity', 'application']).default('managed-identity'),
    /** Of a managed identity; an application that is none has none of them. */
    sources: z.array(identitySource).default(['app-service']),
    federatedCredentials: z.array(federatedCredentialSchema).default([]),
  })
  .refine(
    ({ sources, federatedCredentials }) =>
      !sources.includes('workload-identity') || federatedCredentials.length > 0,
    { message: 'workload-identity needs one of federatedCredentials', path: ['sources'] },
  )

const applicationSchema = z.strictObject({
  name: z.string(),
  clientId: guid,
  objectId: guid,
  homeTenant: z.string(),
  /** Certificates registered on it, as `VAULT/CERTIFICATE`: only these may sign its assertions. */
  certificates: z.array(z.string()).default([]),
  /** Tenants where it has a service principal; elsewhere AADSTS700016. */
  presentIn: z.array(z.strictObject({ tenant: z.string(), objectId: guid })).default([]),
})

/** Something tokens are for, in every tenant that lists it; its first URI names it in `aud`. */
const resourceSchema = z.strictObject({
  uris: z.array(z.string()).min(1),
  clientId: guid,
  tenants: z.array(z.string()).min(1),
  /** Lifetime of access tokens for it. */
  tokenSeconds: z.int().min(1).default(3599),
  /**
   * Takes part in continuous access evaluation, so that its tokens may live for a day; absent: it does
   * not. For workloads Microsoft documents it of Graph alone.
   */
  continuousAccess: z.literal(true).optional(),
  /** `requestedAccessTokenVersion` of its manifest: 1 puts the first URI into `aud`, 2 the client id. */
  accessTokenVersion: z.union([z.literal(1), z.literal(2)]).default(1),
})

/** What Azure Resource Manager knows; a subscription belongs to one tenant, whose tokens alone count. */
const subscriptionSchema = z.strictObject({
  name: z.string(),
  id: guid,
  tenant: z.string(),
  /** Of its tenant: principals, or applications that are present there. */
  readers: z.array(z.string()).default([]),
  resources: z
    .array(
      z.strictObject({
        name: z.string(),
        type: z.string(),
        resourceGroup: z.string().default('emulated'),
        location: z.string().default('westeurope'),
      }),
    )
    .default([]),
})

/** Who mints caller tokens. Claims given here are the defaults of each minted token. */
const issuerSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(['github', 'gitlab', 'kubernetes', 'azure-devops', 'spiffe', 'oidc', 'entra-b2c']),
  claims: z.record(z.string(), z.unknown()).default({}),
})

const columnType = z.enum(['string', 'datetime', 'long', 'int', 'real', 'boolean', 'dynamic'])

/** What rows are sent to: a data collection rule with streams, each in front of a table. */
const collectionRuleSchema = z.strictObject({
  name: objectName,
  immutableId: z.string().regex(/^dcr-[0-9a-f]{32}$/),
  /** Whose principals can have a role on it. */
  tenant: z.string(),
  streams: z
    .array(
      z.strictObject({
        name: z.string().regex(/^Custom-\w+$/),
        columns: z.record(z.string(), columnType),
      }),
    )
    .min(1),
  /** Principals with the role *Monitoring Metrics Publisher*. */
  publishers: z.array(z.string()).default([]),
})

/** A workspace of Log Analytics: what happens in the vaults and tenants of this file comes to its tables. */
const workspaceSchema = z.strictObject({
  name: objectName,
  id: guid,
  /** Whose principals can have a role on it. */
  tenant: z.string(),
  /** Principals with the role *Log Analytics Reader*. */
  readers: z.array(z.string()).default([]),
})

export const worldSchema = z.strictObject({
  tenants: z.array(tenantSchema).min(1),
  principals: z.array(principalSchema).default([]),
  applications: z.array(applicationSchema).default([]),
  resources: z.array(resourceSchema).default([]),
  vaults: z.array(vaultSchema).default([]),
  subscriptions: z.array(subscriptionSchema).default([]),
  issuers: z.array(issuerSchema).default([]),
  /** Of Azure Arc: the one place that its clients take a key from. It must be there. */
  arcKeyFolder: z.string().default('/var/opt/azcmagent/tokens'),
  collectionRules: z.array(collectionRuleSchema).default([]),
  workspaces: z.array(workspaceSchema).default([]),
})

export type World = z.output<typeof worldSchema>
export type WorldVault = World['vaults'][number]
export type WorldCertificate = WorldVault['certificates'][number]
export type WorldKey = WorldVault['keys'][number]
export type WorldSecret = WorldVault['secrets'][number]
export type WorldSubscription = World['subscriptions'][number]
export type WorldPrincipal = World['principals'][number]
export type IdentitySource = z.output<typeof identitySource>
export type WorldFederatedCredential = WorldPrincipal['federatedCredentials'][number]
export type WorldApplication = World['applications'][number]
export type WorldResource = World['resources'][number]
export type WorldIssuer = World['issuers'][number]
export type WorldCollectionRule = World['collectionRules'][number]
export type WorldWorkspace = World['workspaces'][number]

/** The cloud that starts when no seed file is named. */
export const defaultWorldFile = fileURLToPath(new URL('./default-world.yaml', import.meta.url))

/**
 * Reads a seed file (YAML or JSON).
 *
 * @throws Error that names the file and every rule it breaks.
 */
export function readWorld(file: string): World {
  const result = worldSchema.safeParse(parse(readFileSync(file, 'utf8')))
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new Error(`${file}: ${problems.join('; ')}`)
}
