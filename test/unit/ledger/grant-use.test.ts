import { describe, expect, test } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { decidedEntries, DecidedEntryError } from '../../../src/ledger/decided-entries.ts'
import { type GrantUse, grantUseIn, standingIn } from '../../../src/ledger/grant-use.ts'
import type { LedgerSource } from '../../../src/ledger/ledger-source.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { chainedRows } from '../../support/entries.ts'

const sourceOf = (rows: readonly Row[]): LedgerSource => ({
  name: 'a ledger',
  // eslint-disable-next-line @typescript-eslint/require-await -- nothing is waited for here
  async *pages() {
    yield rows
  },
  pagesAfter: () => {
    throw new TypeError('not read like that')
  },
  pagesBackwards: () => {
    throw new TypeError('uses are counted from the first entry on')
  },
})

const usesIn = (entries: readonly Entry[], sha256 = 'now') =>
  grantUseIn(decidedEntries(sourceOf(chainedRows(entries))), ['a', 'b'], sha256)

const loadedAt = (atMs: number, sha256: string, lists: object = {}): Entry => ({
  kind: 'policy.loaded',
  atMs,
  sha256,
  grants: 2,
  broken: 0,
  ...lists,
})
const lists = (some: object) => ({ added: [], removed: [], changed: [], ...some })

const attempt = { attempt: '1', application: 'events', tenant: 't' } as const
const granted = (atMs: number, grant: string, issuer = 'cluster'): Entry => ({
  kind: 'request.granted',
  atMs,
  caller: { issuer, subject: 'api' },
  grant,
  ...attempt,
})
const refused = (atMs: number, dryRun: readonly string[]): Entry => ({
  kind: 'request.refused',
  atMs,
  caller: { issuer: 'cluster', subject: 'api' },
  reason: 'grant_missing',
  dryRun,
  ...attempt,
})

describe('a grant', () => {
  test('was used when a caller was granted something by it, and tried when it would have', async () => {
    const uses = await usesIn([granted(10, 'a'), granted(30, 'a'), refused(40, ['b'])])
    expect(uses.get('a')).toEqual({ lastUsedMs: 30, knownSinceMs: 10 })
    expect(uses.get('b')).toEqual({ lastTriedMs: 40, knownSinceMs: 40 })
  })

  test('was not used when the service refreshed, or by another of its name before it was added', async () => {
    const uses = await usesIn([
      granted(10, 'a', 'countersign'),
      granted(20, 'b'),
      loadedAt(30, 'x', lists({ removed: ['b'] })),
      loadedAt(40, 'now', lists({ added: ['b'] })),
    ])
    expect(uses.get('a')?.lastUsedMs).toBeUndefined()
    expect(uses.get('b')).toEqual({ lastUsedMs: 20, knownSinceMs: 40 })
  })

  test('that no entry names is known since the last load that did not list what it added', async () => {
    const later = [
      loadedAt(30, 'now', lists({ changed: ['b'] })),
      loadedAt(40, 'now'),
      loadedAt(50, 'now', lists({})),
    ]
    const since = async (...entries: readonly Entry[]) =>
      (await usesIn([...entries, ...later])).get('a')?.knownSinceMs
    expect(await since(loadedAt(10, 'first'))).toBe(10)
    expect(await since(loadedAt(10, 'first'), loadedAt(20, 'second'))).toBe(20)
    expect(await since(loadedAt(10, 'first'), loadedAt(20, 'now', lists({ cut: true })))).toBe(20)
  })

  test('is not known when the folder is not what was loaded last, or nothing ever was', async () => {
    const entries = [loadedAt(10, 'other')]
    expect((await usesIn(entries)).get('a')).toEqual({})
    expect((await usesIn([])).get('a')).toEqual({})
    expect((await usesIn(entries, 'other')).get('a')).toEqual({ knownSinceMs: 10 })
  })

  test.for<readonly [string, GrantUse, string]>([
    ['used within the period', { lastUsedMs: 901, knownSinceMs: 1 }, 'used'],
    ['tried within the period', { lastTriedMs: 901, knownSinceMs: 1 }, 'used'],
    ['used just before it', { lastUsedMs: 900, knownSinceMs: 1 }, 'unused'],
    ['known as long, and never used', { knownSinceMs: 900 }, 'unused'],
    ['known for less', { knownSinceMs: 901 }, 'young'],
    ['used before it, and added again since', { lastUsedMs: 10, knownSinceMs: 901 }, 'young'],
    ['not known', {}, 'young'],
  ])('%s is %s', ([, use, standing]) => {
    expect(standingIn(use, 1000, 100)).toBe(standing)
  })
})

describe('the decisions of a ledger', () => {
  test('are nothing to guess at where an entry is not what the service writes', async () => {
    const broken = (canonical: string) => {
      const row = { sequence: 7, hash: new Uint8Array(32), canonical: Buffer.from(canonical) }
      return grantUseIn(decidedEntries(sourceOf([row])), ['a'], 'now')
    }
    await expect(broken('{"kind":"token.issued"}')).rejects.toThrow(DecidedEntryError)
    await expect(broken('{"kind":"token.issued"')).rejects.toThrow('a ledger: entry 7')
    expect((await broken('{"kind":"another"}')).get('a')).toEqual({})
  })
})
