import { chainHash, type Link, type Row } from '../ledger/chain.ts'
import type { HeadStatement } from './head.ts'

/** What was done to a ledger. */
export type DamageKind =
  | 'changed' // an entry is not what was written
  | 'removed' // entries are missing between others
  | 'inserted' // entries are there that were never written
  | 'reordered' // all are there, in another order
  | 'cut-off' // it ends before an entry that a head stands for
  | 'forked' // another history than the one that a head stands for
  | 'signed-anew' // the same, and the heads' own key has signed both
  | 'rolled-back' // an earlier state was put back, and written on
  | 'false-head' // a head whose signature, or whose begin, does not fit
  | 'false-cut' // what stands for entries that were pruned does not fit
  | 'false-mark' // what says that it was moved away does not fit
  | 'behind-move' // entries that were written when it had been moved away
  | 'false-proof' // a signature that is said to be proved, and is not

/** The first thing that is wrong, as far as what is at hand can tell. */
export interface Damage {
  readonly kind: DamageKind
  /** Of the first entry that is not what it was, or is not where it was. */
  readonly sequence: number
  /** The first one is not known more exactly: it is one from `sequence` to here. Absent: it is that one. */
  readonly upTo?: number
  /** How many entries; absent where that cannot be told. */
  readonly count?: number
  /** What it may be as well: nothing at hand can tell the two apart. */
  readonly or?: DamageKind
  /** The head that has shown it; absent where the chain itself has. */
  readonly head?: Pick<HeadStatement, 'sequence' | 'atMs'> & { readonly heldBy: string }
  /** In words, where there is more to say. */
  readonly detail?: string
}

/** What is looked at behind the first entry that does not fit. */
export const rowsBehindMax = 20_000
/** How far back it is looked for what the entry did continue. */
const hashesBackMax = 4096
/** Whoever has shuffled more than this has not moved an entry. */
const piecesMax = 16

/** What the chain is known to be up to the damage, and around it. */
export interface DamagedPlace {
  readonly tip: Link
  /** Of the entry that many places before the tip; undefined where there is none, or it is no longer known. */
  readonly hashBefore: (places: number) => Uint8Array | undefined
  /** The first row that does not continue the tip, and what comes behind it; at least one. */
  readonly rows: readonly Row[]
  /** Signed statements of hashes that may be among those rows. */
  readonly heads: Iterable<Pick<HeadStatement, 'sequence' | 'hash'>>
}

const continues = (hash: Uint8Array, row: Row): boolean =>
  Buffer.compare(chainHash(hash, row.canonical), row.hash) === 0

/**
 * Names what was done, by what continues what. Pure.
 *
 * An entry's number is not part of what is hashed, so whoever takes one out may number the others anew; that
 * looks like an entry that was changed, until a head says which number a hash had.
 */
export function damageAt({ tip, hashBefore, rows, heads }: DamagedPlace): Damage {
  const [bad] = rows
  if (bad === undefined) throw new TypeError('what does not fit is a row')
  const expected = tip.sequence + 1
  const next = rows.findIndex((row) => continues(tip.hash, row))
  if (next === 0) {
    return { kind: 'changed', sequence: expected, detail: 'its number is not its place' }
  }
  if (next > 0) return rearranged(tip, rows, next)
  const inserted = insertedBefore(bad, tip, hashBefore)
  if (inserted > 0) {
    return { kind: 'inserted', sequence: expected - inserted, count: inserted }
  }
  if (bad.sequence > expected) {
    return { kind: 'removed', sequence: expected, count: bad.sequence - expected }
  }
  const [, second] = rows
  if (second !== undefined && continues(chainHash(tip.hash, bad.canonical), second)) {
    return { kind: 'changed', sequence: expected, detail: 'its hash alone' }
  }
  return changedOrRenumbered(expected, rows, [...heads])
}

/** How many rows up to the tip this one knows nothing of: 0 when it continues none of those before them. */
function insertedBefore(bad: Row, tip: Link, hashBefore: DamagedPlace['hashBefore']): number {
  for (let places = 1; places <= Math.min(hashesBackMax, tip.sequence); places += 1) {
    const hash = hashBefore(places)
    if (hash === undefined) return 0
    if (continues(hash, bad)) return places
  }
  return 0
}

/** What continues the tip stands further back: what is before it was moved there, or put there. */
function rearranged(tip: Link, rows: readonly Row[], next: number): Damage {
  const used = new Set<number>()
  let { hash } = tip
  const isNext = (row: Row | undefined, index: number) =>
    row !== undefined && !used.has(index) && continues(hash, row)
  let at = next
  for (let pieces = 0; at !== -1 && pieces < piecesMax; pieces += 1) {
    do {
      used.add(at)
      hash = rows[at]?.hash ?? hash
      at += 1
    } while (isNext(rows[at], at))
    at = rows.findIndex(isNext)
  }
  const sequence = tip.sequence + 1
  if (used.has(0)) return { kind: 'reordered', sequence }
  return { kind: 'inserted', sequence, count: next }
}

function changedOrRenumbered(
  sequence: number,
  rows: readonly Row[],
  heads: readonly Pick<HeadStatement, 'sequence' | 'hash'>[],
): Damage {
  const missingUpTo = headBefore(rows[0], heads)
  if (missingUpTo !== undefined && missingUpTo >= sequence) {
    return { kind: 'removed', sequence, count: missingUpTo - sequence + 1 }
  }
  const shift = shiftBehind(rows, heads)
  if (shift === undefined) {
    const [bad, second] = rows
    const isAlone = bad !== undefined && (second === undefined || continues(bad.hash, second))
    return { kind: 'changed', sequence, ...(isAlone ? { or: 'removed' as const } : {}) }
  }
  if (shift < 0) return { kind: 'removed', sequence, count: -shift }
  if (shift > 0) return { kind: 'inserted', sequence, count: shift }
  return { kind: 'changed', sequence }
}

/** The number of the entry that the row did continue, where a head stands for that. */
function headBefore(
  bad: Row | undefined,
  heads: readonly Pick<HeadStatement, 'sequence' | 'hash'>[],
): number | undefined {
  if (bad === undefined) return undefined
  return heads.find(({ hash }) => continues(Buffer.from(hash, 'base64url'), bad))?.sequence
}

/** By how much rows are numbered otherwise than when a head was signed; undefined where no head tells. */
function shiftBehind(
  rows: readonly Row[],
  heads: readonly Pick<HeadStatement, 'sequence' | 'hash'>[],
): number | undefined {
  const numberOf = new Map(
    rows.map(({ hash, sequence }) => [Buffer.from(hash).toString('base64url'), sequence]),
  )
  for (const { hash, sequence } of heads) {
    const number = numberOf.get(hash)
    if (number !== undefined && Number.isSafeInteger(number)) return number - sequence
  }
  return undefined
}
