import { type ClaimPattern, isLike } from './claim-pattern.ts'

/** A claim's value as a rule can name it. Objects and lists cannot be named, so they never match. */
export type ClaimValue = string | number | boolean

/** One claim that must be there with one of these values, or a text of one of these forms. */
export interface ClaimRule {
  readonly claim: string
  /** At least one. Values are compared exactly and by type: `"1"` is not `1`, and `main` is not `Main`. */
  readonly anyOf: readonly (ClaimValue | ClaimPattern)[]
}

/**
 * Whether every rule holds of these claims. A claim that is absent never matches; nor does one whose
 * value is a list, an object or null, even if it contains a value that is named: a rule says what a
 * claim is, not what is in it.
 */
export function claimsMatch(
  rules: readonly ClaimRule[],
  claims: Readonly<Record<string, unknown>>,
): boolean {
  for (const rule of rules) if (!isNamed(ownClaim(claims, rule.claim), rule)) return false
  return true
}

function isNamed(value: ClaimValue | undefined, { anyOf }: ClaimRule): boolean {
  if (value === undefined) return false
  for (const one of anyOf) {
    if (isPattern(one) ? typeof value === 'string' && isLike(value, one) : value === one)
      return true
  }
  return false
}

export const isPattern = (one: ClaimValue | ClaimPattern): one is ClaimPattern =>
  typeof one === 'object'

/** The claim's value if a rule could name it. Only own members count: `constructor` is not a claim. */
export function ownClaim(
  claims: Readonly<Record<string, unknown>>,
  claim: string,
): ClaimValue | undefined {
  if (!Object.hasOwn(claims, claim)) return undefined
  const value = claims[claim]
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : undefined
}
