import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/base/canonical-json.ts'
import { chainHash, genesisHash } from '../../src/ledger/chain.ts'
import type { Row } from '../../src/ledger/chain.ts'
import type { Finding } from '../../src/reconcile/finding.ts'
import { accounted } from '../support/audit/accounted.ts'
import { injections, loseAnHour } from '../support/audit/injections.ts'
import { ordinaryStory, randomFrom, us } from '../support/audit/story.ts'
import type { LedgerEntry, Random, Story } from '../support/audit/story.ts'

/** Daily; `AUDIT_RUNS=2000` for as many as an issue is resolved with. */
const runs = Number(process.env['AUDIT_RUNS'] ?? 200)

function chained(entries: readonly LedgerEntry[]): Row[] {
  let hash = genesisHash
  return entries.map((entry, index) => {
    const canonical = Buffer.from(canonicalJson(entry as never))
    hash = chainHash(hash, canonical)
    return { sequence: index + 1, canonical, hash }
  })
}

/** Every kind of damage to a chain, to an entry that says nothing of signatures. */
const damages: Readonly<Record<string, (rows: Row[], at: number) => Row[]>> = {
  changed: (rows, at) =>
    rows.with(at, { ...rowAt(rows, at), canonical: Buffer.from('{"kind":"x"}') }),
  removed: (rows, at) => rows.toSpliced(at, 1),
  inserted: (rows, at) => rows.toSpliced(at, 0, rowAt(rows, at)),
  swapped: (rows, at) => rows.toSpliced(at, 2, rowAt(rows, at + 1), rowAt(rows, at)),
}

function rowAt(rows: readonly Row[], at: number): Row {
  const row = rows[at]
  if (row === undefined) throw new RangeError(`there is no row ${at}`)
  return row
}

/** What a finding is about, as stories name it. */
function nameOf(finding: Finding): string {
  if ('record' in finding) return `${finding.kind} ${finding.record.correlationId}`
  if ('signIn' in finding) return `${finding.kind} ${finding.signIn.id}`
  if ('audit' in finding) return `${finding.kind} ${finding.audit.id}`
  if ('vaultRequestId' in finding) return `${finding.kind} ${finding.vaultRequestId}`
  return `${finding.kind} chain`
}

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

/** What was not expected, or was found once more than expected. */
function inventedIn(found: readonly string[], expected: ReadonlySet<string>): readonly string[] {
  const left = new Set(expected)
  return found.filter((name) => !left.delete(name))
}

interface Judged {
  readonly story: Story
  readonly found: readonly string[]
  readonly undecided: ReadonlyMap<string, number>
}

async function judged(seed: number): Promise<Judged> {
  const random = randomFrom(seed)
  const story = ordinaryStory(random)
  const names = Object.keys(injections)
  const times = Math.floor(random() * 6)
  for (let time = 0; time < times; time += 1) {
    injections[names[Math.floor(random() * names.length)] ?? '']?.(story, random)
  }
  if (random() < 0.3) loseAnHour(story, random)
  const rows = chained([
    { kind: 'service.started', atMs: story.startMs, version: '0' },
    { kind: 'service.stopped', atMs: story.startMs, unproved: 0 },
    ...story.entries,
  ])
  const isDamaged = random() < 0.2
  const damage = Object.values(damages)[Math.floor(random() * 4)]
  if (isDamaged) story.expected.add('ledger.broken chain')
  const { findings, undecided } = await accounted(
    isDamaged ? (damage?.(rows, 0) ?? rows) : rows,
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
    story,
    found: findings.map(nameOf),
    undecided: new Map(undecided.map(({ reason, count }) => [reason, count])),
  }
}

describe('reconcile', () => {
  it(
    `finds and names every injected thing, and nothing else, in ${runs} seeded stories`,
    { timeout: 600_000 },
    async () => {
      const matrix = new Map<string, { found: number; missed: number; invented: number }>()
      const cellOf = (name: string) => {
        const kind = name.split(' ')[0] ?? ''
        const cell = matrix.get(kind) ?? { found: 0, missed: 0, invented: 0 }
        matrix.set(kind, cell)
        return cell
      }
      const mismatches: object[] = []
      for (let seed = 1; seed <= runs; seed += 1) {
        const { story, found, undecided } = await judged(seed)
        const missed = [...story.expected].filter((name) => !found.includes(name))
        const invented = inventedIn(found, story.expected)
        for (const name of story.expected)
          cellOf(name)[found.includes(name) ? 'found' : 'missed'] += 1
        for (const name of invented) cellOf(name).invented += 1
        const isDecidedAlike = isDeepStrictEqual(undecided, story.undecided)
        if (missed.length + invented.length > 0 || !isDecidedAlike) {
          mismatches.push({ seed, missed, invented, undecided, toBeUndecided: story.undecided })
        }
      }
      const rows = [...matrix].map(([kind, cell]) => ({ kind, ...cell }))
      process.stdout.write(`${JSON.stringify(rows, undefined, 1)}\n`)
      expect(mismatches).toEqual([])
      // So that the test cannot pass by injecting nothing.
      expect(new Set(matrix.keys()).size).toBeGreaterThanOrEqual(14)
    },
  )
})
