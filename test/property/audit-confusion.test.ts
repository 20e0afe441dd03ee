import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DamageKind } from '../../src/custody/damage.ts'
import type { Evidence, LedgerVerdict } from '../../src/custody/ledger-verdict.ts'
import { verifyLedger } from '../../src/custody/verify-ledger.ts'
import { findingKinds } from '../../src/reconcile/finding.ts'
import { accounted } from '../support/audit/accounted.ts'
import { damages, losses, undamaged } from '../support/audit/chain-damage.ts'
import type { Damaged } from '../support/audit/chain-damage.ts'
import { ConfusionMatrix, nameOf } from '../support/audit/found-names.ts'
import { falseProofs, injections, injectSome } from '../support/audit/injections.ts'
import { ordinaryStory, randomFrom, us } from '../support/audit/story.ts'
import type { Random, Story } from '../support/audit/story.ts'
import { storyHeadKey } from '../support/audit/story-ledger.ts'
import type { SignedHead } from '../support/audit/story-ledger.ts'
import { anchorText } from '../support/evidence.ts'
import { createTestWitnessKey, witnessText } from '../support/witness.ts'

/** Daily; `AUDIT_RUNS=2000` for as many as an issue is resolved with. */
const runs = Number(process.env['AUDIT_RUNS'] ?? 200)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-confusion-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** Late, disordered and doubled, as Azure delivers. */
function delivered(items: readonly object[], random: Random): readonly string[] {
  const lines = items.flatMap((item) => {
    const line = JSON.stringify(item)
    return random() < 0.1 ? [line, line] : [line]
  })
  return lines
    .map((line) => ({ line, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ line }) => line)
}

const anyOf = <Item>(items: Readonly<Record<string, Item>>, random: Random): Item | undefined =>
  Object.values(items)[Math.floor(random() * Object.keys(items).length)]

/** A day, and what was done to it; in some also to its ledger. */
function storyOf(random: Random): { readonly story: Story; readonly ledger: Damaged } {
  const story = ordinaryStory(random)
  const turn = random()
  if (turn < 0.15) return { story, ledger: (anyOf(losses, random) ?? undamaged)(story, random) }
  const isDamaged = turn < 0.5
  injectSome(isDamaged ? injections : { ...injections, ...falseProofs }, story, random)
  const inflict = isDamaged ? anyOf(damages, random) : undamaged
  return { story, ledger: (inflict ?? undamaged)(story, random) }
}

/** What a ledger is held to, besides itself. */
interface Held {
  readonly evidence: Evidence
  /** Of the last entry that somebody else holds a head of; 0: nobody does. */
  readonly upTo: number
  readonly isKeyGiven: boolean
}

const witnessKey = createTestWitnessKey()

/** Nothing, an anchor, a witness, or both; the newest heads may not have come there yet. */
function heldOf(heads: readonly SignedHead[], random: Random): Held {
  const isKeyGiven = random() < 0.4
  const [hasAnchor, hasWitness] = [random() < 0.5, random() < 0.5]
  const there = heads.slice(0, heads.length - Math.floor(random() * 3))
  const compact = there.map((head) => head.compact)
  const [anchor, witness] = [join(folder, 'anchor.jsonl'), join(folder, 'witness.jsonl')]
  writeFileSync(anchor, anchorText(compact))
  writeFileSync(witness, witnessText(compact, witnessKey))
  return {
    evidence: {
      headKeys: isKeyGiven ? [storyHeadKey.publicKey] : [],
      certificates: [],
      anchors: hasAnchor ? [anchor] : [],
      witnesses: hasWitness ? [{ file: witness, keys: [witnessKey.publicKey] }] : [],
    },
    upTo: hasAnchor || hasWitness ? (there.at(-1)?.sequence ?? 0) : 0,
    isKeyGiven,
  }
}

const verdicts = ['damaged', 'sound', 'undecided', 'proven-unrewritten'].map(
  (verdict) => `verify:${verdict}`,
)
type Verdict = 'sound' | 'undecided' | `damaged(${string})`

/** As far as what is at hand can show. */
function verdictOn(story: Story, damaged: Damaged, held: Held): Verdict {
  const { kind, at = 0, shownBy, heads, prunedUpTo = 0 } = damaged
  if (story.falseProofs > 0) return 'damaged(false-proof)'
  if (kind === undefined) return held.upTo > 0 && prunedUpTo > held.upTo ? 'undecided' : 'sound'
  const newest = heads.at(-1)?.sequence ?? 0
  switch (shownBy) {
    case 'itself':
      return `damaged(${kind})`
    case 'ledger-key':
      return held.isKeyGiven ? 'undecided' : `damaged(${kind})`
    case 'own-head':
      return at <= Math.max(newest, held.upTo) ? `damaged(${kind})` : 'sound'
    case 'held-head':
      return at <= held.upTo ? `damaged(${kind})` : 'sound'
  }
}

/** The kind and the place have to be right; where nothing tells two kinds apart, one of the two that are named. */
function verdictFrom({ verdict, damage }: LedgerVerdict, { kind, at }: Damaged): string {
  if (damage === undefined) return verdict
  const named = damage.or !== undefined && damage.or === kind ? damage.or : damage.kind
  const isThere =
    at === undefined || (damage.sequence <= at && at <= (damage.upTo ?? damage.sequence))
  return `${verdict}(${named})${isThere ? '' : ` elsewhere: ${JSON.stringify(damage)}`}`
}

/** A story is told of rows, which no file says was moved. */
type OfMovedFiles = 'false-mark' | 'behind-move'

const damageKinds = Object.keys({
  changed: 0,
  removed: 0,
  inserted: 0,
  reordered: 0,
  'cut-off': 0,
  forked: 0,
  'signed-anew': 0,
  'rolled-back': 0,
  'false-head': 0,
  'false-cut': 0,
  'false-proof': 0,
} satisfies Record<Exclude<DamageKind, OfMovedFiles>, number>)

interface Judged {
  readonly found: readonly string[]
  readonly expected: ReadonlySet<string>
  readonly undecided: ReadonlyMap<string, number>
  readonly toBeUndecided: ReadonlyMap<string, number>
}

async function judged(seed: number): Promise<Judged> {
  const random = randomFrom(seed)
  const { story, ledger } = storyOf(random)
  const held = heldOf(ledger.heads, random)
  const verdict = await verifyLedger([ledger.rows], held.evidence)
  const isProven = verdict.verdict === 'sound' && verdict.provenUpTo === held.upTo
  const proven = isProven ? ['verify:proven-unrewritten ledger'] : []
  const found = [`verify:${verdictFrom(verdict, ledger)} ledger`, ...proven]
  const toBe = verdictOn(story, ledger, held)
  const toBeProven = toBe === 'sound' && held.upTo > 0 ? ['verify:proven-unrewritten ledger'] : []
  const expected = [`verify:${toBe} ledger`, ...toBeProven]
  if (ledger.findings === undefined) {
    return {
      found,
      expected: new Set(expected),
      undecided: new Map(),
      toBeUndecided: new Map(),
    }
  }
  const { findings, undecided } = await accounted(
    ledger.rows,
    {
      vault: delivered(story.vaultLines, random),
      signIns: delivered(story.signIns, random),
      audits: delivered(story.audits, random),
    },
    {
      nowMs: story.nowMs,
      graceMs: 30 * 60_000,
      applicationIds: [us.clientId],
      expect: { principals: [us.oid], addresses: ['203.0.113.0/24'], also: [] },
    },
  )
  return {
    found: [...found, ...findings.map(nameOf)],
    expected: new Set([...expected, ...ledger.findings]),
    undecided: new Map(undecided.map(({ reason, count }) => [reason, count])),
    toBeUndecided: story.undecided,
  }
}

describe('reconcile and verify', () => {
  it(
    `find and name every injected thing, and nothing else, in ${runs} seeded stories`,
    { timeout: Math.max(600_000, runs * 2000) },
    async () => {
      const matrix = new ConfusionMatrix()
      const mismatches: object[] = []
      for (let seed = 1; seed <= runs; seed += 1) {
        const { found, expected, undecided, toBeUndecided } = await judged(seed)
        const { missed, invented } = matrix.take(found, expected)
        const isDecidedAlike = isDeepStrictEqual(undecided, toBeUndecided)
        if (missed.length + invented.length > 0 || !isDecidedAlike) {
          mismatches.push({ seed, missed, invented, undecided, toBeUndecided })
        }
      }
      matrix.print(`${runs} stories`)
      expect(mismatches).toEqual([])
      // So that the test cannot pass by injecting nothing.
      const damaged = damageKinds.map((kind) => `verify:damaged(${kind})`)
      expect(matrix.kinds).toEqual(expect.arrayContaining(damaged))
      const kinds = new Set(matrix.kinds.map((kind) => kind.replace(/\(.*/, '')))
      const ofRounds: ReadonlySet<string> = new Set(['logs.unreadable', 'logs.removed'])
      const ofOneReading = findingKinds.filter((kind) => !ofRounds.has(kind))
      expect(kinds).toEqual(new Set([...ofOneReading, ...verdicts]))
    },
  )
})
