import { isoTimeFrom } from '../base/clock.ts'
import type { AnchorFound, HeadsFound, LedgerVerdict } from '../custody/verify-ledger.ts'
import type { Damage, DamageKind } from '../custody/damage.ts'
import type { Link } from '../ledger/chain.ts'
import { counted } from './counted.ts'

/** What was found of a ledger, for people: what it is, by which evidence, and what that is worth. */
export function verdictLines(name: string, verdict: LedgerVerdict): readonly string[] {
  const { damage, intactUpTo, heads, anchors, unsealed } = verdict
  return [
    headline(verdict),
    `  ledger   ${name}`,
    ...(damage === undefined
      ? [`  entries  ${intactUpTo.sequence}`, `  tip      ${linkText(intactUpTo)}`]
      : [`  intact   up to ${linkText(intactUpTo)}`, ...shownBy(damage)]),
    `  heads    ${headsText(heads)}`,
    ...anchors.map((anchor) => `  anchor   ${anchorText(anchor)}`),
    `  proofs   ${proofsText(verdict)}`,
    ...verdict.undecided.map((reason) => `  not decided: ${reason}`),
    ...(damage === undefined ? [`  unsealed: ${unsealed}`, ...worth(verdict)] : []),
  ]
}

/** The same for programs; a hash is hexadecimal. */
export const verdictJson = (name: string, { intactUpTo, ...verdict }: LedgerVerdict): string =>
  JSON.stringify(
    {
      name,
      ...verdict,
      intactUpTo: {
        sequence: intactUpTo.sequence,
        hash: Buffer.from(intactUpTo.hash).toString('hex'),
      },
    },
    undefined,
    2,
  )

function headline({ verdict, damage }: LedgerVerdict): string {
  if (damage !== undefined) return `DAMAGED: ${damageText(damage)}.`
  return verdict === 'sound'
    ? 'SOUND: every entry follows the one before it, and every head and proof that is there fits.'
    : 'NOT DECIDED: every entry follows the one before it, and not everything could be checked.'
}

const linkText = ({ sequence, hash }: Link) => `${sequence} ${Buffer.from(hash).toString('hex')}`

export function damageText(damage: Damage): string {
  const { kind, or, count, detail } = damage
  const where = placeText(damage)
  const many = count === undefined || count === 1 ? '' : ` (${count} of them)`
  const also = or === undefined ? '' : `, or ${words[or]}`
  const more = detail === undefined ? '' : `: ${detail}`
  return `${where} ${words[kind]}${also}${many}${more}`
}

const placeText = ({ sequence, upTo, kind }: Damage): string => {
  if (kind === 'cut-off') return `from entry ${sequence} on the ledger`
  return upTo === undefined || upTo === sequence
    ? `entry ${sequence}`
    : `an entry from ${sequence} to ${upTo}`
}

const words: Readonly<Record<DamageKind, string>> = {
  changed: 'was changed',
  removed: 'was removed',
  inserted: 'was inserted',
  reordered: 'was put in another order',
  'cut-off': 'was cut off',
  forked: 'begins another history than the one that was signed (forked)',
  'rolled-back': 'was written after an earlier state had been put back (rolled back)',
  'false-head': 'holds a head that does not fit',
  'false-proof': 'holds a proof that does not fit',
}

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

function anchorText({ file, verified, unread, newest }: AnchorFound): string {
  const lines = unread === 0 ? '' : `, ${counted(unread, 'line')} without a head`
  const last = newest === undefined ? '' : `, the newest for entry ${newest.sequence}`
  return `${file}: ${verified} of its heads fit${last}${lines}`
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
function worth({ provenUpTo, heads, proofs }: LedgerVerdict): readonly string[] {
  const isOwnRecord = heads.keys === 'ledger' || proofs.withGiven < proofs.verified
  return [
    provenUpTo === undefined
      ? 'Self-consistent, not proven unrewritten: hold it to heads that were kept where the service cannot reach (--anchor).'
      : `Proven unrewritten up to entry ${provenUpTo}, as far as whoever could write the ledger could not write the anchor.`,
    ...(isOwnRecord
      ? [
          'Keys and certificates on record here prove only what their writer says: give your own copies (--head-key, --certificate).',
        ]
      : []),
  ]
}
