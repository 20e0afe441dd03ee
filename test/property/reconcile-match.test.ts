import { fc } from '../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import type { Finding, Undecided } from '../../src/reconcile/finding.ts'
import { accounted } from '../support/audit/accounted.ts'
import { chainedRows } from '../support/entries.ts'
import {
  begun,
  failed,
  lastRecordLine,
  loaded,
  made,
  minuteMs,
  recordLine,
  requestIdOf,
  startMs,
  withProofs,
} from '../support/signed-traffic.ts'

interface Matches {
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  readonly explained: number
}

/** What became of one call of the vault: what the ledger says, and what the vault's log will say. */
interface Act {
  readonly entries: (index: number) => readonly Entry[]
  readonly lines: (index: number) => readonly string[]
}

const acts = {
  made: { entries: (n) => [begun(n), made(n)], lines: (n) => [recordLine(n)] },
  refused: {
    entries: (n) => [begun(n), failed(n, { applied: 'no', vaultRequestId: requestIdOf(n) })],
    lines: (n) => [recordLine(n, { httpStatusCode: 429 })],
  },
  'reply lost': { entries: (n) => [begun(n), failed(n)], lines: (n) => [recordLine(n)] },
  'reply not usable': {
    entries: (n) => [begun(n), failed(n, { vaultRequestId: requestIdOf(n) })],
    lines: (n) => [recordLine(n)],
  },
  'request lost': { entries: (n) => [begun(n), failed(n)], lines: () => [] },
  'died waiting': { entries: (n) => [begun(n)], lines: (n) => [recordLine(n)] },
  'made, never logged': { entries: (n) => [begun(n), made(n)], lines: () => [] },
  'signed by somebody else': {
    entries: () => [],
    lines: (n) => [recordLine(n, { clientInfo: 'curl/8.5.0' })],
  },
  'signed again with our id': {
    entries: (n) => [begun(n), made(n)],
    lines: (n) => [recordLine(n), recordLine(n, { atMs: startMs + n * minuteMs + 5000 })],
  },
  'signed again with our nonce': {
    entries: (n) => [begun(n), failed(n)],
    lines: (n) => [recordLine(n), recordLine(n, { correlationId: requestIdOf(n + 1000) })],
  },
  'another algorithm': {
    entries: (n) => [begun(n), made(n)],
    lines: (n) => [recordLine(n, { algorithm: 'RS256' })],
  },
} satisfies Record<string, Act>

type ActName = keyof typeof acts
const actNames = Object.keys(acts) as readonly ActName[]
const story = fc.array(fc.constantFrom(...actNames), { maxLength: 25 })

const actOf = (name: ActName): Act => acts[name]
const entriesOf = (names: readonly ActName[]): readonly Entry[] => [
  loaded,
  ...withProofs(names.flatMap((name, index) => actOf(name).entries(index))),
]
/** The log stands for all of the story. */
const linesOf = (names: readonly ActName[]): readonly string[] => [
  recordLine(0, { atMs: startMs - minuteMs, operationName: 'KeyGet' }),
  recordLine(0, { atMs: startMs + 59 * minuteMs, operationName: 'KeyGet' }),
  ...names.flatMap((name, index) => actOf(name).lines(index)),
  lastRecordLine(),
]

/** Some minutes into the story, or long after it. */
const nowMs = fc.integer({ min: 0, max: 90 }).map((minutes) => startMs + minutes * minuteMs)

async function matched(
  entries: readonly Entry[],
  lines: readonly string[],
  now: number,
): Promise<Matches> {
  const options = { nowMs: now, graceMs: 30 * minuteMs }
  const outcome = await accounted(chainedRows(entries), { vault: lines }, options)
  const { findings, undecided, vaultLog } = outcome
  return { findings, undecided, explained: vaultLog.explained }
}

const longAfter = startMs + 24 * 60 * minuteMs
const count = (names: readonly ActName[], ...of: readonly ActName[]) =>
  names.filter((name) => of.includes(name)).length

describe('reconciling any story', () => {
  it('says the same whatever order the log arrives in, and however often', async () => {
    const delivery = story.chain((names) => {
      const lines = linesOf(names)
      return fc.record({
        names: fc.constant(names),
        arrived: fc.array(fc.constantFrom(...lines), { maxLength: 20 }).chain((repeated) =>
          fc.shuffledSubarray([...lines, ...repeated], {
            minLength: lines.length + repeated.length,
          }),
        ),
      })
    })
    await fc.assert(
      fc.asyncProperty(delivery, nowMs, async ({ names, arrived }, now) => {
        const entries = entriesOf(names)
        expect(await matched(entries, arrived, now)).toEqual(
          await matched(entries, linesOf(names), now),
        )
      }),
    )
  })

  it('finds all that happened and nothing else, once the grace period is over', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (names) => {
        const { findings, undecided, explained } = await matched(
          entriesOf(names),
          linesOf(names),
          longAfter,
        )
        const found = Object.groupBy(findings, ({ kind }) => kind)
        expect({
          undecided,
          explained,
          unexplained: found['sign.unexplained']?.length ?? 0,
          repeated: found['sign.repeated']?.length ?? 0,
          assumed: found['sign.assumed']?.length ?? 0,
          differs: found['sign.differs']?.length ?? 0,
          unrecorded: found['sign.unrecorded']?.length ?? 0,
        }).toEqual({
          undecided: [],
          explained: count(names, 'made', 'signed again with our id'),
          unexplained: count(names, 'signed by somebody else', 'signed again with our nonce'),
          repeated: count(names, 'signed again with our id'),
          assumed: count(
            names,
            'reply lost',
            'reply not usable',
            'died waiting',
            'signed again with our nonce',
          ),
          differs: count(names, 'another algorithm'),
          unrecorded: count(names, 'made, never logged'),
        })
      }),
    )
  })

  it('never takes back what it has decided, when more time has passed', async () => {
    await fc.assert(
      fc.asyncProperty(story, nowMs, fc.nat({ max: 60 }), async (names, now, minutes) => {
        const [entries, lines] = [entriesOf(names), linesOf(names)]
        const { findings: before } = await matched(entries, lines, now)
        const { findings: after } = await matched(entries, lines, now + minutes * minuteMs)
        expect(after).toEqual(expect.arrayContaining([...before]))
      }),
    )
  })

  it('loses one finding and gains one explanation when a missing record arrives at last', async () => {
    await fc.assert(
      fc.asyncProperty(story, fc.nat(), async (names, place) => {
        fc.pre(names.includes('made'))
        const late = recordLine(names.indexOf('made'))
        const without = linesOf(names).filter((line) => line !== late)
        const before = await matched(entriesOf(names), without, longAfter)
        const lines = without.toSpliced(place % without.length, 0, late)
        const after = await matched(entriesOf(names), lines, longAfter)
        expect(after.explained).toBe(before.explained + 1)
        expect(after.findings).toHaveLength(before.findings.length - 1)
      }),
    )
  })
})
