import type { World } from '../../src/emulator/world.ts'
import { cast, type ConfigurationFile, type GrantFile, serviceWorld } from './test-service.ts'

/** GUID of the n-th customer. */
export const customerAt = (index: number) =>
  `cc000000-0000-4000-8000-${String(index).padStart(12, '0')}`

const digits = (index: number) => String(index).padStart(12, '0')

/** The world of the services, with so many customers more: each has both applications and the orders. */
export function worldWithCustomers(count: number): World {
  const customers = Array.from({ length: count }, (_, index) => ({
    name: `customer-${index}`,
    id: customerAt(index),
  }))
  const names = customers.map(({ name }) => name)
  return {
    ...serviceWorld,
    tenants: [...serviceWorld.tenants, ...customers],
    applications: serviceWorld.applications.map((application, number) => ({
      ...application,
      presentIn: [
        ...application.presentIn,
        ...names.map((tenant, index) => ({
          tenant,
          objectId: `c0000000-0000-4000-800${number}-${digits(index)}`,
        })),
      ],
    })),
    resources: serviceWorld.resources.map((resource) => ({
      ...resource,
      tenants: [...resource.tenants, ...names],
    })),
  }
}

/** Both applications are for all of the customers. */
export const forCustomers =
  (count: number) =>
  (file: ConfigurationFile): ConfigurationFile => {
    // A list for each: YAML would write one that two share as an alias, which is not read.
    const tenants = () => Array.from({ length: count }, (_, index) => customerAt(index))
    const applications = Object.entries(file.applications).map(
      ([name, application]) => [name, { ...application, tenants: tenants() }] as const,
    )
    return { ...file, applications: Object.fromEntries(applications) }
  }

/** The workload and the pipeline may have whatever there is of either application in all tenants. */
export const grantsForCustomers: readonly GrantFile[] = [
  {
    grant: 'fabrikam-orders',
    caller: { issuer: 'fabrikam', claims: { tid: cast.fabrikam, oid: cast.workloadObjectId } },
    may: [{ application: 'events', tenant: 'any-listed', scopes: [cast.orders] }],
  },
  {
    grant: 'deploy-pipeline',
    caller: { issuer: 'github', claims: { repository_id: '123456', ref: 'refs/heads/main' } },
    may: [
      { application: 'events', tenant: 'any-listed', scopes: [cast.orders] },
      { application: 'deploy', tenant: 'any-listed', assertion: { lifetimeSeconds: 300 } },
    ],
    limits: { perMinute: 60_000 },
  },
]
