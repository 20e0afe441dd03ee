import { isLike } from './claim-pattern.ts'
import { type ClaimRule, isPattern } from './claim-rules.ts'

/** One way in which rules let somebody through whom others do not. */
export type ClaimWidening =
  | { readonly step: 'claim-removed'; readonly claim: string }
  | {
      readonly step: 'claim-widened'
      readonly claim: string
      /** What is let through besides. At least one. */
      readonly also: ClaimRule['anyOf']
    }

/**
 * In which ways rules go further than those before. None: whoever they let through, those before let
 * through. The reverse is not promised: a form that lies within several others together is reported.
 */
export const claimWidenings = (
  before: readonly ClaimRule[],
  after: readonly ClaimRule[],
): readonly ClaimWidening[] =>
  before.flatMap((rule): readonly ClaimWidening[] => {
    const { claim } = rule
    const now = after.find((one) => one.claim === claim)
    if (now === undefined) return [{ step: 'claim-removed', claim }]
    const also = now.anyOf.filter((one) => !isWithin(one, rule))
    return also.length === 0 ? [] : [{ step: 'claim-widened', claim, also }]
  })

/**
 * Whether a rule lets through all that a value or a form stands for. A form is within another when its
 * text is like the other, stars and all: only a star of the other can have taken a star, and then takes
 * whatever that one stands for.
 */
export const isWithin = (one: ClaimRule['anyOf'][number], { anyOf }: ClaimRule): boolean =>
  anyOf.some((other) => {
    if (!isPattern(other)) return one === other
    const text = isPattern(one) ? one.like : one
    return typeof text === 'string' && isLike(text, other)
  })
