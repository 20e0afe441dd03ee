import { isWithin } from '../base/claim-widening.ts'
import { type ClaimRule, isPattern } from '../base/claim-rules.ts'
import type { GrantName } from '../base/ids.ts'
import type { Grant } from './grant.ts'
import type { Policy } from './policy.ts'
import { type GrantWidening, type PowerReach, wideningOfOne } from './widening.ts'

/** What is known of a caller without its token. */
export interface KnownCaller {
  readonly issuer: string
  readonly subject: string
  /** Names of grants that named it, each in some token of it. */
  readonly namedBy: Iterable<string>
}

/** What one caller gets by a grant that is wider now. */
export interface CallerGain {
  readonly grant: GrantName
  readonly powers: readonly PowerReach[]
  /** What must hold of claims that are not known; none: it gets this. */
  readonly ifClaims: readonly ClaimRule[]
}

/**
 * What of some widenings is for this caller. Its claims are not known: its subject is, and it is taken
 * to be as the grants that named it ask, by what they say in `before`. One that is not meant as such
 * has no gain; of the others each gain says what else it takes.
 */
export function callerGains(
  before: Policy,
  after: Policy,
  widened: readonly GrantWidening[],
  { issuer, subject, namedBy }: KnownCaller,
): readonly CallerGain[] {
  const itself: ClaimRule = { claim: 'sub', anyOf: [subject] }
  const names: ReadonlyMap<string, Grant> = before.named
  const naming = [...namedBy]
    .map((name) => names.get(name))
    .filter((grant) => grant?.issuer === issuer)
    .filter((grant) => grant !== undefined)
  // Each by itself: no token need have been as two of them ask.
  const asSeen = naming.map(({ rules }) => [itself, ...othersIn(rules)])
  const sides = asSeen.length === 0 ? [[itself]] : asSeen
  return widened.flatMap((widening) => {
    const grant = after.named.get(widening.grant)
    if (grant?.issuer !== issuer) return []
    return surest(sides.flatMap((known) => gainsOf(grant, known, before)))
  })
}

const othersIn = (rules: readonly ClaimRule[]) => rules.filter(({ claim }) => claim !== 'sub')

function gainsOf(grant: Grant, known: readonly ClaimRule[], before: Policy): readonly CallerGain[] {
  const met = grant.rules.map((rule) => meeting(rule, knownOf(known, rule)))
  if (met.some(({ anyOf }) => anyOf.length === 0)) return []
  const besides = known.filter(({ claim }) => grant.rules.every((rule) => rule.claim !== claim))
  const ofCaller = wideningOfOne(before, { ...grant, rules: [...met, ...besides] })
  if (ofCaller === undefined) return []
  const ifClaims = grant.rules.filter((rule) => !isSure(rule, knownOf(known, rule)))
  return [{ grant: grant.name, powers: ofCaller.powers, ifClaims }]
}

const knownOf = (known: readonly ClaimRule[], { claim }: ClaimRule) =>
  known.find((rule) => rule.claim === claim)

const isSure = (rule: ClaimRule, known: ClaimRule | undefined) =>
  known?.anyOf.every((one) => isWithin(one, rule)) === true

/** What of a rule is left for a caller of whom another is known; nothing: it is not meant. */
function meeting(rule: ClaimRule, known: ClaimRule | undefined): ClaimRule {
  if (known === undefined) return rule
  const anyOf = [
    ...known.anyOf.filter((one) => isWithin(one, rule)),
    ...rule.anyOf.filter((one) => isWithin(one, known)),
  ]
  // Two forms may have a text in common without either being within the other.
  const mayMeet = rule.anyOf.some(isPattern) && known.anyOf.some(isPattern)
  return anyOf.length === 0 && mayMeet ? rule : { claim: rule.claim, anyOf: [...new Set(anyOf)] }
}

/** What is certain makes what is not superfluous; and each once. */
function surest(gains: readonly CallerGain[]): readonly CallerGain[] {
  const sure = gains.filter(({ ifClaims }) => ifClaims.length === 0)
  const fewest = Math.min(...gains.map(({ ifClaims }) => ifClaims.length))
  const kept = sure.length > 0 ? sure : gains.filter(({ ifClaims }) => ifClaims.length === fewest)
  return [...new Map(kept.map((gain) => [JSON.stringify(gain), gain])).values()]
}
