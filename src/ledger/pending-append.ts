import type { AppendCondition } from './ledger.ts'
import type { RevocationChange } from './standing-revocations.ts'
import type { TokenUse, UseAnswer, UseDenial } from './token-use.ts'

/** One append on its way into a commit. */
export interface PendingAppend {
  readonly canonicalEntries: readonly string[]
  /** Undefined: it is stored whatever is so. */
  readonly condition: AppendCondition | undefined
  /** None where a use of a token is to be taken. */
  readonly changes: readonly RevocationChange[]
}

/** What of a commit is to be stored, as far as revocations go. */
export interface Sifted<Append extends PendingAppend> {
  readonly timely: readonly Append[]
  /** What the timely ones change. */
  readonly changes: readonly RevocationChange[]
  /** Decided under another epoch than the one that they come to: none of their entries is stored. */
  readonly overtaken: ReadonlySet<Append>
}

/**
 * Leaves out what was decided under another epoch. The appends are taken in their order, each change
 * being a new epoch for those behind it: so nothing that was decided without a revocation follows it.
 *
 * @param epoch Of the store, where nobody else can append meanwhile.
 */
export function sift<Append extends PendingAppend>(
  epoch: number,
  appends: readonly Append[],
): Sifted<Append> {
  const timely: Append[] = []
  const changes: RevocationChange[] = []
  const overtaken = new Set<Append>()
  for (const append of appends) {
    const { condition } = append
    if (condition !== undefined && condition.decidedUnder !== epoch + changes.length) {
      overtaken.add(append)
    } else {
      timely.push(append)
      changes.push(...append.changes)
    }
  }
  return { timely, changes, overtaken }
}

/** An append that is stored only if it gets its use. */
export interface AppendWithUse<Append extends PendingAppend> {
  readonly append: Append
  readonly tokenUse: TokenUse
}

export function appendsWithUse<Append extends PendingAppend>(
  appends: readonly Append[],
): readonly AppendWithUse<Append>[] {
  return appends.flatMap((append) => {
    const tokenUse = append.condition?.tokenUse
    return tokenUse === undefined ? [] : [{ append, tokenUse }]
  })
}

/** Appends whose token has no such use left: none of their entries is stored. */
export type Denied<Append extends PendingAppend> = ReadonlyMap<Append, UseDenial>

/** @param answers One for each, in their order. */
export function deniedOf<Append extends PendingAppend>(
  wanting: readonly AppendWithUse<Append>[],
  answers: readonly UseAnswer[],
): Denied<Append> {
  return new Map(
    wanting.flatMap(({ append }, index) => {
      const answer = answers[index]
      if (answer === undefined) throw new TypeError('every use is answered')
      return answer.ok ? [] : [[append, answer] as const]
    }),
  )
}
