/**
 * Texts that have a form: `refs/heads/release/*`. A star stands for one or more characters, and never
 * for one that keeps the parts of a claim apart. The whole text must match, case and all.
 */
export interface ClaimPattern {
  /** As it was written. */
  readonly like: string
  /** Separators and what is between them, in turns. */
  readonly parts: readonly PatternPart[]
}

/** What is between the stars of a part. One piece: no star. */
type PatternPart = readonly string[]

/**
 * What keeps the parts of a claim apart at any of the issuers: a star that could stand for one of them
 * would let `repo:contoso/*` be anything below whatever somebody can name `contoso`. GitHub writes a
 * colon of a name as `%3A`.
 */
const separators = /([/:@|%])/

const starsMax = 8

/** Undefined for a text without a star, with two in a row, or with more than eight. */
export function parseClaimPattern(like: string): ClaimPattern | undefined {
  const stars = like.split('*').length - 1
  if (stars === 0 || stars > starsMax || like.includes('**')) return undefined
  return { like, parts: like.split(separators).map((part) => part.split('*')) }
}

/** In time that grows with the text alone: each star takes as little as it can, and takes it once. */
export function isLike(text: string, { parts }: ClaimPattern): boolean {
  const texts = text.split(separators)
  return (
    texts.length === parts.length &&
    parts.every((pieces, index) => isLikePart(texts[index] ?? '', pieces))
  )
}

function isLikePart(text: string, pieces: PatternPart): boolean {
  const [first = '', ...others] = pieces
  const last = others.pop()
  if (last === undefined) return text === first
  if (!text.startsWith(first)) return false
  let end = first.length
  for (const piece of others) {
    const at = text.indexOf(piece, end + 1)
    if (at === -1) return false
    end = at + piece.length
  }
  return text.length - last.length > end && text.endsWith(last)
}
