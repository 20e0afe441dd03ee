import type { GrantName } from '../base/ids.ts'
import type {
  Ask,
  CallerFacts,
  Decision,
  NamedCaller,
  PolicyRefusal,
  TokenAsk,
  TokenTerms,
} from './decision.ts'
import { byCharge, limitsFor, offerOf, termsOf, type Grant, type Offer } from './grant.ts'
import type { BudgetAnswer, GrantBudget, GrantLimits } from './grant-budget.ts'
import { createGrantIndex, type GrantIndex } from './grant-index.ts'

/** Everything that is allowed at one moment. A reload makes a new one; it never changes. */
export interface Policy {
  /** By name. */
  readonly grants: readonly Grant[]
  readonly named: ReadonlyMap<GrantName, Grant>
  readonly index: GrantIndex
}

/** @param grants Each name once. Their order decides nothing. */
export function createPolicy(grants: readonly Grant[]): Policy {
  const byName = grants.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const named = new Map(byName.map((grant) => [grant.name, grant]))
  return Object.freeze({ grants: Object.freeze(byName), named, index: createGrantIndex(byName) })
}

/** The same with fewer grants. */
export function withoutGrants(policy: Policy, isLeftOut: (grant: Grant) => boolean): Policy {
  const left = policy.grants.filter((grant) => !isLeftOut(grant))
  return left.length === policy.grants.length ? policy : createPolicy(left)
}

/**
 * Whether this caller may have this. Grants only ever add: each is looked at by itself, and a caller
 * gets what any one of them allows. Of several, the first that has budget left is charged and its terms
 * apply: those that give tokens of a day come first, and then they follow by name. So no grant keeps
 * another from giving such tokens, and whoever takes one away brings none to light. Nothing else is read
 * or written; it never throws, whatever the claims hold.
 *
 * @param nowSeconds Seconds since the Unix epoch: a grant whose `until` has come allows nothing.
 */
export const decide = (
  policy: Policy,
  caller: NamedCaller,
  ask: Ask,
  nowSeconds: number,
  budget: GrantBudget,
): Decision =>
  decideCharging(policy, caller, ask, nowSeconds, (grant, limits) =>
    budget.take(grant, limits, caller),
  )

type TakeUse = (grant: GrantName, limits: GrantLimits) => BudgetAnswer

function decideCharging(
  policy: Policy,
  caller: CallerFacts,
  ask: Ask,
  nowSeconds: number,
  takeUse: TakeUse,
): Decision {
  const naming = policy.index.naming(caller).filter((grant) => isInForce(grant, nowSeconds))
  if (naming.length === 0) return refused({ reason: 'caller_not_named' })
  const enforced = naming.every(isEnforced) ? naming : naming.filter(isEnforced)
  const decision = enforcedDecision(enforced, ask, takeUse)
  if (enforced.length === naming.length) return decision
  const tried = offersOf(naming, ask).filter(({ grant }) => grant.mode === 'dry-run')
  const dryRun = tried.filter((offer) => lives(offer, ask)).map(({ grant }) => grant.name)
  return dryRun.length === 0 ? decision : { ...decision, dryRun }
}

function enforcedDecision(naming: readonly Grant[], ask: Ask, takeUse: TakeUse): Decision {
  const offers = offersOf(naming, ask)
  if (offers.length === 0) {
    return refused({ reason: 'grant_missing', namedBy: naming.map(({ name }) => name) })
  }
  // All tokens live as long as Entra says.
  if (ask.want === 'token') return charged(offers, ask, takeUse)
  const longEnough = offers.filter((offer) => lives(offer, ask))
  if (longEnough.length === 0) return refused(tooLong(offers.reduce(longer)))
  return charged(longEnough, ask, takeUse)
}

/** What {@link decide} says as long as every grant has budget left. Nothing is charged. */
export const foresee = (
  policy: Policy,
  caller: CallerFacts,
  ask: Ask,
  nowSeconds: number,
): Decision => decideCharging(policy, caller, ask, nowSeconds, () => ({ ok: true }))

/** In the order in which they are charged. */
function offersOf(grants: readonly Grant[], ask: Ask): readonly Offer[] {
  const offers: Offer[] = []
  for (const grant of grants) {
    const offer = offerOf(grant, ask)
    if (offer !== undefined) offers.push(offer)
  }
  return offers.length < 2 ? offers : offers.sort((a, b) => byCharge(a.grant, b.grant, ask.want))
}

export type RightDecision =
  | { readonly ok: true; readonly grant: GrantName }
  | { readonly ok: false; readonly refusal: PolicyRefusal }

/** Whether this caller may make and lift revocations. */
export const mayRevoke = (policy: Policy, caller: CallerFacts, nowSeconds: number): RightDecision =>
  rightOf(policy, caller, nowSeconds, ({ mayRevoke: may }) => may === true)

/** Whether this caller may read the ledger. */
export const mayAudit = (policy: Policy, caller: CallerFacts, nowSeconds: number): RightDecision =>
  rightOf(policy, caller, nowSeconds, ({ mayAudit: may }) => may === true)

/**
 * The first grant by name says so; no limit applies, because what must be stopped may be much. Nothing that
 * gives tokens or assertions gives a right, and no right gives another one.
 */
function rightOf(
  policy: Policy,
  caller: CallerFacts,
  nowSeconds: number,
  gives: (grant: Grant) => boolean,
): RightDecision {
  const naming = policy.index.naming(caller).filter((grant) => isInForce(grant, nowSeconds))
  const grant = naming.find((one) => one.mode === undefined && gives(one))
  if (grant !== undefined) return { ok: true, grant: grant.name }
  const refusal: PolicyRefusal =
    naming.length === 0
      ? { reason: 'caller_not_named' }
      : { reason: 'grant_missing', namedBy: naming.map(({ name }) => name) }
  return { ok: false, refusal }
}

/**
 * On what terms a grant still gives a token, to whom it gave it before: undefined when it does not any
 * more. Nothing is charged.
 */
export function stillGiven(
  policy: Policy,
  name: GrantName,
  ask: TokenAsk,
  nowSeconds: number,
): TokenTerms | undefined {
  const grant = policy.named.get(name)
  if (grant === undefined || grant.mode === 'dry-run' || !isInForce(grant, nowSeconds)) {
    return undefined
  }
  return offerOf(grant, ask) === undefined ? undefined : termsOf(grant)
}

export const isInForce = ({ untilSeconds }: Grant, nowSeconds: number) =>
  untilSeconds === undefined || nowSeconds < untilSeconds

const isEnforced = ({ mode }: Grant) => mode === undefined

const refused = (refusal: PolicyRefusal): Decision => ({ ok: false, refusal })

/** How long an assertion this offer is for; tokens live as long as Entra says. */
const lifetimeOf = (offer: Offer) => offer.lifetimeSeconds ?? 0

const lives = (offer: Offer, ask: Ask) =>
  ask.want === 'token' || (ask.lifetimeSeconds ?? 0) <= lifetimeOf(offer)

const longer = (a: Offer, b: Offer) => (lifetimeOf(b) > lifetimeOf(a) ? b : a)

const tooLong = (offer: Offer): PolicyRefusal => ({
  reason: 'lifetime_too_long',
  grant: offer.grant.name,
  maxSeconds: lifetimeOf(offer),
})

/** @param offers At least one, in the order in which they are charged. */
function charged(offers: readonly Offer[], ask: Ask, takeUse: TakeUse): Decision {
  const exhausted: LimitReached[] = []
  for (const offer of offers) {
    const limits = limitsFor(offer.grant, ask.want)
    if (limits === undefined) return granted(offer, ask)
    const grant = offer.grant.name
    const answer = takeUse(grant, limits)
    if (answer.ok) return granted(offer, ask)
    const { retryAfterSeconds } = answer
    exhausted.push({ reason: 'limit_reached', grant, retryAfterSeconds })
  }
  return refused(exhausted.reduce((a, b) => (b.retryAfterSeconds < a.retryAfterSeconds ? b : a)))
}

type LimitReached = PolicyRefusal & { reason: 'limit_reached' }

function granted(offer: Offer, ask: Ask): Decision {
  const grant = offer.grant.name
  if (ask.want === 'token') return { ok: true, grant, ...termsOf(offer.grant) }
  return { ok: true, grant, lifetimeSeconds: ask.lifetimeSeconds ?? lifetimeOf(offer) }
}
