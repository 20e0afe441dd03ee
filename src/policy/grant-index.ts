import {
  claimsMatch,
  type ClaimRule,
  type ClaimValue,
  isPattern,
  ownClaim,
} from '../base/claim-rules.ts'
import type { IssuerName } from '../base/ids.ts'
import type { Grant } from './grant.ts'
import type { CallerFacts } from './decision.ts'

/**
 * Finds the grants that name a caller without looking at the others.
 *
 * Each grant is filed under its issuer and the values of one of its claims, the one that fewest other
 * grants of that issuer share: `repository_id` rather than `ref`. A caller has one value of each
 * claim, so what is looked at is what is filed under its own values, however many grants there are.
 * Grants that name no claim exactly are all looked at; `check` advises against them.
 */
export interface GrantIndex {
  /** Grants whose every rule holds of this caller, by name. */
  naming(caller: CallerFacts): readonly Grant[]
}

/** The grants of one issuer. */
interface Cabinet {
  /** By claim, then by value; a Map keeps `"1"` and `1` apart. */
  readonly drawers: Map<string, Map<ClaimValue, Grant[]>>
  /** Those that no value leads to. */
  readonly open: readonly Grant[]
}

/** @param grants Sorted by name; the answers keep that order. */
export function createGrantIndex(grants: readonly Grant[]): GrantIndex {
  const cabinets = new Map<IssuerName, Cabinet>()
  for (const [issuer, ofIssuer] of Map.groupBy(grants, (grant) => grant.issuer)) {
    cabinets.set(issuer, file(ofIssuer))
  }
  const rank = new Map(grants.map((grant, index) => [grant, index]))
  const byRank = (a: Grant, b: Grant) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0)

  return {
    naming: ({ issuer, claims }) => {
      const cabinet = cabinets.get(issuer)
      if (cabinet === undefined) return []
      const found: Grant[] = []
      let places = 0
      const lookIn = (filed: readonly Grant[]) => {
        const before = found.length
        for (const grant of filed) if (claimsMatch(grant.rules, claims)) found.push(grant)
        if (found.length > before) places += 1
      }
      lookIn(cabinet.open)
      for (const [claim, byValue] of cabinet.drawers) {
        const value = ownClaim(claims, claim)
        const drawer = value === undefined ? undefined : byValue.get(value)
        if (drawer !== undefined) lookIn(drawer)
      }
      // Each place is in order by itself.
      return places > 1 ? found.sort(byRank) : found
    },
  }
}

function file(grants: readonly Grant[]): Cabinet {
  const crowd = crowds(grants)
  const drawers: Cabinet['drawers'] = new Map()
  const open: Grant[] = []
  for (const grant of grants) {
    const rule = leastShared(grant.rules.flatMap(exactly), crowd)
    if (rule === undefined) {
      open.push(grant)
      continue
    }
    const byValue = drawers.get(rule.claim) ?? new Map<ClaimValue, Grant[]>()
    drawers.set(rule.claim, byValue)
    for (const value of new Set(rule.anyOf)) {
      const drawer = byValue.get(value) ?? []
      byValue.set(value, drawer)
      drawer.push(grant)
    }
  }
  return { drawers, open }
}

/** A rule that names values alone. */
interface ExactRule {
  readonly claim: string
  readonly anyOf: readonly ClaimValue[]
}

function exactly({ claim, anyOf }: ClaimRule): readonly ExactRule[] {
  const values = anyOf.filter((one): one is ClaimValue => !isPattern(one))
  return values.length === anyOf.length ? [{ claim, anyOf: values }] : []
}

type Crowd = ReadonlyMap<string, ReadonlyMap<ClaimValue, number>>

/** How many grants name each value of each claim. */
function crowds(grants: readonly Grant[]): Crowd {
  const counts = new Map<string, Map<ClaimValue, number>>()
  for (const { claim, anyOf } of grants.flatMap(({ rules }) => rules.flatMap(exactly))) {
    const byValue = counts.get(claim) ?? new Map<ClaimValue, number>()
    counts.set(claim, byValue)
    for (const value of anyOf) byValue.set(value, (byValue.get(value) ?? 0) + 1)
  }
  return counts
}

function leastShared(rules: readonly ExactRule[], crowd: Crowd): ExactRule | undefined {
  const shareOf = ({ claim, anyOf }: ExactRule) =>
    Math.max(...anyOf.map((value) => crowd.get(claim)?.get(value) ?? 0))
  return rules.toSorted((a, b) => shareOf(a) - shareOf(b))[0]
}
