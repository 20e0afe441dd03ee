import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FeedError } from '../../../src/custody/entry-feed.ts'
import { createFileAnchor } from '../../../src/custody/file-anchor.ts'
import { readWitnessKeyFile } from '../../../src/cli/witness-key-file.ts'
import { feedOfLedger } from '../../../src/custody/ledger-entry-feed.ts'
import { verifyLedger } from '../../../src/custody/verify-ledger.ts'
import { createWitness, type WitnessDeps } from '../../../src/custody/witness.ts'
import { createWitnessStore } from '../../../src/custody/witness-store.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { canonicalCut, cutRowFrom } from '../../../src/ledger/cut.ts'
import type { LedgerTail } from '../../../src/ledger/ledger-tail.ts'
import {
  continued,
  firstMs,
  headKey,
  headOf,
  otherHeadKey,
  writeLedger,
  type WrittenLedger,
} from '../../support/evidence.ts'
import { tokenIssuedEntry } from '../../support/entries.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'
import { createTestWitnessKey } from '../../support/witness.ts'

const witnessKey = createTestWitnessKey()
let ledger: WrittenLedger
let folder: string
/** What the feed tells now. */
let told: readonly Row[]
const at = (name: string) => join(folder, name)

beforeAll(() => {
  ledger = writeLedger({ entries: 130, headEvery: 40, proofEvery: 25 })
})
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-witness-'))
  told = ledger.rows
  const pem = witnessKey.privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeFileSync(at('key.pem'), pem)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** What a ledger's own tail answers, of rows that are at hand; a few at a time. */
const tail: LedgerTail = {
  rowsFrom: (sequence) =>
    Promise.resolve(told.filter((row) => row.sequence >= sequence).slice(0, 30)),
}
const clock = fixedClock(Math.floor(firstMs / 1000))

const witness = async (change: Partial<WitnessDeps> = {}) =>
  createWitness({
    feed: feedOfLedger('the ledger', tail),
    store: createWitnessStore(at('store.json')),
    key: await readWitnessKeyFile(at('key.pem')),
    headKeys: [headKey.publicKey],
    anchors: [createFileAnchor(at('witnessed.jsonl'), clock)],
    silentAfterMs: 300_000,
    clock,
    ...change,
  })
const look = async (change?: Partial<WitnessDeps>) => (await witness(change)).look()
const store = () => readFileSync(at('store.json'), 'utf8')
const lines = () => readFileSync(at('witnessed.jsonl'), 'utf8').trimEnd().split('\n')

const hexOf = ({ hash }: Row) => Buffer.from(hash).toString('hex')

const stranger = { ...tokenIssuedEntry('made-up', 'x'), atMs: firstMs }
/** Everything from there on is written anew, with some more, and its head is signed by the heads' key. */
function signedAnew(from: number, more: number): readonly Row[] {
  const others = ledger.entries
    .slice(from)
    .filter((entry) => entry.kind !== 'head.signed' && !('purpose' in entry))
  const rows = continued(ledger.rows.slice(0, from - 1), [
    stranger,
    ...others,
    ...Array.from({ length: more }, () => stranger),
  ])
  return continued(rows, headOf(rows, firstMs + 700_000, 999_999).ledgerEntries)
}

describe('a witness', () => {
  test('signs the heads of what fits, keeps them, and proves the ledger by them', async () => {
    const found = await look()
    expect(found).toMatchObject({
      alarms: [],
      heads: 3,
      witnessed: { seen: { sequence: 130 }, from: { sequence: 120 } },
    })
    const witnesses = [{ file: at('witnessed.jsonl'), keys: [witnessKey.publicKey] }]
    const evidence = { headKeys: [], anchors: [], certificates: [], witnesses }
    expect(await verifyLedger([told], evidence)).toMatchObject({
      verdict: 'sound',
      witnessedUpTo: 120,
    })
  })

  test('goes on from what it has seen, and signs no head twice', async () => {
    told = ledger.rows.slice(0, 70)
    await look()
    told = ledger.rows
    expect(await look()).toMatchObject({ alarms: [], heads: 2 })
    expect(await look()).toMatchObject({ alarms: [], heads: 0 })
    expect(lines()).toHaveLength(3)
  })

  test('that was killed between keeping and remembering signs the same head again, and leaves none out', async () => {
    told = ledger.rows.slice(0, 70)
    await look()
    const before = store()
    told = ledger.rows
    await look()
    writeFileSync(at('store.json'), before)
    expect(await look()).toMatchObject({ alarms: [], heads: 2 })
    expect(lines()).toHaveLength(5)
    const witnesses = [{ file: at('witnessed.jsonl'), keys: [witnessKey.publicKey] }]
    const evidence = { headKeys: [], anchors: [], certificates: [], witnesses }
    expect(await verifyLedger([told], evidence)).toMatchObject({ verdict: 'sound' })
  })

  test('remembers nothing that its anchor does not keep', async () => {
    const missing = createFileAnchor(at('none/witnessed.jsonl'), clock)
    expect(await look({ anchors: [missing] })).toMatchObject({
      alarms: [],
      // Of the page before the first head.
      witnessed: { seen: { sequence: 30 } },
      heads: 0,
      failure: { code: 'ANCHOR_MISSING' },
    })
    expect(await look()).toMatchObject({ alarms: [], heads: 3 })
  })
})

describe('each entry that a witness has seen', { timeout: 120_000 }, () => {
  let seen: string
  beforeEach(async () => {
    await look()
    seen = store()
  })
  const positions = Array.from({ length: 129 }, (_, index) => index + 2)
  const alarmsOf = async (rowsOf: (from: number) => readonly Row[]) => {
    const alarms = []
    for (const from of positions) {
      writeFileSync(at('store.json'), seen)
      told = rowsOf(from)
      alarms.push((await look()).alarms[0])
    }
    // Nothing of it was witnessed, wherever its heads are.
    expect(lines()).toHaveLength(3)
    return alarms
  }

  test('is missed when the ledger ends before it', async () => {
    const alarms = await alarmsOf((from) => ledger.rows.slice(0, from - 1))
    const others = alarms.filter(
      (found) => found?.alarm !== 'feed.contradicts' || found.how !== 'rolled-back',
    )
    expect(others).toEqual([])
  })

  test('is missed when another one is there instead, of which no head tells', async () => {
    const alarms = await alarmsOf((from) => {
      const rows = continued(ledger.rows.slice(0, from - 1), [stranger])
      return continued(
        rows,
        Array.from({ length: 130 }, () => stranger),
      )
    })
    expect(alarms.filter((found) => found?.alarm !== 'feed.contradicts')).toEqual([])
  })

  test('is missed when all is signed anew by the heads’ own key, and named as that', async () => {
    const longer = await alarmsOf((from) => signedAnew(from, 60))
    expect(longer.filter((found) => found?.alarm !== 'head.contradicts')).toEqual([])
    // Whether a head for what comes before the newest one that was witnessed is another one is left to verify.
    const shorter = await alarmsOf((from) => signedAnew(from, 0))
    expect(shorter.filter((found) => found?.alarm.endsWith('contradicts') !== true)).toEqual([])
  })
})

describe('a witness raises', () => {
  test('a head by no key that it was given', async () => {
    await look()
    const rows = headOf(told, firstMs + 700_000, 999_999, otherHeadKey).ledgerEntries
    told = continued(told, rows)
    expect((await look()).alarms).toMatchObject([{ alarm: 'head.false', sequence: 133 }])
  })

  test('a head of the heads’ key for something else than was seen', async () => {
    await look()
    const other = continued(ledger.rows.slice(0, 125), [stranger])
    const { head } = headOf(other, firstMs + 700_000, 999_999)
    const [begun, made, signed] = headOf(told, firstMs + 700_000, 999_999).ledgerEntries
    told = continued(told, [
      required(begun),
      required(made),
      { ...required(signed), head } as never,
    ])
    const [alarm] = (await look()).alarms
    expect(alarm).toMatchObject({ alarm: 'head.contradicts', offered: head })
  })

  test('another ledger than the one that it was told of', async () => {
    const { alarms } = await look({ ledger: 'x'.repeat(43) })
    expect(alarms).toMatchObject([{ alarm: 'feed.contradicts', how: 'other-ledger' }])
  })

  test('silence when no new head comes, and not before, whatever else is written', async () => {
    const later = (seconds: number) => fixedClock(Math.floor(firstMs / 1000) + seconds)
    await look()
    told = continued(told, [stranger])
    expect((await look({ clock: later(300) })).alarms).toEqual([])
    const sinceMs = Math.floor(firstMs / 1000) * 1000
    expect((await look({ clock: later(301) })).alarms).toEqual([{ alarm: 'feed.silent', sinceMs }])
    told = continued(told, headOf(told, firstMs + 700_000, 999_999).ledgerEntries)
    expect((await look({ clock: later(302) })).alarms).toEqual([])
  })

  test('silence of a feed that does not answer too', async () => {
    await look()
    const feed = {
      name: 'the ledger',
      rowsBehind: () => Promise.reject(new FeedError('FEED_UNREACHABLE')),
    }
    const found = await look({ feed, clock: fixedClock(Math.floor(firstMs / 1000) + 301) })
    expect(found).toMatchObject({
      alarms: [{ alarm: 'feed.silent' }],
      failure: { code: 'FEED_UNREACHABLE' },
    })
  })
})

describe('a feed keeps no look from ending', () => {
  const whole = feedOfLedger('the ledger', tail)
  const feedOf = (rowsBehind: (sequence: number) => Promise<readonly Row[]>) => ({
    name: whole.name,
    rowsBehind,
  })

  test('by what stands for nothing more than was seen, again and again', async () => {
    await look()
    const tip = required(told.at(-1))
    const cut: Row = { ...tip, canonical: Buffer.from('{}'), isCut: true }
    const feed = feedOf(async (sequence) =>
      sequence === tip.sequence ? [cut] : whole.rowsBehind(sequence),
    )
    const later = fixedClock(Math.floor(firstMs / 1000) + 301)
    expect(await look({ feed, clock: later })).toMatchObject({
      alarms: [{ alarm: 'feed.silent' }],
      failure: { code: 'FEED_MALFORMED' },
    })
  })

  test('by the same rows behind what does not fit', async () => {
    await look()
    const bad = { ...required(ledger.rows[120]), hash: Buffer.alloc(32) }
    const feed = feedOf(() => Promise.resolve([bad]))
    expect((await look({ feed })).alarms).toMatchObject([{ how: 'rewritten', sequence: 121 }])
  })

  test('by entries without end, of which none is a head', async () => {
    await look()
    const slow = fixedClock(Math.floor(firstMs / 1000))
    const feed = feedOf((sequence) => {
      slow.advance(20)
      if (sequence >= told.length) told = continued(told, [stranger])
      return Promise.resolve(told.slice(sequence, sequence + 1))
    })
    expect(await look({ feed, clock: slow })).toMatchObject({
      alarms: [{ alarm: 'feed.silent' }],
      failure: { code: 'FEED_TOO_SLOW' },
      witnessed: { seen: { sequence: 136 }, from: { sequence: 136 } },
    })
    // What was seen is not read again, and is held to all the same.
    const further = continued(told, headOf(told, firstMs + 700_000, 999_999).ledgerEntries)
    told = signedAnew(125, 60)
    expect((await look()).alarms).toMatchObject([{ alarm: 'head.contradicts', sequence: 137 }])
    told = further
    expect(await look()).toMatchObject({ alarms: [], heads: 1 })
  })
})

describe('an alarm that is found is told', () => {
  /** A head that is to be witnessed, and behind it what does not fit, in one page. */
  const withMore = (): readonly Row[] => {
    const signed = headOf(told, firstMs + 700_000, 999_999).ledgerEntries
    const bad = required(continued(told, [...signed, stranger]).at(-1))
    return [...continued(told, signed), { ...bad, hash: Buffer.alloc(32) }]
  }
  const broken = { alarm: 'feed.contradicts', how: 'broken', sequence: 134 }

  test('when the anchor keeps nothing', async () => {
    await look()
    told = withMore()
    const missing = createFileAnchor(at('none/witnessed.jsonl'), clock)
    expect(await look({ anchors: [missing] })).toMatchObject({
      alarms: [broken],
      failure: { code: 'ANCHOR_MISSING' },
      witnessed: { seen: { sequence: 130 } },
    })
  })

  test('when the store keeps nothing', async () => {
    await look()
    told = withMore()
    mkdirSync(at('store.json.new'))
    expect(await look()).toMatchObject({
      alarms: [broken],
      failure: { code: 'WITNESS_STORE_FAILED' },
      witnessed: { seen: { sequence: 130 } },
    })
  })

  test('when the feed answers no more behind what does not fit', async () => {
    await look()
    told = withMore()
    const whole = feedOfLedger('the ledger', tail)
    const feed = {
      name: whole.name,
      rowsBehind: (sequence: number) =>
        sequence > 133
          ? Promise.reject(new FeedError('FEED_UNREACHABLE'))
          : whole.rowsBehind(sequence),
    }
    expect(await look({ feed })).toMatchObject({
      alarms: [broken],
      failure: { code: 'FEED_UNREACHABLE' },
    })
  })
})

describe('a store', () => {
  test('of another feed, key or ledger is refused, and left as it is', async () => {
    await look()
    const before = store()
    const key = createTestWitnessKey()
    writeFileSync(at('other.pem'), key.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const changes: readonly Partial<WitnessDeps>[] = [
      { feed: feedOfLedger('another ledger', tail) },
      { key: await readWitnessKeyFile(at('other.pem')) },
      { ledger: 'x'.repeat(43) },
    ]
    for (const change of changes) {
      await expect(look(change)).rejects.toMatchObject({ code: 'WITNESS_STORE_FOREIGN' })
    }
    expect(store()).toBe(before)
  })

  test('that is damaged is refused, and not begun anew', async () => {
    await look()
    writeFileSync(at('store.json'), store().slice(0, 50))
    await expect(look()).rejects.toMatchObject({ code: 'WITNESS_STORE_UNREADABLE' })
  })
})

describe('of a ledger that was pruned', () => {
  const prunedTo = (sequence: number, head: string, { rows } = ledger) => {
    const { hash } = required(rows[sequence - 1])
    const cut = canonicalCut({
      kind: 'ledger.cut',
      atMs: firstMs,
      ledger: Buffer.from(required(rows[0]).hash).toString('base64url'),
      from: 1,
      sequence,
      hash: Buffer.from(hash).toString('base64url'),
      head,
      heldBy: 'witness',
      by: 'operator',
      headKeys: [],
      certificates: [],
    })
    return [cutRowFrom(Buffer.from(cut)), ...rows.slice(sequence)]
  }

  test('a witness takes the head that it begins with', async () => {
    told = prunedTo(40, required(ledger.heads[0]))
    expect(await look()).toMatchObject({
      alarms: [],
      witnessed: {
        ledger: Buffer.from(required(ledger.rows[0]).hash).toString('base64url'),
        seen: { sequence: 130 },
      },
    })
    expect(await look()).toMatchObject({ alarms: [], heads: 0 })
  })

  test('a witness goes on where the last that it has seen is still there', async () => {
    told = ledger.rows.slice(0, 110)
    await look()
    told = prunedTo(80, required(ledger.heads[1]))
    expect(await look()).toMatchObject({
      alarms: [],
      heads: 1,
      witnessed: { seen: { sequence: 130 } },
    })
  })

  test('a witness goes on where the entries went that it had no head for, and those behind are the same', async () => {
    told = ledger.rows.slice(0, 100)
    await look()
    told = prunedTo(80, required(ledger.heads[1]))
    const remembered = JSON.parse(store()) as object
    // Its newest head is one that is older than the cut.
    const from = { sequence: 40, hash: hexOf(required(ledger.rows[39])) }
    writeFileSync(at('store.json'), JSON.stringify({ ...remembered, from, head: ledger.heads[0] }))
    expect(await look()).toMatchObject({ alarms: [], witnessed: { seen: { sequence: 130 } } })
  })

  test('a witness says so where the last that it has seen went too, and blames nobody', async () => {
    told = ledger.rows.slice(0, 70)
    await look()
    const seen = store()
    told = prunedTo(80, required(ledger.heads[1]))
    const pruned = { alarm: 'feed.contradicts', how: 'pruned', sequence: 80 }
    expect((await look()).alarms).toEqual([pruned])
    // It stands until somebody has looked.
    expect((await look()).alarms).toEqual([pruned])
    expect(store()).toBe(seen)
  })

  test.each([20, 70])(
    'a witness that has seen %i entries is not begun anew by the cut of another',
    async (entries) => {
      told = ledger.rows.slice(0, entries)
      await look()
      const other = writeLedger({
        entries: 130,
        headEvery: 40,
        proofEvery: 25,
        beginsMs: firstMs + 1,
      })
      told = prunedTo(80, required(other.heads[1]), other)
      expect((await look()).alarms).toMatchObject([{ alarm: 'head.contradicts' }])
    },
  )

  test('a witness takes none that is for something else', async () => {
    told = prunedTo(40, required(ledger.heads[1]))
    expect((await look()).alarms).toMatchObject([{ alarm: 'feed.contradicts' }])
    told = [...ledger.rows.slice(40)]
    expect((await look()).alarms).toMatchObject([{ alarm: 'feed.contradicts' }])
  })
})

test('a key file that is none for a witness is refused', async () => {
  writeFileSync(at('public.pem'), witnessKey.publicKey.export({ type: 'spki', format: 'pem' }))
  await expect(readWitnessKeyFile(at('public.pem'))).rejects.toMatchObject({
    code: 'WITNESS_KEY_UNFIT',
  })
  await expect(readWitnessKeyFile(at('none'))).rejects.toMatchObject({
    code: 'WITNESS_KEY_UNREADABLE',
  })
})
