import type { ClaimRule } from '../base/claim-rules.ts'
import type { ApplicationName, GrantName, IssuerName, Scope, TenantId } from '../base/ids.ts'
import type { Ask, TokenTerms } from './decision.ts'
import type { GrantLimits } from './grant-budget.ts'

/** What one grant file allows, compiled: nothing in it needs looking up elsewhere any more. */
export interface Grant extends TokenTerms {
  readonly name: GrantName
  readonly issuer: IssuerName
  /** At least one; all must hold. */
  readonly rules: readonly ClaimRule[]
  readonly permissions: Permissions
  /** Whoever it names may make and lift revocations; absent: may not. */
  readonly mayRevoke?: true
  /** Whoever it names may read the ledger; absent: may not. */
  readonly mayAudit?: true
  /** Of tokens and assertions together. What is absent has the defaults of {@link limitsFor}. */
  readonly limits?: GrantLimits
  /** Absent: it allows what it says. */
  readonly mode?: 'dry-run'
  /** First second at which it allows nothing; absent: it has no end. */
  readonly untilSeconds?: number
}

/** One item of `may`, with names resolved. */
export type Permission =
  | {
      readonly want: 'token'
      readonly application: ApplicationName
      readonly tenants: ReadonlySet<TenantId>
      readonly scopes: readonly Scope[]
    }
  | {
      readonly want: 'assertion'
      readonly application: ApplicationName
      readonly tenants: ReadonlySet<TenantId>
      readonly lifetimeSeconds: number
    }

/** Permissions by what is asked for, so that a grant over thousands of tenants is one lookup. */
export type Permissions = ReadonlyMap<string, readonly Terms[]>

interface Terms {
  readonly tenants: ReadonlySet<TenantId>
  /** Longest life of an assertion; absent for tokens. */
  readonly lifetimeSeconds?: number
}

/** What a grant would give for an ask: the longest lifetime that it names, when an assertion is wanted. */
export interface Offer {
  readonly grant: Grant
  readonly lifetimeSeconds?: number
}

/** Ours, not Entra's: an assertion is a whole application, so nobody gets many of them by default. */
const assertionsPerMinute = 10

/** How often this grant may be used for such an ask; undefined is without limit. */
export function limitsFor({ limits }: Grant, want: Ask['want']): GrantLimits | undefined {
  return want === 'assertion' ? { perMinute: assertionsPerMinute, ...limits } : limits
}

/** Permissions that differ in nothing but their tenants become one. */
export function permissionsFrom(may: readonly Permission[]): Permissions {
  const asked = may.flatMap((permission) => {
    const lifetimeSeconds = permission.want === 'token' ? undefined : permission.lifetimeSeconds
    return keysOf(permission).map((key) => ({ key, lifetimeSeconds, tenants: permission.tenants }))
  })
  const byAsk = new Map<string, readonly Terms[]>()
  for (const [key, sameAsk] of Map.groupBy(asked, (one) => one.key)) {
    const byLifetime = Map.groupBy(sameAsk, (one) => one.lifetimeSeconds)
    byAsk.set(
      key,
      [...byLifetime].map(([lifetimeSeconds, same]) => ({
        tenants: together(same.map(({ tenants }) => tenants)),
        ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
      })),
    )
  }
  return byAsk
}

export const termsOf = ({ longLived, isolate }: Grant): TokenTerms => ({
  ...(longLived === undefined ? {} : { longLived }),
  ...(isolate === undefined ? {} : { isolate }),
})

/** Of two that give the same, which is charged first: see `decide`. Who may revoke or audit costs nothing. */
export const byCharge = (a: Grant, b: Grant, want: Ask['want'] | 'revocation' | 'audit'): number =>
  (want === 'token' ? Number(b.longLived === true) - Number(a.longLived === true) : 0) ||
  (a.name < b.name ? -1 : 1)

/** Undefined when the grant does not allow this, whoever asks. */
export function offerOf(grant: Grant, ask: Ask): Offer | undefined {
  const all = grant.permissions.get(keyOf(ask)) ?? []
  if (ask.want === 'token') {
    return all.some(({ tenants }) => tenants.has(ask.tenant)) ? { grant } : undefined
  }
  const terms = all.filter(({ tenants }) => tenants.has(ask.tenant))
  if (terms.length === 0) return undefined
  return { grant, lifetimeSeconds: Math.max(...terms.map((term) => term.lifetimeSeconds ?? 0)) }
}

/** What of an ask a grant does not reach that makes no offer: the first of application, scope and tenant. */
export function missingIn({ permissions }: Grant, ask: Ask): 'application' | 'scope' | 'tenant' {
  if (permissions.has(keyOf(ask))) return 'tenant'
  const { application } = ask
  const isOfApplication = (key: string) => key.startsWith(`token ${application} `)
  return ask.want === 'token' && [...permissions.keys()].some(isOfApplication)
    ? 'scope'
    : 'application'
}

/** Names hold no spaces and a scope is visible ASCII, so a space keeps the parts apart. */
const tokenKey = (application: ApplicationName, scope: Scope) => `token ${application} ${scope}`
const assertionKey = (application: ApplicationName) => `assertion ${application}`

const keyOf = (ask: Ask) =>
  ask.want === 'token' ? tokenKey(ask.application, ask.scope) : assertionKey(ask.application)

const keysOf = (permission: Permission) =>
  permission.want === 'token'
    ? permission.scopes.map((scope) => tokenKey(permission.application, scope))
    : [assertionKey(permission.application)]

/** One set stays the one it is, because "any listed tenant" of many grants may be very many. */
function together(sets: readonly ReadonlySet<TenantId>[]): ReadonlySet<TenantId> {
  const [only] = sets
  return only !== undefined && sets.length === 1 ? only : new Set(sets.flatMap((set) => [...set]))
}
