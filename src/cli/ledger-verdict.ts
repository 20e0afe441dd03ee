import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import { type AnchorFound, newestIn } from '../custody/anchor-cursor.ts'
import type { HeadsFound, LedgerVerdict, PrunedFound } from '../custody/ledger-verdict.ts'
import type { Damage } from '../custody/damage.ts'
import { damageText } from '../custody/damage-text.ts'
import type { Link } from '../ledger/chain.ts'
import { nameOfPlace } from '../ledger/move-mark.ts'
import type { MoveMark, MovePlace } from '../ledger/move-mark.ts'
import { counted } from './counted.ts'

/**
 * What was found of a ledger, for people: what it is, by which evidence, and what that is worth.
 *
 * @param moved What its file says of where it goes on.
 */
export function verdictLines(
  name: string,
  verdict: LedgerVerdict,
  moved?: MoveMark | 'damaged',
): readonly string[] {
  const { damage, intactUpTo, heads, anchors, unsealed } = verdict
  return [
    headline(verdict),
    `  ledger   ${name}`,
    ...(moved === undefined ? [] : [`  moved    ${movedText(moved)}`]),
    ...(verdict.pruned === undefined ? [] : [`  pruned   ${prunedText(verdict.pruned)}`]),
    ...(damage === undefined
      ? [`  entries  ${entriesText(verdict)}`, `  tip      ${linkText(intactUpTo)}`]
      : [`  intact   up to ${linkText(intactUpTo)}`, ...shownBy(damage)]),
    `  heads    ${headsText(heads)}`,
    ...anchors.map((anchor) => `  ${anchor.kind.padEnd(7)}  ${anchorText(anchor)}`),
    `  proofs   ${proofsText(verdict)}`,
    ...verdict.undecided.map((reason) => `  not decided: ${reason}`),
    ...(damage === undefined ? [`  unsealed: ${unsealed}`, ...worth(verdict)] : []),
  ]
}

/** The same for programs; a hash is hexadecimal. */
export const verdictJson = (
  name: string,
  { intactUpTo, ...verdict }: LedgerVerdict,
  moved?: MoveMark | 'damaged',
): string =>
  JSON.stringify(
    {
      name,
      ...(moved === undefined
        ? {}
        : { moved: moved === 'damaged' ? moved : { ...moved, tip: linkJson(moved.tip) } }),
      ...verdict,
      intactUpTo: linkJson(intactUpTo),
    },
    undefined,
    2,
  )

const linkJson = ({ sequence, hash }: Link) => ({
  sequence,
  hash: Buffer.from(hash).toString('hex'),
})

function headline({ verdict, damage }: LedgerVerdict): string {
  if (damage !== undefined) return `DAMAGED: ${damageText(damage)}.`
  return verdict === 'sound'
    ? 'SOUND: every entry follows the one before it, and every head and proof that is there fits.'
    : 'NOT DECIDED: every entry follows the one before it, and not everything could be checked.'
}

const entriesText = ({ begins, intactUpTo }: LedgerVerdict) =>
  begins === undefined
    ? `${intactUpTo.sequence}`
    : `${intactUpTo.sequence - begins.behind}, from ${begins.behind + 1} to ${intactUpTo.sequence}`

/** As the file says: whoever can write it can say so. */
function movedText(moved: MoveMark | 'damaged'): string {
  if (moved === 'damaged') return 'what says so is damaged'
  const { state, to, tip, atMs } = moved
  return state === 'done'
    ? `to ${placeText(to)} on ${isoTimeFrom(atMs)}: the chain goes on there behind entry ${tip.sequence}`
    : `perhaps, to ${placeText(to)}: a move began on ${isoTimeFrom(atMs)}, and "countersign ledger migrate" has to finish it`
}

const placeText = (place: MovePlace) => printable(nameOfPlace(place), byMax)

/** Names of people and machines. */
const byMax = 200

/** Who has done it is what they say; that it was done, and what was left, the chain and the head tell. */
const prunedText = ({ from, upTo, atMs, by, heldBy, isHeld, exportSha256 }: PrunedFound) =>
  `entries ${from} to ${upTo}, ${isoTimeFrom(atMs)}, by ${printable(by, byMax)}; the head for ${upTo} ${isHeld ? 'is' : 'is said to be'} held by ${article[heldBy]}; ` +
  (exportSha256 === undefined
    ? 'nothing was exported'
    : `the export has the SHA-256 ${exportSha256}`)

const article = { anchor: 'an anchor', witness: 'a witness' } as const

const linkText = ({ sequence, hash }: Link) => `${sequence} ${Buffer.from(hash).toString('hex')}`

function shownBy({ head }: Damage): readonly string[] {
  if (head === undefined) return []
  const { sequence, atMs, heldBy } = head
  return [`  shown by the head for entry ${sequence} of ${isoTimeFrom(atMs)}, kept in ${heldBy}`]
}

function headsText({ verified, newest, keys }: HeadsFound): string {
  if (newest === undefined) return 'none that verifies'
  const by = keys === 'given' ? 'with --head-key' : "with the ledger's own record of the key"
  return `${verified} verified ${by}, the newest for entry ${newest.sequence} of ${isoTimeFrom(newest.atMs)}`
}

function anchorText({ file, verified, unread, beforeCut, newest }: AnchorFound): string {
  const before = beforeCut === 0 ? '' : `, ${beforeCut} are for what was pruned`
  const lines = unread === 0 ? '' : `, ${counted(unread, 'line')} without a head`
  const last = newest === undefined ? '' : `, the newest for entry ${newest.sequence}`
  return `${file}: ${verified} of its heads fit${last}${before}${lines}`
}

function proofsText({ proofs }: LedgerVerdict): string {
  const { verified, withGiven, open } = proofs
  const by =
    withGiven === verified && verified > 0
      ? 'with --certificate'
      : "with the ledger's own record of the certificates"
  return `${counted(verified, 'signature')} rebuilt and verified ${by}; ${open} made and not proved`
}

/** Whoever can write a ledger anew can write its record of keys anew, but not what others hold. */
function worth(verdict: LedgerVerdict): readonly string[] {
  const { heads, proofs } = verdict
  const isOwnRecord = heads.keys === 'ledger' || proofs.withGiven < proofs.verified
  return [
    ...provenLines(verdict),
    ...(verdict.begins === undefined
      ? []
      : [
          `What was before entry ${verdict.begins.behind + 1} is not looked at: give what was exported as well (--pruned).`,
        ]),
    ...(isOwnRecord
      ? [
          'Keys and certificates on record here prove only what their writer says: give your own copies (--head-key, --certificate).',
        ]
      : []),
  ]
}

function provenLines({ anchors, provenUpTo, witnessedUpTo = 0 }: LedgerVerdict): readonly string[] {
  if (provenUpTo === undefined) {
    return [
      'Self-consistent, not proven unrewritten: hold it to heads that were kept where the service cannot reach (--witness, --anchor).',
    ]
  }
  const upTo = (kept: AnchorFound['kind']) =>
    newestIn(anchors.filter(({ kind }) => kind === kept)) ?? 0
  const [anchoredUpTo, sentUpTo] = [upTo('anchor'), upTo('workspace')]
  return [
    ...(witnessedUpTo === 0
      ? []
      : [
          `Proven unrewritten up to entry ${witnessedUpTo}: a witness has seen it, and signed so with a key that the service has not.`,
        ]),
    ...(anchoredUpTo <= witnessedUpTo
      ? []
      : [
          `Proven unrewritten up to entry ${anchoredUpTo}, as far as whoever could write the ledger could not write the anchor.`,
        ]),
    ...(sentUpTo <= witnessedUpTo
      ? []
      : [
          `Proven unrewritten up to entry ${sentUpTo} since its head came to the workspace, where whoever may send rows can add some, and neither change nor remove one while it is retained. Not against who administers the workspace, nor for what was written anew before it was sent.`,
        ]),
  ]
}
