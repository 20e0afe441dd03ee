import { isDeepStrictEqual } from 'node:util'
import { claimWidenings, type ClaimWidening } from '../base/claim-widening.ts'
import { isPattern } from '../base/claim-rules.ts'
import type { GrantName, IssuerName, TenantId } from '../base/ids.ts'
import type { Ask, CallerFacts } from './decision.ts'
import { type Grant, limitsFor } from './grant.ts'
import type { GrantLimits } from './grant-budget.ts'
import type { Policy } from './policy.ts'

/** What of a grant lets somebody do something that no grant let them do before. */
export interface GrantWidening {
  readonly grant: GrantName
  /** In which ways it goes further than the grant of its name did; at least one. */
  readonly steps: readonly WideningStep[]
  /** What it gives to some of its callers that was not given to all of them. */
  readonly powers: readonly PowerReach[]
}

export interface PowerReach {
  /** `token APPLICATION RESOURCE/.default` or `assertion APPLICATION`. */
  readonly power: string
  /** Sorted. */
  readonly tenants: readonly TenantId[]
  /** Longest life of an assertion; absent for tokens. */
  readonly lifetimeSeconds?: number
}

export type WideningStep =
  | { readonly step: 'new-grant' }
  /** Was in dry-run. */
  | { readonly step: 'in-force' }
  | { readonly step: 'issuer'; readonly from: IssuerName; readonly to: IssuerName }
  | ClaimWidening
  /** Absent `toSeconds`: it has no end any more. */
  | { readonly step: 'until'; readonly fromSeconds: number; readonly toSeconds?: number }
  /** Uses a minute, of all callers or of each; absent `to`: without limit. */
  | {
      readonly step: 'limit'
      readonly of: Ask['want']
      readonly by: keyof GrantLimits
      readonly from: number
      readonly to?: number
    }
  | { readonly step: 'long-lived' }
  /** Whose tokens it is served has changed. */
  | { readonly step: 'isolate'; readonly isolated: boolean }
  | {
      readonly step: 'lifetime'
      readonly power: string
      readonly from: number
      readonly to: number
    }
  | { readonly step: 'permission'; readonly power: string; readonly tenants: readonly TenantId[] }
  /** Nothing here knows what these mean, so that their change counts as widening. */
  | { readonly step: 'other'; readonly members: readonly string[] }

/**
 * Every grant that allows somebody something that was allowed to nobody, or not to them, not so long,
 * not so often or on other terms: when {@link foresee} says yes by a grant of `after`, and no by
 * `before`, or yes without `longLived`, that grant is here, with what was asked for among its powers.
 *
 * Never the other way round: what several grants gave together may be reported although nothing is new.
 * So is a grant under another name when its uses are limited, because each name has a limit of its own.
 */
export function grantWidenings(before: Policy, after: Policy): readonly GrantWidening[] {
  const isSubset = rememberingSubsets()
  return after.grants
    .map((grant) => wideningOf(grant, before, isSubset))
    .filter((widening) => widening !== undefined)
}

/** What one grant newly gives. */
export const wideningOfOne = (before: Policy, grant: Grant): GrantWidening | undefined =>
  wideningOf(grant, before, rememberingSubsets())

type IsSubset = (of: ReadonlySet<TenantId>, whole: ReadonlySet<TenantId>) => boolean

function wideningOf(grant: Grant, before: Policy, isSubset: IsSubset): GrantWidening | undefined {
  if (grant.mode === 'dry-run') return undefined
  const namesake = before.named.get(grant.name)
  // Most grants of a review are as they were.
  if (namesake !== undefined && isGivenBy([namesake], grant, isSubset)) return undefined
  const others = before.index.naming(oneNamedBy(grant))
  const earlier = namesake === undefined ? others : [namesake, ...others]
  if (isGivenBy(earlier, grant, isSubset)) return undefined
  const left = reachesOf(grant).flatMap((reach) => leftOf(reach, grant, earlier, isSubset))
  const steps =
    namesake === undefined ? [{ step: 'new-grant' } as const] : stepsFrom(namesake, grant, left)
  return { grant: grant.name, steps, powers: left.map(powerFrom) }
}

const powerFrom = ({ power, tenants, lifetimeSeconds }: GrantReach): PowerReach => ({
  power,
  tenants: [...tenants].toSorted(),
  ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
})

/**
 * A caller that the grant names. A grant that gives something to everybody of them names this one, so
 * that the others need not be looked at. A form's own text is like it: a star is no separator.
 */
const oneNamedBy = ({ issuer, rules }: Grant): CallerFacts => ({
  issuer,
  claims: Object.fromEntries(
    rules.map(({ claim, anyOf: [first] }) => [
      claim,
      first !== undefined && isPattern(first) ? first.like : first,
    ]),
  ),
})

/** One thing that a grant gives, in a set of tenants. */
interface GrantReach {
  readonly power: string
  readonly want: Ask['want']
  readonly tenants: ReadonlySet<TenantId>
  readonly lifetimeSeconds: number | undefined
  /** What is not known here. */
  readonly others: object
}

const reachesOf = ({ permissions }: Grant): readonly GrantReach[] =>
  [...permissions].flatMap(([power, terms]) =>
    terms.map(({ tenants, lifetimeSeconds, ...others }) => ({
      power,
      want: wantOf(power),
      tenants,
      lifetimeSeconds,
      others,
    })),
  )

const wantOf = (power: string) => (power.startsWith('token ') ? 'token' : 'assertion')

/** Whether all of it was given to all of its callers. */
function isGivenBy(earlier: readonly Grant[], grant: Grant, isSubset: IsSubset): boolean {
  const reaches = reachesOf(grant)
  const isReached = reaches.every((reach) => leftOf(reach, grant, earlier, isSubset).length === 0)
  if (reaches.length > 0 && Object.keys(unknownOf(grant)).length === 0) return isReached
  const isGiven = (before: Grant) => wants.every((want) => isAsFar(before, grant, want))
  return isReached && earlier.some(isGiven)
}

const wants = ['token', 'assertion'] as const

/** What of a reach none of these grants gave to everybody whom `grant` names; empty: nothing. */
function leftOf(
  reach: GrantReach,
  grant: Grant,
  earlier: readonly Grant[],
  isSubset: IsSubset,
): readonly GrantReach[] {
  const given = earlier
    .filter((before) => before.permissions.has(reach.power))
    .filter((before) => isAsFar(before, grant, reach.want))
    .flatMap(reachesOf)
    .filter((before) => before.power === reach.power && isAsLong(before, reach))
  if (given.length === 0) return [reach]
  if (given.some(({ tenants }) => isSubset(reach.tenants, tenants))) return []
  const left = [...reach.tenants].filter((one) => !given.some(({ tenants }) => tenants.has(one)))
  return left.length === 0 ? [] : [{ ...reach, tenants: new Set(left) }]
}

const isAsLong = (before: GrantReach, reach: GrantReach) =>
  (before.lifetimeSeconds ?? 0) >= (reach.lifetimeSeconds ?? 0) &&
  isDeepStrictEqual(before.others, reach.others)

/** Two names have two limits: a grant that is limited stands for the one of its own name alone. */
const isAsFar = (before: Grant, grant: Grant, want: Ask['want']) =>
  (before.name === grant.name || !isLimited(before, want)) &&
  stepsBeyond(before, grant, [want]).length === 0

/** At least one, where something is left. */
function stepsFrom(
  namesake: Grant,
  grant: Grant,
  left: readonly GrantReach[],
): readonly WideningStep[] {
  const reached = new Set(left.map(({ want }) => want))
  return [
    ...stepsBeyond(namesake, grant, reached.size === 0 ? wants : [...reached]),
    ...left.flatMap((reach) => reachSteps(namesake, reach)),
  ]
}

function reachSteps(
  namesake: Grant,
  { power, tenants, ...reach }: GrantReach,
): readonly WideningStep[] {
  const before = reachesOf(namesake).filter((one) => one.power === power)
  const isNewIn = (one: TenantId) => !before.some((had) => had.tenants.has(one))
  const newIn = [...tenants].filter(isNewIn).toSorted()
  const to = reach.lifetimeSeconds ?? 0
  const from = Math.max(0, ...before.map(({ lifetimeSeconds }) => lifetimeSeconds ?? 0))
  const isOther = before.some(({ others }) => !isDeepStrictEqual(others, reach.others))
  return [
    ...(before.length === 0 || newIn.length > 0
      ? [{ step: 'permission', power, tenants: newIn } as const]
      : []),
    ...(newIn.length < tenants.size && from < to
      ? [{ step: 'lifetime', power, from, to } as const]
      : []),
    ...(isOther ? [{ step: 'other', members: [power] } as const] : []),
  ]
}

/** In which ways a grant goes further than another, whatever either gives. */
const stepsBeyond = (
  before: Grant,
  grant: Grant,
  asked: readonly Ask['want'][],
): readonly WideningStep[] => [
  ...(before.mode === 'dry-run' ? [{ step: 'in-force' } as const] : []),
  ...(before.issuer === grant.issuer
    ? []
    : [{ step: 'issuer', from: before.issuer, to: grant.issuer } as const]),
  ...claimWidenings(before.rules, grant.rules),
  ...untilSteps(before, grant),
  ...asked.flatMap((want) => limitSteps(before, grant, want)),
  ...(grant.longLived === true && before.longLived !== true
    ? [{ step: 'long-lived' } as const]
    : []),
  ...(grant.isolate === before.isolate
    ? []
    : [{ step: 'isolate', isolated: grant.isolate === true } as const]),
  ...otherSteps(before, grant),
]

function untilSteps(
  { untilSeconds: from }: Grant,
  { untilSeconds: to }: Grant,
): readonly WideningStep[] {
  if (from === undefined || (to !== undefined && to <= from)) return []
  return [{ step: 'until', fromSeconds: from, ...(to === undefined ? {} : { toSeconds: to }) }]
}

const limitKinds = ['perMinute', 'perCallerPerMinute'] as const

const isLimited = (grant: Grant, want: Ask['want']) => {
  const limits = limitsFor(grant, want)
  return limits !== undefined && limitKinds.some((by) => limits[by] !== undefined)
}

const limitSteps = (before: Grant, grant: Grant, want: Ask['want']): readonly WideningStep[] =>
  limitKinds.flatMap((by) => {
    const [from, to] = [limitsFor(before, want)?.[by], limitsFor(grant, want)?.[by]]
    if (from === undefined || (to !== undefined && to <= from)) return []
    return [{ step: 'limit', of: want, by, from, ...(to === undefined ? {} : { to }) } as const]
  })

/** Judged by name above. */
const known: ReadonlySet<string> = new Set<keyof Grant>([
  'name',
  'issuer',
  'rules',
  'permissions',
  'limits',
  'mode',
  'untilSeconds',
  'longLived',
  'isolate',
])

const unknownOf = (grant: Grant): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(grant).filter(([name]) => !known.has(name)))

function otherSteps(before: Grant, grant: Grant): readonly WideningStep[] {
  const [was, is] = [unknownOf(before), unknownOf(grant)]
  const members = [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((name) => !isDeepStrictEqual(was[name], is[name]))
    .toSorted()
  return members.length === 0 ? [] : [{ step: 'other', members }]
}

/**
 * "Any listed tenant" is one set in all grants of a policy: thousands of grants over a hundred thousand
 * tenants compare two sets once.
 */
function rememberingSubsets(): IsSubset {
  const answered = new WeakMap<ReadonlySet<TenantId>, WeakMap<ReadonlySet<TenantId>, boolean>>()
  return (of, whole) => {
    const answers = answered.get(of) ?? new WeakMap<ReadonlySet<TenantId>, boolean>()
    answered.set(of, answers)
    const answer = answers.get(whole) ?? [...of].every((one) => whole.has(one))
    answers.set(whole, answer)
    return answer
  }
}
