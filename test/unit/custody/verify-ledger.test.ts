import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Damage } from '../../../src/custody/damage.ts'
import { type Evidence, verifyLedger } from '../../../src/custody/verify-ledger.ts'
import { chainHash, type Row } from '../../../src/ledger/chain.ts'
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

let folder: string
let written: WrittenLedger
let anchor: string

const anchorOf = (name: string, heads: readonly string[]) => {
  const file = join(folder, name)
  writeFileSync(file, anchorText(heads))
  return file
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-verify-'))
  written = writeLedger({ entries: 500, headEvery: 50, proofEvery: 60 })
  anchor = anchorOf('heads.jsonl', written.heads)
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
const unlinked = (at: number): Row => ({ ...linked(at), hash: Buffer.alloc(32, at) })
const insertedAt = (at: number, row: Row) =>
  numbered([...written.rows.slice(0, at - 1), row, ...written.rows.slice(at - 1)])

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
    const damage = await damageOf(rowsOf(position))
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

describe('each entry of 500, up to the newest head that is anchored', { timeout }, () => {
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
      const damage = required(await damageOf(rows))
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
      const damage = required(await damageOf(continued(written.rows.slice(0, at - 1), later)))
      const isNamed = damage.sequence <= at && at <= (damage.upTo ?? damage.sequence)
      if (damage.kind !== 'rolled-back' || !isNamed) others.push({ at, length, damage })
    }
    expect(others).toEqual([])
  })
})

describe('200 positions of 10,000', { timeout }, () => {
  test('are named as well', async () => {
    const large = writeLedger({ entries: 10_000, headEvery: 500, proofEvery: 700 })
    const small = written
    const smallAnchor = anchor
    try {
      written = large
      anchor = anchorOf('large.jsonl', large.heads)
      const sample = Array.from(
        { length: 200 },
        (_, index) => 2 + ((index * 48_611) % (large.sealedUpTo - 2)),
      )
      const kinds = ['changed', 'removed', 'inserted', 'reordered', 'cut-off'] as const
      const rowsOf = {
        changed: (at: number) =>
          changed(at, ({ canonical }) => ({ canonical: flipped(canonical, at) })),
        removed: (at: number) => numbered(without(at)),
        inserted: (at: number) => insertedAt(at, linked(at)),
        reordered: (at: number) => swapped(at, at + 1 + ((at * 7919) % (large.rows.length - at))),
        'cut-off': (at: number) => large.rows.slice(0, at - 1),
      }
      for (const [index, at] of sample.entries()) {
        const kind = required(kinds[index % kinds.length])
        expect(await othersThan((sequence) => ({ kind, sequence }), rowsOf[kind], [at])).toEqual([])
      }
    } finally {
      written = small
      anchor = smallAnchor
    }
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
    expect(await damageOf(rows)).toMatchObject({ kind: 'forked', head: { heldBy: anchor } })
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
