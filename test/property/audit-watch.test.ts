import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Accounting } from '../../src/reconcile/reconcile.ts'
import { findingIdOf } from '../../src/reconcile/rounds/finding-id.ts'
import { isOpen } from '../../src/reconcile/rounds/known-finding.ts'
import type {
  FindingEvent,
  KnownFinding,
  RoundState,
} from '../../src/reconcile/rounds/round-state.ts'
import { accounted } from '../support/audit/accounted.ts'
import { ConfusionMatrix, nameOf } from '../support/audit/found-names.ts'
import { injections, injectSome } from '../support/audit/injections.ts'
import type { LogName } from '../support/audit/storage-account.ts'
import { StorageAccount } from '../support/audit/storage-account.ts'
import {
  calmStory,
  newId,
  ordinaryStory,
  randomFrom,
  someTime,
  us,
  vaultLine,
} from '../support/audit/story.ts'
import type { Random, Story } from '../support/audit/story.ts'
import { entriesOf, writeStory } from '../support/audit/story-ledger.ts'
import type { StoryLedger } from '../support/audit/story-ledger.ts'
import { Watcher } from '../support/audit/watcher.ts'
import type { Mishap } from '../support/audit/watcher.ts'

/** Of each kind of incident; each story has a dozen rounds. */
const runs = Math.ceil(Number(process.env['AUDIT_RUNS'] ?? 200) / 50)

const minute = 60_000
const hour = 60 * minute
const request = {
  graceMs: 30 * minute,
  applicationIds: [us.clientId],
  expect: { principals: [us.oid], addresses: ['203.0.113.0/24'], also: [] },
  keys: [],
}

/** All that happens to a story is decided when its last record has come. */
function storyOf(random: Random): Story {
  // Where nothing is found, only what is hidden keeps it from being accounted for.
  if (random() < 0.3) return calmStory(random, 12)
  const story = ordinaryStory(random, 12)
  const lasting = Object.entries(injections).filter(([name]) => name !== 'signed a moment ago')
  injectSome(Object.fromEntries(lasting), story, random)
  return story
}

/** What happens to the copy of the logs besides that records come late, twice, and in another order. */
const incidents = {
  'a torn line': (account: StorageAccount) => {
    account.tear()
  },
  'a garbled line': (account: StorageAccount) => {
    account.garble()
  },
  'a lost blob': (account: StorageAccount) => {
    account.loseBlob()
  },
  'damaged gzip': (account: StorageAccount) => {
    account.damageCompression()
  },
} as const
const away = 'a log that cannot be read'
/** In one log, of what is decided: whatever comes late in another is held to what is left of it. */
const retention = 'blobs that grow old'
type Incident = keyof typeof incidents | typeof away | typeof retention

const mishaps: readonly Mishap[] = [
  'killed-before-saving',
  'killed-before-telling',
  'killed-while-telling',
  'nobody-takes-it',
]

const pick = <Item>(items: readonly Item[], random: Random): Item | undefined =>
  items[Math.floor(random() * items.length)]

/** While the story goes on, and then until nothing is waited for any more. */
function timesOf({ startMs, nowMs }: Story, random: Random): readonly number[] {
  const times: number[] = []
  let atMs = startMs + hour
  while (atMs < nowMs) {
    times.push(atMs)
    atMs += (pick([0.3, 1, 2, 5], random) ?? 1) * hour + Math.floor(random() * 30 * minute)
  }
  return [...times, nowMs + hour, nowMs + 12 * hour, nowMs + 26 * hour]
}

/** What one who reads all that ever was delivered finds, as of that time. */
interface Whole {
  /** By what rounds call it; a silence has the name of its vault. */
  readonly names: ReadonlyMap<string, string>
  readonly verdict: Accounting['verdict']
  readonly undecided: ReadonlyMap<string, number>
}

async function wholeReading(
  rows: StoryLedger['rows'],
  { delivered }: StorageAccount,
  nowMs: number,
  ledger: string,
): Promise<Whole> {
  const logs = {
    vault: delivered.vault,
    signIns: delivered['sign-ins'],
    audits: delivered.audits,
  }
  const { findings, undecided, verdict } = await accounted(rows, logs, { ...request, nowMs })
  const names = findings.map((finding): [string, string] => [
    finding.kind === 'logs.silent' ? finding.vault : findingIdOf(ledger, finding),
    nameOf(finding),
  ])
  return {
    names: new Map(names),
    verdict,
    undecided: new Map(undecided.map(({ reason, count }) => [reason, count])),
  }
}

/** A silence, of which there is one at a time, whenever it began; and a log that is away. */
function keyOf({ id, kind }: Pick<KnownFinding, 'id'> & { readonly kind: string }): string {
  if (kind === 'logs.silent') return us.vault
  if (kind === 'logs.removed') return `${kind} ${id}`
  return kind === 'logs.unreadable' ? kind : id
}

/** That something was taken away shows in rounds alone, and may be said where it was. */
const isOfRemoval = (key: string): boolean => key.startsWith('logs.removed ')

const openIn = ({ findings }: RoundState): ReadonlySet<string> =>
  new Set(findings.filter(isOpen).map(keyOf))

/** Rounds in a row. */
const roundsUntilTold = 3
const unreadable = ['logs.unreadable', 'logs.unreadable log'] as const

/** Which log shows it: while that is away nothing more of it is found. */
function logOf(name: string): LogName {
  if (name.startsWith('signin.')) return 'sign-ins'
  return name.startsWith('application.') ? 'audits' : 'vault'
}

interface Watched {
  readonly found: readonly string[]
  readonly expected: ReadonlySet<string>
  /** What was wrong at some round, in words. */
  readonly mistakes: readonly string[]
  readonly undecided: ReadonlyMap<string, number>
}

const placeOf = (folder: string, name: string) => {
  const place = join(folder, name)
  mkdirSync(place)
  return place
}

interface Watching {
  readonly story: Story
  readonly random: Random
  readonly folder: string
  readonly among: readonly Incident[]
  /** `short`: there are more findings than fit, and the rest of them is told when others are taken. */
  readonly room: 'enough' | 'short'
}

async function watched({ story, random, folder, among, room }: Watching): Promise<Watched> {
  const ledger = writeStory({ entries: entriesOf(story, random), planned: story.heads })
  const account = new StorageAccount(join(folder, 'logs'), story, random)
  const watcher = new Watcher(join(folder, 'state'), request)
  const rounds = new Rounds(room)
  const more = room === 'enough' ? [] : Array.from({ length: 8 }, (_, index) => 27 + index)
  const times = [...timesOf(story, random), ...more.map((hours) => story.nowMs + hours * hour)]
  let decidedUntilMs = -Infinity
  for (const nowMs of times) {
    const isLate = nowMs > story.nowMs
    account.mendCompression()
    if (isLate || random() < 0.4) account.mount()
    const incident = !isLate && random() < 0.5 ? pick(among, random) : undefined
    // What comes while a log is away comes when it is back.
    if (incident === away) account.unmount()
    account.deliver(nowMs)
    if (incident === retention) account.retire(decidedUntilMs)
    else if (incident !== undefined && incident !== away) incidents[incident](account)
    const written = ledger.entries.filter(({ atMs }) => atMs <= nowMs).length
    const rows = ledger.rows.slice(0, written)
    const mishap = !isLate && random() < 0.3 ? (pick(mishaps, random) ?? 'none') : 'none'
    const state = await watcher.look({ rows, sources: account.sources(), nowMs, mishap })
    const whole = await wholeReading(rows, account, nowMs, watcher.ledger)
    rounds.take(whole, state, account, incident)
    if (state === 'killed' || state instanceof Error) continue
    account.looked(nowMs - request.graceMs)
    decidedUntilMs = Math.min(state.decidedUntilMs ?? -Infinity, state.lookFromMs ?? Infinity)
  }
  expect(account.isAllThere).toBe(true)
  return rounds.judged(watcher.told, story)
}

/** Holds what each round knows to what a whole reading finds, and what was told to how that has changed. */
class Rounds {
  readonly #names = new Map<string, string>([unreadable])
  /** What has ceased to be so, because something came late: it is told. */
  readonly #changes: string[] = []
  readonly #mistakes: string[] = []
  readonly #verdicts: string[] = []
  readonly #verdictsExpected: string[] = []
  #before: ReadonlySet<string> = new Set()
  #last: Whole | undefined
  #round = 0
  #away: StorageAccount['away']
  #awayRounds = 0
  readonly #room: Watching['room']
  #isAnyRemoved = false
  /** In between, something may have to be waited for. */
  #isOpenWithoutReason = false

  constructor(room: Watching['room']) {
    this.#room = room
  }

  take(
    whole: Whole,
    state: RoundState | Error | 'killed',
    { hidesSomething, away: lost, isAnyRemoved }: StorageAccount,
    incident: Incident | undefined,
  ): void {
    this.#isAnyRemoved = isAnyRemoved
    this.#round += 1
    this.#last = whole
    for (const [id, name] of whole.names) this.#names.set(id, name)
    // Nobody has looked; the next round sees what has changed meanwhile.
    if (state === 'killed') return
    const at = `round ${this.#round}${incident === undefined ? '' : ` (${incident})`}`
    if (state instanceof Error) {
      this.#mistakes.push(`${at}: ${state.message}`)
      return
    }
    if (lost !== this.#away) this.#awayRounds = 0
    this.#away = lost
    if (lost !== undefined) this.#awayRounds += 1
    const isAwayLong = this.#awayRounds >= roundsUntilTold
    const names = new Map([...whole.names, ...(isAwayLong ? [unreadable] : [])])
    this.#judge(names, state, { at, isUnseen: (name) => logOf(name) === lost })
    const isOpenStill = whole.verdict !== 'accounted-for' || hidesSomething
    const verdict = state.lastRound?.verdict
    this.#isOpenWithoutReason = !isOpenStill && !isAnyRemoved && verdict !== 'accounted-for'
    if (!isOpenStill) return
    this.#verdictsExpected.push(`watch:not-accounted-for ${at}`)
    if (verdict !== 'accounted-for') {
      this.#verdicts.push(`watch:not-accounted-for ${at}`)
    } else this.#mistakes.push(`${at}: accounted for`)
  }

  judged(told: readonly FindingEvent[], { expected }: Story): Watched {
    if (this.#isOpenWithoutReason) this.#mistakes.push('in the end: not accounted for')
    const standing = new Map<string, number>()
    const resolved: string[] = []
    for (const event of told) {
      const key = keyOf(event.finding)
      if (this.#isAnyRemoved && isOfRemoval(key)) continue
      const by = event.event === 'finding.new' ? 1 : -1
      standing.set(key, (standing.get(key) ?? 0) + by)
      if (by === -1 && this.#room === 'enough') resolved.push(this.#resolvedName(key, resolved))
    }
    const found = [...standing].flatMap(([key, times]) =>
      Array.from({ length: Math.max(times, 0) }, () => this.#nameOf(key)),
    )
    return {
      found: [...found, ...resolved, ...this.#verdicts],
      expected: new Set([...expected, ...this.#changes, ...this.#verdictsExpected]),
      mistakes: this.#mistakes,
      undecided: this.#last?.undecided ?? new Map(),
    }
  }

  #judge(
    names: Whole['names'],
    state: RoundState,
    { at, isUnseen }: { readonly at: string; readonly isUnseen: (name: string) => boolean },
  ): void {
    const open = openIn(state)
    for (const known of state.findings) {
      const { kind } = known
      const key = keyOf(known)
      if (!this.#names.has(key)) this.#names.set(key, `${kind} ${key}, never found whole`)
    }
    for (const [id, name] of names) {
      const isToBeTold = this.#room === 'enough' && (this.#before.has(id) || !isUnseen(name))
      if (isToBeTold && !open.has(id)) this.#mistakes.push(`${at}: ${name} is not told`)
    }
    for (const id of open) {
      if (this.#isAnyRemoved && isOfRemoval(id)) continue
      if (!names.has(id)) this.#mistakes.push(`${at}: ${this.#nameOf(id)} stands`)
    }
    for (const id of this.#before) {
      const isToldBefore = this.#room === 'enough' && !names.has(id)
      if (isToldBefore) this.#changes.push(this.#resolvedName(id, this.#changes))
    }
    this.#before = new Set([...names.keys()].filter((id) => open.has(id)))
  }

  /** As often as that. */
  #resolvedName(key: string, before: readonly string[]): string {
    const name = `watch:resolved ${this.#nameOf(key)}`
    return `${name} #${before.filter((one) => one.startsWith(name)).length + 1}`
  }

  #nameOf(key: string): string {
    return this.#names.get(key) ?? key
  }
}

const all = [...Object.keys(incidents), away, retention] as readonly Incident[]
const cases: readonly (readonly [string, readonly Incident[]])[] = [
  ['records as they come', []],
  ...all.map((one) => [one, [one]] as const),
  ['all of it', all],
]
const floods = [1300, 5600]

const matrix = new ConfusionMatrix()
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-watch-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
  matrix.print(`${cases.length * runs + floods.length} stories that were watched`)
})

describe('whoever keeps watch tells what a whole reading finds, each once', () => {
  it.each(cases)(
    `and nothing else, with %s (${runs} seeded stories)`,
    { timeout: Math.max(600_000, runs * 60_000) },
    async (name, among) => {
      const mismatches: object[] = []
      for (let seed = 1; seed <= runs; seed += 1) {
        const random = randomFrom(seed + 1_000_003 * (1 + among.length) + name.length * 7919)
        const story = storyOf(random)
        const place = placeOf(folder, `${name} ${seed}`)
        const judged = await watched({ story, random, folder: place, among, room: 'enough' })
        const { missed, invented } = matrix.take(judged.found, judged.expected)
        const { mistakes, undecided } = judged
        const isDecidedAlike = [...story.undecided].every(
          ([reason, count]) => undecided.get(reason) === count,
        )
        if (missed.length + invented.length + mistakes.length > 0 || !isDecidedAlike) {
          mismatches.push({ seed, missed, invented, mistakes, undecided })
        }
      }
      expect(mismatches).toEqual([])
    },
  )

  it.each(floods)(
    'when %i are more than there is room for, in the end',
    { timeout: 600_000 },
    async (count) => {
      const random = randomFrom(count)
      const story = ordinaryStory(random, 12)
      flood(story, count, random)
      const place = placeOf(folder, `flood ${count}`)
      const judged = await watched({ story, random, folder: place, among: [], room: 'short' })
      const { missed, invented } = matrix.take(judged.found, judged.expected)
      expect({ missed, invented, mistakes: judged.mistakes }).toEqual({
        missed: [],
        invented: [],
        mistakes: [],
      })
    },
  )
})

/** Somebody signs, half of it within an hour. */
function flood(story: Story, count: number, random: Random): void {
  const burstMs = someTime(story, random)
  for (let index = 0; index < count; index += 1) {
    const id = newId()
    const atMs = index % 2 === 0 ? burstMs + Math.floor(random() * hour) : someTime(story, random)
    story.vaultLines.push(vaultLine(atMs, id))
    story.expected.add(`sign.unexplained ${id}`)
  }
}
