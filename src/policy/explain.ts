import { claimsMatch, type ClaimRule, type ClaimValue, ownClaim } from '../base/claim-rules.ts'
import type { GrantName } from '../base/ids.ts'
import type { Ask, CallerFacts } from './decision.ts'
import { byCharge, type Grant, missingIn, offerOf } from './grant.ts'
import { isInForce, type Policy } from './policy.ts'

/** What a caller asks for; or that it wants to stop things and let them go on, or to read the ledger. */
export type ExplainedAsk = Ask | { readonly want: 'revocation' } | { readonly want: 'audit' }

/** How one grant stands to a caller and what it asks for. */
export interface GrantFinding {
  readonly grant: GrantName
  readonly finding: GrantStanding
}

export type GrantStanding =
  | { readonly kind: 'gives' }
  /** Would give it, and is only tried. */
  | { readonly kind: 'dry-run' }
  /** The first claim, as the file has them, that is not as the grant says. */
  | { readonly kind: 'claim'; readonly rule: ClaimRule; readonly has: ClaimFound }
  /** Names the caller, and its `until` has come. */
  | { readonly kind: 'ended' }
  /** Names the caller, and gives nothing of this kind (tokens or assertions) of the application. */
  | { readonly kind: 'application' }
  /** Gives tokens of the application, of other scopes. */
  | { readonly kind: 'scope' }
  /** Gives just this, in other tenants. */
  | { readonly kind: 'tenant' }
  | { readonly kind: 'lifetime'; readonly maxSeconds: number }
  /** Names the caller, and lets nobody revoke. */
  | { readonly kind: 'revocation' }
  /** Names the caller, and lets nobody read the ledger. */
  | { readonly kind: 'audit' }

/** What a token says of a claim. */
export type ClaimFound =
  | { readonly is: 'value'; readonly value: ClaimValue }
  | { readonly is: 'absent' }
  /** A list, a map or null, which match nothing. */
  | { readonly is: 'no plain value' }

/**
 * Every grant of the caller's issuer, those first that come nearest to giving what is asked: it says
 * `gives` of exactly those that {@link decide}, {@link mayRevoke} or {@link mayAudit} would choose among, and in its
 * order.
 *
 * @param nowSeconds Seconds since the Unix epoch.
 */
export function explain(
  { grants }: Policy,
  caller: CallerFacts,
  ask: ExplainedAsk,
  nowSeconds: number,
): readonly GrantFinding[] {
  return grants
    .filter(({ issuer }) => issuer === caller.issuer)
    .map((grant) => ({
      grant,
      finding: findingOf(grant, caller, ask, nowSeconds),
      matched: grant.rules.filter((rule) => claimsMatch([rule], caller.claims)).length,
    }))
    .toSorted((a, b) => nearness(b) - nearness(a) || byCharge(a.grant, b.grant, ask.want))
    .map(({ grant, finding }) => ({ grant: grant.name, finding }))
}

function findingOf(
  grant: Grant,
  caller: CallerFacts,
  ask: ExplainedAsk,
  nowSeconds: number,
): GrantStanding {
  const rule = grant.rules.find((one) => !claimsMatch([one], caller.claims))
  if (rule !== undefined) return { kind: 'claim', rule, has: foundIn(caller.claims, rule.claim) }
  if (!isInForce(grant, nowSeconds)) return { kind: 'ended' }
  if (ask.want === 'revocation') {
    return { kind: grant.mayRevoke === true ? (grant.mode ?? 'gives') : 'revocation' }
  }
  if (ask.want === 'audit') {
    return { kind: grant.mayAudit === true ? (grant.mode ?? 'gives') : 'audit' }
  }
  const offer = offerOf(grant, ask)
  if (offer === undefined) return { kind: missingIn(grant, ask) }
  const maxSeconds = offer.lifetimeSeconds ?? 0
  const isTooLong = ask.want === 'assertion' && (ask.lifetimeSeconds ?? 0) > maxSeconds
  if (isTooLong) return { kind: 'lifetime', maxSeconds }
  return { kind: grant.mode ?? 'gives' }
}

function foundIn(claims: CallerFacts['claims'], claim: string): ClaimFound {
  if (!Object.hasOwn(claims, claim)) return { is: 'absent' }
  const value = ownClaim(claims, claim)
  return value === undefined ? { is: 'no plain value' } : { is: 'value', value }
}

const steps: readonly GrantStanding['kind'][] = [
  'claim',
  'ended',
  'revocation',
  'audit',
  'application',
  'scope',
  'tenant',
  'lifetime',
  'dry-run',
  'gives',
]

/** Whoever names the caller is nearer than whoever does not; of those, whoever misses by the least. */
const nearness = ({
  finding,
  matched,
}: {
  readonly finding: GrantStanding
  readonly matched: number
}) => (finding.kind === 'claim' ? matched - 1_000_000 : steps.indexOf(finding.kind))
