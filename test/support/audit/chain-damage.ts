import type { DamageKind } from '../../../src/custody/damage.ts'
import { CarriedKeys } from '../../../src/custody/still-needed.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { canonicalCut, cutRowFrom, prunedEntry } from '../../../src/ledger/cut.ts'
import type { Cut } from '../../../src/ledger/cut.ts'
import { required } from '../required.ts'
import { us } from './story.ts'
import type { LedgerEntry, Random, Story, Trace } from './story.ts'
import { entriesOf, filler, headByStranger, rowOf, writeStory } from './story-ledger.ts'
import type { HeadFault, SignedHead, StoryLedger } from './story-ledger.ts'

/** What was done to the ledger of a story, and what can come of it. */
export interface Damaged {
  readonly rows: readonly Row[]
  /** Of the service, as they were: what others hold. */
  readonly heads: readonly SignedHead[]
  /** Undefined: nothing, or what is no damage. */
  readonly kind?: DamageKind
  /** Of the first entry that is not what it was. */
  readonly at?: number
  readonly shownBy: ShownBy
  /** Nobody prunes what no other holds a head of: where others do not, it cannot be told who has. */
  readonly prunedUpTo?: number
  /**
   * What is found by whoever joins that ledger to the logs; undefined: what the logs say of what was pruned is for
   * another test.
   */
  readonly findings: Iterable<string> | undefined
}

/**
 * - `itself`: the ledger, whatever it is held to;
 * - `ledger-key`: likewise, by a key that it has on record; whoever gives the key knows no head by another;
 * - `own-head`: a head in it, or one that others hold, of that entry or a later one;
 * - `held-head`: one that others hold alone.
 */
export type ShownBy = 'itself' | 'ledger-key' | 'own-head' | 'held-head'

type Inflict = (story: Story, random: Random) => Damaged

const written = (story: Story, random: Random): StoryLedger =>
  writeStory({ entries: entriesOf(story, random), planned: story.heads })

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  required(items[Math.floor(random() * items.length)])

const kindOf = (entry: LedgerEntry | undefined) => entry?.kind

/** Numbers of entries that say nothing of signatures: whoever touches one changes no finding. */
const fillersOf = ({ entries }: StoryLedger): readonly number[] =>
  entries.flatMap((entry, index) => (kindOf(entry) === 'token.issued' ? [index + 1] : []))

const rowAt = (rows: readonly Row[], sequence: number): Row => required(rows[sequence - 1])

const numbered = (rows: readonly Row[]): readonly Row[] =>
  rows.map((row, index) => ({ ...row, sequence: index + 1 }))

/** Of an entry where it stands, which the chain itself shows. */
const inPlace =
  (
    kind: DamageKind,
    change: (rows: readonly Row[], at: number, random: Random) => readonly Row[],
  ) =>
  (story: Story, random: Random): Damaged => {
    const ledger = written(story, random)
    const at = pick(fillersOf(ledger).slice(0, -1), random)
    return {
      rows: change(ledger.rows, at, random),
      heads: ledger.heads,
      kind,
      at,
      shownBy: 'itself',
      findings: [...story.expected, broken],
    }
  }

const broken = 'ledger.broken chain'

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Buffer.from(bytes)
  const at = Math.floor(random() * copy.length)
  copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 7))
  return copy
}

const changed = inPlace('changed', (rows, at, random) => {
  const row = rowAt(rows, at)
  const part =
    random() < 0.7
      ? { canonical: flipped(row.canonical, random) }
      : { hash: flipped(row.hash, random) }
  return rows.with(at - 1, { ...row, ...part })
})

const removed = inPlace('removed', (rows, at, random) => {
  const left = rows.toSpliced(at - 1, 1)
  return random() < 0.5 ? left : numbered(left)
})

const inserted = inPlace('inserted', (rows, at, random) => {
  const { canonical } = rowAt(rows, at)
  const linked = rowOf(rowAt(rows, at - 1), filler(1))
  const row = random() < 0.5 ? linked : { ...linked, canonical }
  return numbered(rows.toSpliced(at - 1, 0, row))
})

/** With the next that says nothing of signatures, or with one far off. */
const reordered: Inflict = (story, random) => {
  const ledger = written(story, random)
  const fillers = fillersOf(ledger)
  const from = Math.floor(random() * (fillers.length - 1))
  const at = required(fillers[from])
  const to = pick(fillers.slice(from + 1, random() < 0.5 ? from + 2 : undefined), random)
  const [one, other] = [rowAt(ledger.rows, at), rowAt(ledger.rows, to)]
  return {
    rows: ledger.rows
      .with(at - 1, { ...other, sequence: at })
      .with(to - 1, { ...one, sequence: to }),
    heads: ledger.heads,
    kind: 'reordered',
    at,
    shownBy: 'itself',
    findings: [...story.expected, broken],
  }
}

/** From the third on: the first two tell which ledger it is, and which keys it has. */
const anywhere = ({ rows }: StoryLedger, random: Random): number =>
  4 + Math.floor(random() * (rows.length - 4))

const cutOff: Inflict = (story, random) => {
  const ledger = written(story, random)
  const at = anywhere(ledger, random)
  return {
    rows: ledger.rows.slice(0, at - 1),
    heads: ledger.heads,
    kind: 'cut-off',
    at,
    shownBy: 'held-head',
    findings: foundOf(story, ledger, new Set(ledger.entries.slice(0, at - 1))),
  }
}

/** An earlier state is put back, and the service writes on. */
const rolledBack: Inflict = (story, random) => {
  const ledger = written(story, random)
  const at = anywhere(ledger, random)
  const rows = ledger.rows.slice(0, at - 1)
  const count = 1 + Math.floor(random() * 40)
  for (let index = 0; index < count; index += 1) {
    rows.push(rowOf(required(rows.at(-1)), filler(story.nowMs + 60_000 + index)))
  }
  return {
    rows,
    heads: ledger.heads,
    kind: 'rolled-back',
    at,
    shownBy: 'held-head',
    findings: foundOf(story, ledger, new Set(ledger.entries.slice(0, at - 1))),
  }
}

/** What is left says less than the logs: that is found too, and all that goes wrong by itself. */
function foundOf(
  story: Story,
  ledger: StoryLedger,
  left: ReadonlySet<LedgerEntry>,
): readonly string[] {
  const heads = ledger.heads.map(({ sequence, planned }): Trace => {
    const { requestId } = planned
    return {
      entries: ledger.entries.slice(sequence, sequence + 3),
      aftermath: [
        [`sign.unexplained ${requestId}`],
        [`sign.assumed ${requestId}`],
        [`sign.unproved(missing) ${requestId}`],
      ],
    }
  })
  return [...story.traces, ...heads].flatMap((trace) => foundWithout(trace, left, story))
}

function foundWithout(
  { entries, aftermath, signIn }: Trace,
  left: ReadonlySet<LedgerEntry>,
  story: Story,
): readonly string[] {
  const count = entries.filter((entry) => left.has(entry)).length
  const found = aftermath[count] ?? []
  if (signIn === undefined || count >= signIn.knownFrom) return found
  // While an assertion lived that was handed out, as far as is known, nobody can tell.
  const isAmbiguous = story.traces.some(
    ({ handedOut, entries: others }) =>
      handedOut !== undefined &&
      left.has(required(others[handedOut.entry - 1])) &&
      signIn.atMs >= handedOut.fromMs - 60_000 &&
      signIn.atMs <= handedOut.toMs + 600_000,
  )
  return [...found, `signin.${isAmbiguous ? 'ambiguous' : 'unexplained'} ${signIn.id}`]
}

/** Another history from some entry on: one is there that was never written, and all others are told after it. */
const retold =
  (kind: 'forked' | 'signed-anew', theirHeads: 'as-they-were' | 'left-out' | 'signed-anew') =>
  (story: Story, random: Random): Damaged => {
    const ledger = written(story, random)
    const at = anywhere(ledger, random)
    const later = ledger.heads.filter(({ sequence }) => sequence >= at)
    const ofLater = new Set(
      later.flatMap(({ sequence }) => ledger.entries.slice(sequence, sequence + 3)),
    )
    const { atMs } = required(ledger.entries[at - 1])
    const before = {
      entries: ledger.entries.slice(0, at - 1),
      rows: ledger.rows.slice(0, at - 1),
      heads: [],
    }
    const told = ledger.entries
      .slice(at - 1)
      .filter((entry) => theirHeads === 'as-they-were' || !ofLater.has(entry))
    const planned = theirHeads === 'signed-anew' ? later.map((head) => head.planned) : []
    return {
      rows: writeStory({ before, entries: [filler(atMs), ...told], planned }).rows,
      heads: ledger.heads,
      kind,
      at,
      shownBy: theirHeads === 'as-they-were' ? 'own-head' : 'held-head',
      findings:
        theirHeads === 'left-out'
          ? foundOf(story, ledger, new Set([...before.entries, ...told]))
          : story.expected,
    }
  }

const falseHead =
  (fault: HeadFault) =>
  (story: Story, random: Random): Damaged => {
    const head = Math.floor(random() * story.heads.length)
    const entries = entriesOf(story, random)
    const ledger = writeStory({ entries, planned: story.heads, faultAt: { head, fault } })
    const { requestId, signature } = required(story.heads[head])
    const at = ledger.entries.findIndex(
      (entry) => entry.kind === 'head.signed' && entry['signature'] === signature,
    )
    return {
      rows: ledger.rows,
      heads: ledger.heads,
      kind: 'false-head',
      at: at + 1,
      shownBy: fault === 'by-another-key' ? 'ledger-key' : 'itself',
      findings: [
        ...story.expected,
        ...(fault === 'by-another-key' ? [`sign.unproved(does-not-verify) ${requestId}`] : []),
      ],
    }
  }

type CutFault = 'none' | 'by-another-key' | 'of-another-entry' | 'nobody-tells'

const cutAway =
  (fault: CutFault) =>
  (story: Story, random: Random): Damaged => {
    const ledger = written(story, random)
    const head = pick(ledger.heads.slice(0, -1), random)
    const other = required(ledger.heads.at(-1))
    const before = ledger.rows.slice(0, head.sequence)
    const cut = cutOf(before, {
      head: {
        none: () => head.compact,
        'nobody-tells': () => head.compact,
        'by-another-key': () => headByStranger(before, head.planned).compact,
        'of-another-entry': () => other.compact,
      }[fault](),
      atMs: story.nowMs,
    })
    const rows = ledger.rows.slice(head.sequence)
    const told = fault === 'nobody-tells' ? filler(cut.atMs) : prunedEntry(cut)
    rows.push(rowOf(required(rows.at(-1)), { ...told }))
    return {
      rows: [cutRowFrom(Buffer.from(canonicalCut(cut))), ...rows],
      heads: ledger.heads,
      ...(fault === 'none'
        ? { prunedUpTo: head.sequence }
        : { kind: 'false-cut', at: head.sequence }),
      shownBy: fault === 'by-another-key' ? 'ledger-key' : 'itself',
      findings: undefined,
    }
  }

function cutOf(rows: readonly Row[], { head, atMs }: { head: string; atMs: number }): Cut {
  const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const carried = new CarriedKeys()
  for (const row of rows) carried.take(row)
  const last = required(rows.at(-1))
  return {
    kind: 'ledger.cut',
    atMs,
    ledger: base64url(rowAt(rows, 1).hash),
    from: 1,
    sequence: last.sequence,
    hash: base64url(last.hash),
    head,
    heldBy: 'witness',
    by: `operator of ${us.vault}`,
    headKeys: carried.headKeys,
    certificates: carried.certificatesAt(atMs),
  }
}

export const undamaged: Inflict = (story, random) => {
  const { rows, heads } = written(story, random)
  return { rows, heads, shownBy: 'itself', findings: story.expected }
}

/** Where all that the story tells is found besides, and no proof of it is false. */
export const damages: Readonly<Record<string, Inflict>> = {
  changed,
  removed,
  inserted,
  reordered,
  'forked, with heads as they were': retold('forked', 'as-they-were'),
  'signed anew by the service itself': retold('signed-anew', 'signed-anew'),
  'a head by another key': falseHead('by-another-key'),
  'a head of another entry': falseHead('of-another-entry'),
  'pruned as one may': cutAway('none'),
  'a cut with a head by another key': cutAway('by-another-key'),
  'a cut with a head of another entry': cutAway('of-another-entry'),
  'a cut that nobody tells of': cutAway('nobody-tells'),
}

/** Where something of the story is lost: only what goes wrong by itself may be in it. */
export const losses: Readonly<Record<string, Inflict>> = {
  'cut off': cutOff,
  'rolled back': rolledBack,
  'forked, with heads left out': retold('forked', 'left-out'),
}
