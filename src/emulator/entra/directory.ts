import { managedIdentityResourceId } from '../managed-identity/resource-id.ts'
import type { World, WorldFederatedCredential, WorldPrincipal, WorldResource } from '../world.ts'
import { passed, refused, type Checked } from './refusal.ts'

/** What Entra knows of the world: which tenants there are, and who and what exists in each. */
export interface Directory {
  /** By GUID, or by the initial domain `NAME.onmicrosoft.com`. */
  tenant(tenantText: string): Checked<DirectoryTenant>
  /** @throws RangeError where the seed file has no tenant of that name. */
  tenantNamed(name: string): DirectoryTenant
  /** The service principal of a client in a tenant: an application present there, or a principal of it. */
  client(tenant: DirectoryTenant, clientId: string): Checked<DirectoryClient>
  /** By one of its URIs or its client id. */
  resource(tenant: DirectoryTenant, name: string): Checked<WorldResource>
}

export interface DirectoryTenant {
  readonly name: string
  readonly id: string
}

export interface DirectoryClient {
  /** Of the application or principal in the seed file. */
  readonly name: string
  readonly clientId: string
  /** Of the service principal in this tenant. */
  readonly objectId: string
  /** Registered in this very tenant: a line-of-business application, in Microsoft's words. */
  readonly isLineOfBusiness: boolean
  /** Whose tokens stand for it. */
  readonly federatedCredentials: readonly WorldFederatedCredential[]
  /** Of a managed identity, and of nobody else. */
  readonly managedIdentityResourceId?: string
}

export function createDirectory(world: World): Directory {
  return {
    tenant: (tenantText) => findTenant(world, tenantText),
    tenantNamed: (name) => {
      const tenant = world.tenants.find((one) => one.name === name)
      if (tenant === undefined) throw new RangeError(`the seed file has no tenant '${name}'`)
      return tenant
    },
    client: (tenant, clientId) => {
      const client = clientsOf(world, tenant).find((one) => sameGuid(one.clientId, clientId))
      return client === undefined ? clientMissing(tenant, clientId) : passed(client)
    },
    resource: (tenant, name) => {
      const resource = world.resources.find(
        ({ uris, clientId, tenants }) =>
          tenants.includes(tenant.name) &&
          (uris.some((uri) => sameUri(uri, name)) || sameGuid(clientId, name)),
      )
      return resource === undefined ? resourceMissing(tenant, name) : passed(resource)
    },
  }
}

/** Paths that name no tenant: good for people who sign in, not for applications. */
const tenantless = /^(common|organizations|consumers)$/i
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const domain = /^([0-9a-z-]+\.)+[a-z]{2,}$/i

function findTenant(world: World, tenantText: string): Checked<DirectoryTenant> {
  if (tenantless.test(tenantText)) {
    return refused(
      9001023,
      'The grant type is not supported over the /common or /consumers endpoints. ' +
        'Please use the /organizations or tenant-specific endpoint.',
    )
  }
  if (!guid.test(tenantText) && !domain.test(tenantText)) {
    return refused(
      900023,
      `Specified tenant identifier '${tenantText}' is neither a valid DNS name, ` +
        'nor a valid external domain.',
    )
  }
  const wanted = tenantText.toLowerCase()
  const tenant = world.tenants.find(
    ({ id, name }) => id.toLowerCase() === wanted || `${name}.onmicrosoft.com` === wanted,
  )
  if (tenant !== undefined) return passed(tenant)
  return refused(
    90002,
    `Tenant '${tenantText}' not found. Check to make sure you have the correct tenant ID and are ` +
      'signing into the correct cloud. Check with your subscription administrator, this may happen ' +
      'if there are no active subscriptions for the tenant.',
  )
}

function clientsOf(world: World, tenant: DirectoryTenant): DirectoryClient[] {
  const applications = world.applications.flatMap(({ name, clientId, homeTenant, presentIn }) =>
    presentIn
      .filter((presence) => presence.tenant === tenant.name)
      .map(({ objectId }) => ({
        name,
        clientId,
        objectId,
        isLineOfBusiness: homeTenant === tenant.name,
        federatedCredentials: [],
      })),
  )
  const principals = world.principals
    .filter((principal) => principal.tenant === tenant.name && canProveItself(principal))
    .map((principal) => ({
      name: principal.name,
      clientId: principal.clientId,
      objectId: principal.objectId,
      federatedCredentials: principal.federatedCredentials,
      ...(principal.kind === 'application'
        ? { isLineOfBusiness: true }
        : {
            isLineOfBusiness: false,
            managedIdentityResourceId: managedIdentityResourceId(principal, tenant.id),
          }),
    }))
  return [...applications, ...principals]
}

/** A managed identity has no certificate that it could show: somebody else's token has to stand for it. */
const canProveItself = ({ kind, federatedCredentials }: WorldPrincipal) =>
  kind === 'application' || federatedCredentials.length > 0

const clientMissing = (tenant: DirectoryTenant, clientId: string) =>
  refused(
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${tenant.name}'. ` +
      'This can happen if the application has not been installed by the administrator of the ' +
      'tenant or consented to by any user in the tenant. You may have sent your authentication ' +
      'request to the wrong tenant.',
  )

const resourceMissing = (tenant: DirectoryTenant, name: string) =>
  refused(
    500011,
    `The resource principal named ${name} was not found in the tenant named ${tenant.name}. This ` +
      'can happen if the application has not been installed by the administrator of the tenant or ' +
      'consented to by any user in the tenant. You might have sent your authentication request to ' +
      'the wrong tenant.',
  )

/** Clients write `https://vault.azure.net//.default` where the registered URI ends in a slash, and where it does not. */
const sameUri = (one: string, other: string) => one.replace(/\/$/, '') === other.replace(/\/$/, '')

const sameGuid = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()
