import type { Damage, DamageKind } from './damage.ts'

/** What is wrong with a ledger, as a part of a sentence. */
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
  'signed-anew':
    'begins another history than the one that was signed, and the same key has signed it anew',
  forked: 'begins another history than the one that was signed (forked)',
  'rolled-back': 'was written after an earlier state had been put back (rolled back)',
  'false-head': 'holds a head that does not fit',
  'false-cut': 'is where the ledger is said to have been pruned up to, and that does not fit',
  'false-mark':
    'is where the ledger is said to end, because it was moved away, and that does not fit',
  'behind-move': 'was written when the ledger had been moved away, and begins another history',
  'false-proof': 'holds a proof that does not fit',
}
