import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Damage, DamageKind } from '../../../src/custody/damage.ts'
import { parseHead } from '../../../src/custody/head.ts'
import { CarriedKeys } from '../../../src/custody/still-needed.ts'
import type { Evidence } from '../../../src/custody/ledger-verdict.ts'
import { verifyLedger } from '../../../src/custody/verify-ledger.ts'
import { chainHash, type Row } from '../../../src/ledger/chain.ts'
import { canonicalCut, type Cut, cutRowFrom, prunedEntry } from '../../../src/ledger/cut.ts'
import { kindOf } from '../../../src/ledger/entry-kind.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { startedEntry, tokenIssuedEntry } from '../../support/entries.ts'
import {
  anchorText,
  continued,
  entryOf,
  firstMs,
  headKey,
  headOf,
  headKeyEntry,
  otherHeadKey,
  rowBehind,
  signatureOf,
  signingCertificate,
  writeLedger,
  type WrittenLedger,
} from '../../support/evidence.ts'
import { required } from '../../support/required.ts'
import { createTestWitnessKey, witnessText } from '../../support/witness.ts'

let folder: string
let written: WrittenLedger
let anchor: string
let witness: string

/** RSA, which is verified several times as fast: it is, thousands of times. */
const witnessKey = createTestWitnessKey('PS256')
const anchorOf = (name: string, heads: readonly string[]) => {
  const file = join(folder, name)
  writeFileSync(file, anchorText(heads))
  return file
}

const witnessOf = (name: string, heads: readonly string[], key = witnessKey) => {
  const file = join(folder, name)
  writeFileSync(file, witnessText(heads, key))
  return file
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-verify-'))
  written = writeLedger({ entries: 500, headEvery: 50, proofEvery: 60 })
  anchor = anchorOf('heads.jsonl', written.heads)
  witness = witnessOf('witnessed.jsonl', written.heads)
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const nothing: Evidence = { headKeys: [], anchors: [], certificates: [] }
const outside = (): Evidence => ({
  headKeys: [headKey.publicKey],
  anchors: [anchor],
  certificates: [signingCertificate],
})
/** A witness, and nothing else: not even a key of the heads. */
const byWitness = (keys = [witnessKey.publicKey]): Evidence => ({
  ...nothing,
  witnesses: [{ file: witness, keys }],
})

const verify = (rows: readonly Row[], evidence = outside()) => verifyLedger([rows], evidence)
const damageOf = async (rows: readonly Row[], evidence = outside()) =>
  (await verify(rows, evidence)).damage

const numbered = (rows: readonly Row[]) =>
  rows.map((row, index) => ({ ...row, sequence: index + 1 }))
const without = (at: number) => written.rows.filter(({ sequence }) => sequence !== at)
const flipped = (bytes: Uint8Array, place: number) => {
  const copy = Buffer.from(bytes)
  copy[place % copy.length] = (copy[place % copy.length] ?? 0) ^ 1
  return copy
}
const changed = (at: number, change: (row: Row) => Partial<Row>) =>
  written.rows.map((row) => (row.sequence === at ? { ...row, ...change(row) } : row))
const swapped = (one: number, other: number) => {
  const content = (at: number) => {
    const { hash, canonical } = required(written.rows[at - 1])
    return { hash, canonical }
  }
  return written.rows.map((row) => {
    if (row.sequence === one) return { ...row, ...content(other) }
    return row.sequence === other ? { ...row, ...content(one) } : row
  })
}

const stranger = (atMs = firstMs): Entry => ({ ...tokenIssuedEntry('made-up', 'x'), atMs })
const linked = (at: number): Row => {
  const before = required(written.rows[at - 2])
  return rowBehind(before, stranger())
}
/** As {@link rowBehind}, of an entry that is canonical already. */
const chained = ({ sequence, hash }: Row, canonical: Uint8Array): Row => ({
  sequence: sequence + 1,
  hash: chainHash(hash, canonical),
  canonical,
})
const unlinked = (at: number): Row => ({ ...linked(at), hash: Buffer.alloc(32, at) })
const insertedAt = (at: number, row: Row) =>
  numbered([...written.rows.slice(0, at - 1), row, ...written.rows.slice(at - 1)])

/** What the ledgers that are tried out are held to. */
let held: () => Evidence = outside

/** Each position up to the last head that is anchored. */
const positions = (from = 1) =>
  Array.from({ length: written.sealedUpTo - from + 1 }, (_, index) => from + index)

/** All that are not what is expected, so that a failure names the first of them. */
async function othersThan(
  expected: (at: number) => Partial<Damage>,
  rowsOf: (at: number) => readonly Row[],
  at = positions(),
) {
  const others = []
  for (const position of at) {
    const damage = await damageOf(rowsOf(position), held())
    const wanted = expected(position)
    const isAsExpected = Object.entries(wanted).every(
      ([name, value]) => damage?.[name as keyof Damage] === value,
    )
    if (!isAsExpected || damage?.or !== undefined) others.push({ position, damage })
  }
  return others
}

describe('a ledger that is whole', () => {
  test('is proven up to the newest head that is anchored, and says how much is not', async () => {
    const verdict = await verify(written.rows)
    expect(verdict).toMatchObject({
      verdict: 'sound',
      undecided: [],
      provenUpTo: written.sealedUpTo,
      unsealed: written.rows.length - written.sealedUpTo,
      heads: { verified: written.heads.length, unknownKey: 0, keys: 'given' },
      anchors: [{ verified: written.heads.length, unread: 0, notCompared: 0 }],
    })
    expect(verdict.damage).toBeUndefined()
    const proofs = written.entries.filter(({ kind }) => kind === 'signature.proved').length
    expect(proofs).toBeGreaterThan(5)
    expect(verdict.proofs).toEqual({
      verified: proofs,
      withGiven: proofs,
      withoutCertificate: 0,
      withoutBegin: 0,
      open: 0,
    })
  })

  test('is only consistent with itself where nothing is held against it', async () => {
    const verdict = await verify(written.rows, nothing)
    expect(verdict).toMatchObject({ verdict: 'sound', heads: { keys: 'ledger' } })
    expect(verdict.provenUpTo).toBeUndefined()
    expect(verdict.proofs).toMatchObject({ withGiven: 0 })
  })

  test('without heads is unsealed as a whole, and may be empty', async () => {
    const rows = continued([], [startedEntry('1'), startedEntry('2')])
    expect(await verify(rows, nothing)).toMatchObject({ verdict: 'sound', unsealed: 2 })
    expect(await verify([], nothing)).toMatchObject({ verdict: 'sound', unsealed: 0 })
  })

  test('may come in pages of any size', async () => {
    const pages = written.rows.map((row) => [row])
    expect(await verifyLedger(pages, outside())).toEqual(await verify(written.rows))
  })
})

/** Thousands of ledgers are verified, each from its first entry. */
const timeout = 300_000

describe.each([
  ['anchored', outside],
  ['witnessed', byWitness],
] as const)('each entry of 500, up to the newest head that is %s', { timeout }, (_, evidence) => {
  beforeAll(() => {
    held = evidence
  })

  test('that is changed by a bit is named', async () => {
    const flips = (at: number) =>
      changed(at, ({ canonical }) => ({ canonical: flipped(canonical, at * 7) }))
    expect(await othersThan((sequence) => ({ kind: 'changed', sequence }), flips)).toEqual([])
  })

  test('whose hash is changed by a bit is named', async () => {
    const flips = (at: number) => changed(at, ({ hash }) => ({ hash: flipped(hash, at) }))
    expect(await othersThan((sequence) => ({ kind: 'changed', sequence }), flips)).toEqual([])
  })

  test('that is removed is named, whether the others are numbered anew or not', async () => {
    const expected = (sequence: number) => ({ kind: 'removed', sequence, count: 1 }) as const
    expect(await othersThan(expected, without)).toEqual([])
    expect(await othersThan(expected, (at) => numbered(without(at)))).toEqual([])
  })

  test('before which one is put in is named, whether that continues the chain or not', async () => {
    const expected = (sequence: number) => ({ kind: 'inserted', sequence, count: 1 }) as const
    const [links, none] = [linked, unlinked].map((make) => (at: number) => insertedAt(at, make(at)))
    expect(await othersThan(expected, required(links), positions(2))).toEqual([])
    expect(await othersThan(expected, required(none), positions(2))).toEqual([])
  })

  test('that is swapped with the next, or with one far off, is named', async () => {
    const expected = (sequence: number) => ({ kind: 'reordered', sequence }) as const
    const upTo = positions().slice(0, -1)
    expect(await othersThan(expected, (at) => swapped(at, at + 1), upTo)).toEqual([])
    const far = (at: number) => swapped(at, at + 1 + ((at * 7919) % (written.rows.length - at)))
    expect(await othersThan(expected, far, upTo)).toEqual([])
  })

  test('that the ledger is cut off before is named', async () => {
    const cut = (at: number) => written.rows.slice(0, at - 1)
    expect(
      await othersThan((sequence) => ({ kind: 'cut-off', sequence }), cut, positions(2)),
    ).toEqual([])
  })

  test('from which on another history is told is among those that are named', async () => {
    const others = []
    for (const at of positions(2)) {
      const told = written.entries.slice(at - 1).filter(({ kind }) => kind !== 'head.signed')
      const rows = continued(written.rows.slice(0, at - 1), [
        stranger(required(written.entries[at - 1]).atMs),
        ...told,
      ])
      const damage = required(await damageOf(rows, held()))
      const isNamed = damage.sequence <= at && at <= (damage.upTo ?? damage.sequence)
      if (damage.kind !== 'forked' || !isNamed) others.push({ at, damage })
    }
    expect(others).toEqual([])
  })

  test('to which an earlier state was put back, and written on, is among those that are named', async () => {
    const lastMs = required(written.entries.at(-1)).atMs
    const others = []
    for (const at of positions(2)) {
      // Some have caught up with what is anchored, and some have not.
      const length = at % 10 === 0 ? 600 : 3
      const later = Array.from({ length }, (_, index) => stranger(lastMs + 60_000 + index))
      const rows = continued(written.rows.slice(0, at - 1), later)
      const damage = required(await damageOf(rows, held()))
      const isNamed = damage.sequence <= at && at <= (damage.upTo ?? damage.sequence)
      if (damage.kind !== 'rolled-back' || !isNamed) others.push({ at, length, damage })
    }
    expect(others).toEqual([])
  })
})

/** Of the seven at each position: the whole with `AUDIT_RUNS=2000`, as an issue is resolved with. */
const kindsPerPosition = Number(process.env['AUDIT_RUNS'] ?? 200) >= 2000 ? 7 : 2

describe('200 positions of 10,000', { timeout: 2 * timeout * kindsPerPosition }, () => {
  const small = { written: undefined as WrittenLedger | undefined, anchor: '' }
  beforeAll(() => {
    held = outside
    small.written = written
    small.anchor = anchor
    written = writeLedger({ entries: 10_000, headEvery: 500, proofEvery: 700 })
    anchor = anchorOf('large.jsonl', written.heads)
  })
  afterAll(() => {
    written = required(small.written)
    anchor = small.anchor
  })

  /** Another history from there on, with all that was told but for the heads. */
  const forked = (at: number) => {
    const behind = written.rows
      .slice(at - 1)
      .filter((row) => kindOf(row.canonical) !== 'head.signed')
    const rows = [...written.rows.slice(0, at - 1), linked(at)]
    for (const { canonical } of behind) rows.push(chained(required(rows.at(-1)), canonical))
    return rows
  }
  /** An earlier state, on which others have written when the anchored heads had long been signed. */
  const rolledBack = (at: number) => {
    const lastMs = required(written.entries.at(-1)).atMs
    const later = Array.from({ length: 3 }, (_, index) => stranger(lastMs + 60_000 + index))
    return continued(written.rows.slice(0, at - 1), later)
  }
  const damaged: Readonly<Partial<Record<DamageKind, (at: number) => readonly Row[]>>> = {
    changed: (at) => changed(at, ({ canonical }) => ({ canonical: flipped(canonical, at) })),
    removed: (at) => numbered(without(at)),
    inserted: (at) => insertedAt(at, linked(at)),
    reordered: (at) => swapped(at, at + 1 + ((at * 7919) % (written.rows.length - at))),
    'cut-off': (at) => written.rows.slice(0, at - 1),
    forked,
    'rolled-back': rolledBack,
  }

  test(`are named with ${kindsPerPosition} of seven kinds at each`, async () => {
    const kinds = Object.keys(damaged) as readonly DamageKind[]
    const others = []
    for (let index = 0; index < 200; index += 1) {
      const at = 2 + ((index * 48_611) % (written.sealedUpTo - 2))
      for (let turn = 0; turn < kindsPerPosition; turn += 1) {
        const kind = required(kinds[(index * kindsPerPosition + turn) % kinds.length])
        const damage = await damageOf(required(damaged[kind])(at))
        const isFirst = damage?.sequence === at && damage.upTo === undefined
        // What other heads contradict is no nearer known than between two of them; nothing else is left open.
        const isBetween =
          damage?.head !== undefined && damage.sequence <= at && at <= (damage.upTo ?? 0)
        const isNamed = damage?.kind === kind && damage.or === undefined
        if (!isNamed || !(isFirst || isBetween)) others.push({ at, kind, damage })
      }
    }
    expect(others).toEqual([])
  })
})

describe('what the chain alone cannot show', () => {
  /** Everything from there on is written anew, with heads by the service's own identity. */
  const signedAnew = (at: number, key = headKey) => {
    const before = written.rows.slice(0, at - 1)
    const told = written.entries
      .slice(at - 1)
      .filter(
        (entry) =>
          entry.kind !== 'head.signed' && !('purpose' in entry && entry.purpose === 'head'),
      )
    const rows = continued(before, [stranger(required(written.entries[at - 1]).atMs), ...told])
    const { ledgerEntries } = headOf(rows, firstMs + 700_000, 999_999, key)
    return continued(rows, ledgerEntries)
  }

  test('is sound by itself when the heads key has signed it too, and an anchor shows it', async () => {
    const rows = signedAnew(300)
    expect(await verify(rows, nothing)).toMatchObject({ verdict: 'sound' })
    const expected = {
      kind: 'signed-anew',
      sequence: 251,
      upTo: 300,
      detail: `the heads' own key has signed another one, for entry ${rows.length - 3}`,
    }
    expect(await damageOf(rows)).toMatchObject({ ...expected, head: { heldBy: anchor } })
    expect(await damageOf(rows, byWitness())).toMatchObject({
      ...expected,
      head: { heldBy: witness },
    })
  })

  test('is another history, and not signed anew, when some other key has signed it', async () => {
    expect(await damageOf(signedAnew(300, otherHeadKey))).toMatchObject({ kind: 'forked' })
  })

  test('is undecided when it is signed with a key of somebody else, and no anchor was given', async () => {
    const rows = continued(written.rows.slice(0, 2), [
      headKeyEntry(firstMs, otherHeadKey),
      stranger(),
    ])
    const signed = continued(rows, headOf(rows, firstMs, 1, otherHeadKey).ledgerEntries)
    expect(await verify(signed, nothing)).toMatchObject({ verdict: 'sound' })
    const verdict = await verify(signed, { ...nothing, headKeys: [headKey.publicKey] })
    expect(verdict).toMatchObject({
      verdict: 'undecided',
      undecided: ['1 heads are signed with a key that was not given'],
    })
  })

  test('is a first entry of another ledger, which an anchor shows', async () => {
    const rows = continued([], [startedEntry('another'), ...written.entries.slice(1)])
    expect(await damageOf(rows)).toMatchObject({ kind: 'forked', sequence: 1 })
  })

  test('is cut off together with its heads, which an anchor shows', async () => {
    const rows = written.rows.slice(0, 120)
    expect(await verify(rows, nothing)).toMatchObject({ verdict: 'sound' })
    expect(await damageOf(rows)).toMatchObject({ kind: 'cut-off', sequence: 121 })
  })
})

describe('heads and proofs that do not fit', () => {
  /** Written behind a whole ledger, as by a service that lies, or by who has taken its place. */
  const behind = (...entries: readonly Entry[]) => continued(written.rows, entries)
  const at = () => written.rows.length + 1
  const [begun, made, proved] = signatureOf(firstMs, 888_888)

  test('a head whose signature does not verify is named', async () => {
    const { ledgerEntries } = headOf(written.rows, firstMs, 777, otherHeadKey)
    const [headBegun, headMade, signed] = ledgerEntries
    const forged = [headBegun, headMade, signed].map((entry) => required(entry))
    // It says that it is of the key on record.
    expect((await verify(behind(...forged), nothing)).damage).toMatchObject({
      kind: 'false-head',
      sequence: at() + 2,
    })
  })

  test('a head that is no JSON is named', async () => {
    const canonical = Buffer.from('{"kind":"head.signed"')
    const hash = chainHash(required(written.rows.at(-1)).hash, canonical)
    const rows = [...written.rows, { sequence: at(), hash, canonical }]
    expect((await verify(rows, nothing)).damage).toMatchObject({
      kind: 'false-head',
      sequence: at(),
    })
  })

  test.each<[string, () => readonly Entry[], string]>([
    ['was never begun', () => [required(proved)], 'it was never begun'],
    [
      'is of something else',
      () => [
        required(begun),
        required(made),
        { ...required(proved), signingInput: 'a.b' } as Entry,
      ],
      'what was signed is not what was begun',
    ],
    [
      'is another signature',
      () => [
        required(begun),
        required(made),
        { ...required(proved), signatureValue: 'AAAA' } as Entry,
      ],
      'the signature is not the one that was made',
    ],
    [
      'is told twice',
      () => [required(begun), required(made), required(proved), required(proved)],
      'it was never begun',
    ],
  ])('a proof that %s is named', async (_, entries, detail) => {
    const rows = behind(...entries())
    expect((await verify(rows)).damage).toEqual({
      kind: 'false-proof',
      sequence: rows.length,
      detail,
    })
  })

  test('a signature that does not verify with the certificate is named', async () => {
    const value = Buffer.alloc(256, 1)
    const [, madeUp] = signatureOf(firstMs, 888_888)
    const lie = {
      ...required(madeUp),
      signatureSha256: Buffer.from(chainHash(new Uint8Array(), value)).toString('base64url'),
    } as Entry
    const rows = behind(required(begun), lie, {
      ...required(proved),
      signatureValue: value.toString('base64url'),
    } as Entry)
    expect((await verify(rows)).damage).toMatchObject({
      kind: 'false-proof',
      detail: 'its signature does not verify with the certificate',
    })
  })

  test('a signature that is made and not proved yet is counted', async () => {
    const verdict = await verify(behind(required(begun), required(made)))
    expect(verdict).toMatchObject({ verdict: 'sound', proofs: { open: 1 } })
  })

  test('proofs by a certificate that was not given leave it undecided', async () => {
    const [entry] = written.rows.map(entryOf).filter(({ kind }) => kind === 'certificate.loaded')
    expect(entry).toBeDefined()
    const rows = continued(
      [],
      written.entries
        .filter(({ kind }) => kind !== 'certificate.loaded' && !kind.startsWith('head.'))
        .filter((one) => !('purpose' in one && one.purpose === 'head')),
    )
    expect(await verify(rows, nothing)).toMatchObject({
      verdict: 'undecided',
      undecided: [expect.stringContaining('is not on record')],
    })
  })
})

describe('an anchor', () => {
  test('may have torn lines, which are counted', async () => {
    const file = join(folder, 'torn.jsonl')
    writeFileSync(file, `{"anchoredAtMs":1,"he\n${anchorText(written.heads)}{"anchor`)
    expect(await verify(written.rows, { ...outside(), anchors: [file] })).toMatchObject({
      verdict: 'sound',
      anchors: [{ unread: 2, verified: written.heads.length }],
    })
  })

  test('may hold them in another order, as two replicas write them', async () => {
    const file = anchorOf('disorder.jsonl', written.heads.toReversed())
    expect(await verify(written.rows, { ...outside(), anchors: [file] })).toMatchObject({
      verdict: 'sound',
      provenUpTo: written.sealedUpTo,
    })
  })

  test('without a head proves nothing', async () => {
    const verdict = await verify(written.rows, { ...outside(), anchors: [anchorOf('none', [])] })
    expect(verdict.verdict).toBe('sound')
    expect(verdict.provenUpTo).toBeUndefined()
  })
})

describe('a workspace', () => {
  const asWorkspace = (file: string) => ({
    ...outside(),
    anchors: [],
    workspaces: [{ name: 'a workspace', file }],
  })

  test('proves a ledger up to its newest head, and is no anchor that the service writes', async () => {
    const verdict = await verify(written.rows, asWorkspace(anchor))
    expect(verdict).toMatchObject({
      verdict: 'sound',
      provenUpTo: written.sealedUpTo,
      anchors: [{ kind: 'workspace', file: 'a workspace', verified: written.heads.length }],
    })
    expect(verdict.witnessedUpTo).toBeUndefined()
  })

  test('shows what was cut off, and says where that is kept', async () => {
    const { damage } = await verify(written.rows.slice(0, 60), asWorkspace(anchor))
    expect(damage).toMatchObject({ kind: 'cut-off', head: { heldBy: 'a workspace' } })
  })

  test('with a head by a key that was not given leaves it undecided, as anybody can put there', async () => {
    const rows = written.rows.slice(0, 50)
    const { head } = headOf(rows, firstMs, 1, otherHeadKey)
    const file = anchorOf('added.jsonl', [...written.heads, head])
    expect(await verify(written.rows, asWorkspace(file))).toMatchObject({
      verdict: 'undecided',
      undecided: ['1 heads are signed with a key that was not given'],
      provenUpTo: written.sealedUpTo,
    })
  })

  test('is held to what came behind a head for an entry far off, which anybody can put there', async () => {
    const [first = '', ...others] = written.heads
    const { statement } = required(parseHead(first))
    const farOff = otherHeadKey.head({ ...statement, sequence: 1_000_000_000 })
    const added = asWorkspace(anchorOf('far-off.jsonl', [first, farOff, ...others]))
    expect(await verify(written.rows, added)).toMatchObject({
      verdict: 'undecided',
      undecided: ['1 heads are signed with a key that was not given'],
      provenUpTo: written.sealedUpTo,
    })
    const told = written.entries.slice(100).filter(({ kind }) => kind !== 'head.signed')
    const rewritten = continued(written.rows.slice(0, 100), [stranger(firstMs + 100_000), ...told])
    expect(await verify(rewritten, added)).toMatchObject({
      verdict: 'damaged',
      damage: { kind: 'rolled-back', sequence: 101, head: { heldBy: 'a workspace' } },
    })
  })
})

describe('a witness', () => {
  test('proves a ledger up to its newest head, without any key of the service', async () => {
    const verdict = await verify(written.rows, byWitness())
    expect(verdict).toMatchObject({
      verdict: 'sound',
      provenUpTo: written.sealedUpTo,
      witnessedUpTo: written.sealedUpTo,
      anchors: [{ kind: 'witness', verified: written.heads.length }],
    })
  })

  test('proves no more than an anchor does beside it, and the other way round', async () => {
    const [firstHead] = written.heads
    const early = witnessOf('early.jsonl', [required(firstHead)])
    const evidence = {
      ...outside(),
      witnesses: [{ file: early, keys: [witnessKey.publicKey] }],
    }
    const verdict = await verify(written.rows, evidence)
    expect(verdict).toMatchObject({ provenUpTo: written.sealedUpTo, witnessedUpTo: 50 })
  })

  test('whose key was not given proves nothing, and leaves it undecided', async () => {
    const other = createTestWitnessKey('PS256')
    const verdict = await verify(written.rows, byWitness([other.publicKey]))
    expect(verdict).toMatchObject({
      verdict: 'undecided',
      undecided: [
        `${written.heads.length} heads of a witness are not signed with a key of it that was given`,
      ],
    })
    expect(verdict.provenUpTo).toBeUndefined()
  })

  test('has said nothing of a head that was put beside what it said', async () => {
    const [one = '', two = ''] = written.heads
    const file = join(folder, 'exchanged.jsonl')
    const line = { anchoredAtMs: firstMs, head: one, witnessed: witnessKey.witnessed(two) }
    writeFileSync(file, `${JSON.stringify(line)}\n${anchorText([two])}`)
    const keys = [witnessKey.publicKey]
    const verdict = await verify(written.rows, { ...nothing, witnesses: [{ file, keys }] })
    expect(verdict).toMatchObject({ verdict: 'undecided', anchors: [{ unknownKey: 2 }] })
  })
})

describe('a cut', () => {
  const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  /** What is left behind the last of these rows, and what tells of it, whoever prunes. */
  const cutBehind = (rows: readonly Row[], head: string, entries: readonly Entry[]) => {
    const { sequence, hash } = required(rows.at(-1))
    const carried = new CarriedKeys()
    for (const row of written.rows) carried.take(row)
    const cut: Cut = {
      kind: 'ledger.cut',
      atMs: firstMs,
      ledger: base64url(required(written.rows[0]).hash),
      from: 1,
      sequence,
      hash: base64url(hash),
      head,
      heldBy: 'witness',
      by: 'operator',
      headKeys: carried.headKeys,
      certificates: carried.certificatesAt(firstMs),
    }
    const told = continued(rows, [...entries, prunedEntry(cut)]).slice(rows.length)
    return [cutRowFrom(Buffer.from(canonicalCut(cut))), ...told]
  }
  const replaced = () => {
    const others = continued(
      [required(written.rows[0])],
      Array.from({ length: 600 }, () => stranger()),
    )
    return cutBehind(others, headOf(others, firstMs, 999_999).head, [])
  }
  const pruned = (head: number) => {
    const at = 50 * head
    return cutBehind(
      written.rows.slice(0, at),
      required(written.heads[head - 1]),
      written.entries.slice(at),
    )
  }

  test('beyond all that was witnessed or anchored is no honest one, and leaves it undecided', async () => {
    const by = (kept: string) =>
      `no head of ${kept} that was given is for what is left, as one is of an honest cut: give what was exported too, or heads that are newer`
    expect(await verify(replaced(), byWitness())).toMatchObject({
      verdict: 'undecided',
      undecided: [by('a witness')],
      anchors: [{ verified: 0, beforeCut: written.heads.length }],
      pruned: { isHeld: false },
    })
    expect(await verify(replaced())).toMatchObject({
      verdict: 'undecided',
      undecided: [by('an anchor')],
    })
    const [firstHead = '', ...others] = written.heads
    const newer = { ...byWitness(), anchors: [anchorOf('newer.jsonl', others)] }
    const early = witnessOf('before-cut.jsonl', [firstHead])
    const witnesses = [{ file: early, keys: [witnessKey.publicKey] }]
    expect(await verify(pruned(2), { ...newer, witnesses })).toMatchObject({
      undecided: [by('a witness')],
    })
  })

  test('that a head which somebody else holds stands for, or a later one, is an honest one', async () => {
    expect(await verify(pruned(2), byWitness())).toMatchObject({
      verdict: 'sound',
      witnessedUpTo: written.sealedUpTo,
      pruned: { isHeld: true },
    })
    const later = witnessOf('later.jsonl', written.heads.slice(2))
    const witnesses = [{ file: later, keys: [witnessKey.publicKey] }]
    expect(await verify(pruned(2), { ...nothing, witnesses })).toMatchObject({
      verdict: 'sound',
      pruned: { isHeld: false },
    })
  })

  test('is held by whom it says, and not by somebody else', async () => {
    expect(await verify(pruned(2), { ...nothing, anchors: [anchor] })).toMatchObject({
      verdict: 'sound',
      pruned: { heldBy: 'witness', isHeld: false },
    })
    const whole = [...written.rows.slice(0, 100), ...pruned(2)]
    expect(await verify(whole, byWitness())).toMatchObject({
      verdict: 'sound',
      pruned: { isHeld: true },
    })
  })
})
