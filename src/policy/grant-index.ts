import { ownClaim, claimsMatch, type ClaimRule, type ClaimValue } from '../base/claim-rules.ts'
import type { IssuerName } from '../base/ids.ts'
import type { Grant } from './grant.ts'
import type { CallerFacts } from './decision.ts'

/**
 * Finds the grants that name a caller without looking at the others.
 *
 * Each grant is filed under its issuer and the values of one of its claims, the one that fewest other
 * grants of that issuer share: `repository_id` rather than `ref`. A caller has one value of each
 * claim, so what is looked at is what is filed under its own values, however many grants there are.
 */
export interface GrantIndex {
  /** Grants whose every rule holds of this caller, by name. */
  naming(caller: CallerFacts): readonly Grant[]
}

/** By claim, then by value; a Map keeps `"1"` and `1` apart. */
type Drawers = Map<string, Map<ClaimValue, Grant[]>>

/** @param grants Sorted by name; the answers keep that order. */
export function createGrantIndex(grants: readonly Grant[]): GrantIndex {
  const drawersByIssuer = new Map<IssuerName, Drawers>()
  for (const [issuer, ofIssuer] of Map.groupBy(grants, (grant) => grant.issuer)) {
    drawersByIssuer.set(issuer, file(ofIssuer))
  }
  const rank = new Map(grants.map((grant, index) => [grant, index]))
  const byRank = (a: Grant, b: Grant) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0)

  return {
    naming: ({ issuer, claims }) => {
      const found: Grant[] = []
      for (const [claim, byValue] of drawersByIssuer.get(issuer) ?? []) {
        const value = ownClaim(claims, claim)
        if (value === undefined) continue
        for (const grant of byValue.get(value) ?? []) {
          if (claimsMatch(grant.rules, claims)) found.push(grant)
        }
      }
      return found.sort(byRank)
    },
  }
}

function file(grants: readonly Grant[]): Drawers {
  const crowd = crowds(grants)
  const drawers: Drawers = new Map()
  for (const grant of grants) {
    const rule = leastShared(grant.rules, crowd)
    const byValue = drawers.get(rule.claim) ?? new Map<ClaimValue, Grant[]>()
    drawers.set(rule.claim, byValue)
    for (const value of new Set(rule.anyOf)) {
      const drawer = byValue.get(value) ?? []
      byValue.set(value, drawer)
      drawer.push(grant)
    }
  }
  return drawers
}

type Crowd = ReadonlyMap<string, ReadonlyMap<ClaimValue, number>>

/** How many grants name each value of each claim. */
function crowds(grants: readonly Grant[]): Crowd {
  const counts = new Map<string, Map<ClaimValue, number>>()
  for (const { claim, anyOf } of grants.flatMap((grant) => grant.rules)) {
    const byValue = counts.get(claim) ?? new Map<ClaimValue, number>()
    counts.set(claim, byValue)
    for (const value of anyOf) byValue.set(value, (byValue.get(value) ?? 0) + 1)
  }
  return counts
}

function leastShared(rules: readonly ClaimRule[], crowd: Crowd): ClaimRule {
  const shareOf = ({ claim, anyOf }: ClaimRule) =>
    Math.max(...anyOf.map((value) => crowd.get(claim)?.get(value) ?? 0))
  const [first, ...others] = rules
  if (first === undefined) throw new RangeError('a grant without claims names everybody')
  return others.reduce((least, rule) => (shareOf(rule) < shareOf(least) ? rule : least), first)
}
