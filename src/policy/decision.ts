import type { ApplicationName, GrantName, IssuerName, Scope, TenantId } from '../base/ids.ts'

/** What a caller asks for, parsed and normalised. */
export type Ask = TokenAsk | AssertionAsk

export interface TokenAsk {
  readonly want: 'token'
  readonly application: ApplicationName
  readonly tenant: TenantId
  readonly scope: Scope
}

export interface AssertionAsk {
  readonly want: 'assertion'
  readonly application: ApplicationName
  readonly tenant: TenantId
  /** Absent: the grant's lifetime. */
  readonly lifetimeSeconds?: number
}

/** What the policy needs to know of who asks. */
export interface CallerFacts {
  readonly issuer: IssuerName
  readonly claims: Readonly<Record<string, unknown>>
}

/** The same of a caller that is proven, which limits are counted for. */
export interface NamedCaller extends CallerFacts {
  /** Who it is for its issuer, whatever claims its proof has; at most 512 characters. */
  readonly subject: string
}

/** What a grant says of the tokens that it gives. */
export interface TokenTerms {
  /** Callers that ask for it may have tokens of a day, which nobody can recall; absent: they may not. */
  readonly longLived?: true
  /** Its tokens are given to nobody else; absent: it shares them with all grants that do not say so. */
  readonly isolate?: true
}

export type PolicyRefusal =
  /** No grant names this caller: a stranger, counted and not written down one by one. */
  | { readonly reason: 'caller_not_named' }
  /** Grants name it, in dry-run alone perhaps, and none that is enforced allows this. */
  | { readonly reason: 'grant_missing'; readonly namedBy: readonly GrantName[] }
  | { readonly reason: 'lifetime_too_long'; readonly grant: GrantName; readonly maxSeconds: number }
  | {
      readonly reason: 'limit_reached'
      readonly grant: GrantName
      readonly retryAfterSeconds: number
    }

export type Decision = (
  | ({
      readonly ok: true
      readonly grant: GrantName
      /** Of the assertion to hand out; absent for tokens. */
      readonly lifetimeSeconds?: number
    } & TokenTerms)
  | { readonly ok: false; readonly refusal: PolicyRefusal }
) & {
  /** Grants in `mode: dry-run` that would have allowed it, limits aside, and decide nothing; absent: none. */
  readonly dryRun?: readonly GrantName[]
}
