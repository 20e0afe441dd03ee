import {
  parseApplicationName,
  parseGrantName,
  parseIssuerName,
  parseScope,
  parseTenantId,
} from '../../src/base/ids.ts'
import type { ClaimRule, ClaimValue } from '../../src/base/claim-rules.ts'
import { permissionsFrom, type Grant, type Permission } from '../../src/policy/grant.ts'
import { required } from './required.ts'

export const grantName = (text: string) => required(parseGrantName(text))
export const issuerName = (text: string) => required(parseIssuerName(text))
export const applicationName = (text: string) => required(parseApplicationName(text))
export const tenantId = (text: string) => required(parseTenantId(text))
export const scope = (text: string) => required(parseScope(text))

export const fabrikam = tenantId('fab00000-0000-4000-8000-000000000002')
export const northwind = tenantId('0a0a0a0a-0000-4000-8000-000000000003')
export const events = applicationName('events')
export const deploy = applicationName('deploy')
export const eventHubs = scope('https://eventhubs.azure.net/.default')
export const graph = scope('https://graph.microsoft.com/.default')

export const rules = (
  claims: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>>,
): readonly ClaimRule[] =>
  Object.entries(claims).map(([claim, written]) => ({
    claim,
    anyOf: typeof written === 'object' ? written : [written],
  }))

/** A token of Event Hubs in fabrikam, as application events. */
export const eventHubsToken = {
  want: 'token',
  application: events,
  tenants: new Set([fabrikam]),
  scopes: [eventHubs],
} satisfies Permission

export const deployAssertion = (lifetimeSeconds = 300): Permission => ({
  want: 'assertion',
  application: deploy,
  tenants: new Set([fabrikam]),
  lifetimeSeconds,
})

/** A compiled grant: of anybody with `sub: api` at `cluster`, for an Event Hubs token. */
export function grant(
  name: string,
  {
    issuer = 'cluster',
    claims = { sub: 'api' },
    may = [eventHubsToken],
    perMinute,
    ...terms
  }: {
    readonly issuer?: string
    readonly claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>>
    readonly may?: readonly Permission[]
    readonly perMinute?: number
    readonly untilSeconds?: number
    readonly longLived?: true
    readonly isolate?: true
    readonly mayRevoke?: true
    readonly mayAudit?: true
    readonly mode?: 'dry-run'
  } = {},
): Grant {
  return {
    name: grantName(name),
    issuer: issuerName(issuer),
    rules: rules(claims),
    permissions: permissionsFrom(may),
    ...(perMinute === undefined ? {} : { limits: { perMinute } }),
    ...terms,
  }
}
