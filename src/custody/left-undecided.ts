import { type AnchorFound, newestIn } from './anchor-cursor.ts'
import type { Evidence } from './ledger-verdict.ts'
import type { ProofCounts } from './proof-checks.ts'

/** What was met in a ledger and could not be checked. */
export interface Unchecked {
  /** Of the ledger's own heads, those by a key that nobody knows or that was not given. */
  readonly headsOfUnknownKey: number
  readonly anchors: readonly AnchorFound[]
  readonly proofs: ProofCounts
  /** 0: it begins with its first entry. */
  readonly beginsBehind: number
}

/** In words, why a ledger in which nothing is damaged is not called sound; empty: it is. */
export function leftUndecided(
  { headsOfUnknownKey, anchors, proofs, beginsBehind }: Unchecked,
  { certificates, headKeys, moved }: Pick<Evidence, 'certificates' | 'headKeys' | 'moved'>,
): readonly string[] {
  const ofUnknownKey = (isMeant: (anchor: AnchorFound) => boolean) =>
    sum(anchors.filter(isMeant).map(({ unknownKey }) => unknownKey))
  const ofWitnesses = ofUnknownKey(({ kind }) => kind === 'witness')
  const ofKeys = headsOfUnknownKey + ofUnknownKey(({ kind }) => kind !== 'witness')
  const notCompared = sum(anchors.map((anchor) => anchor.notCompared))
  const keysAre = headKeys.length > 0 ? 'that was not given' : 'that is not on record here'
  const certificatesAre = certificates.length > 0 ? 'was not given' : 'is not on record'
  return [
    ...(moved === 'damaged'
      ? ['whether it was moved away: what says so in its file is damaged']
      : []),
    ...(ofKeys === 0 ? [] : [`${ofKeys} heads are signed with a key ${keysAre}`]),
    ...(ofWitnesses === 0
      ? []
      : [`${ofWitnesses} heads of a witness are not signed with a key of it that was given`]),
    ...(notCompared === 0 ? [] : [`${notCompared} heads of anchors came too late to be compared`]),
    ...(beginsBehind === 0 ? [] : notReached(anchors)).map(
      (kept) =>
        `no head of ${kept} that was given is for what is left, as one is of an honest cut: give what was exported too, or heads that are newer`,
    ),
    ...(proofs.withoutCertificate === 0
      ? []
      : [`${proofs.withoutCertificate} proofs are by a certificate that ${certificatesAre}`]),
  ]
}

/**
 * A thief who has had one head signed can put another history behind a cut that goes beyond all that others hold;
 * nobody prunes so far who is honest.
 */
function notReached(anchors: readonly AnchorFound[]): readonly string[] {
  const kinds = new Set(anchors.map(({ kind }) => kind))
  return [...kinds]
    .filter((kept) => newestIn(anchors.filter(({ kind }) => kind === kept)) === undefined)
    .map((kept) => article[kept])
}

const article = { anchor: 'an anchor', witness: 'a witness', workspace: 'a workspace' } as const

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)
