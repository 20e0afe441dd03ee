import { describe, expect, it } from 'vitest'
import type { Row } from '../../../src/ledger/chain.ts'
import type { AssertionIssued, DecisionOnRecord, Entry } from '../../../src/ledger/entry.ts'
import { LedgerFileError } from '../../../src/ledger/ledger-file.ts'
import type { LedgerSource } from '../../../src/ledger/ledger-source.ts'
import { OverviewCollector, readLedgerOverview } from '../../../src/reconcile/ledger-overview.ts'
import { chainedRows, tokenIssuedEntry } from '../../support/entries.ts'
import {
  beganAtMs,
  begun,
  keyId,
  loaded,
  made,
  minuteMs,
  startMs,
} from '../../support/signed-traffic.ts'

const nowMs = startMs + 60 * minuteMs

function overviewOf(...entries: readonly Entry[]) {
  const collector = new OverviewCollector(nowMs)
  for (const row of chainedRows(entries)) collector.take(row)
  return collector.overview()
}

const decided = (attempt: string, changes: Partial<DecisionOnRecord> = {}): DecisionOnRecord => ({
  attempt,
  caller: { issuer: 'github', subject: 'repo:contoso/billing' },
  grant: 'billing-export',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  scope: 'https://eventhubs.azure.net/.default',
  ...changes,
})

function without<Item extends object, Name extends keyof Item>(
  name: Name,
  { [name]: _left, ...rest }: Item,
): Omit<Item, Name> {
  return rest
}

const granted = (attempt: string, changes: Partial<DecisionOnRecord> = {}): Entry => ({
  kind: 'request.granted',
  atMs: startMs,
  ...decided(attempt, changes),
})

const issued = (token: string, expiresAtMs: number): Entry => ({
  ...tokenIssuedEntry('billing-export', token),
  atMs: startMs,
  expiresAtSeconds: expiresAtMs / 1000,
})

const assertion = (sha256: string, expiresAtMs: number): AssertionIssued => {
  const decision = without('scope', decided('attempt-9'))
  return {
    kind: 'assertion.issued',
    atMs: startMs,
    ...decision,
    signature: 'signature',
    assertionSha256: sha256,
    expiresAtSeconds: expiresAtMs / 1000,
  }
}

describe('who made signatures necessary', () => {
  it('is the caller of the attempt that leads', () => {
    const { signatureTimes } = overviewOf(granted('attempt-0'), begun(0), made(0))
    expect(signatureTimes.timeline([])).toMatchObject({
      startMs: beganAtMs(0),
      callers: [{ name: 'repo:contoso/billing (github)', counts: [1] }],
      applications: [{ name: 'events', counts: [1] }],
    })
  })

  it('is the service itself where it refreshes', () => {
    const refresh = { caller: { issuer: 'countersign', subject: 'refresh' } }
    const { signatureTimes, askers } = overviewOf(granted('attempt-0', refresh), begun(0), made(0))
    expect(signatureTimes.timeline([])?.callers[0]?.name).toBe('the service itself, ahead of need')
    expect(askers.count).toBe(0)
  })

  it('is said not to be known where the ledger does not name one', () => {
    const { signatureTimes } = overviewOf(begun(0), made(0))
    expect(signatureTimes.timeline([])?.callers[0]?.name).toBe(
      'a caller that the ledger does not name',
    )
  })

  it('is nobody where nothing was signed', () => {
    const { signatureTimes } = overviewOf(granted('attempt-0'), begun(0))
    expect(signatureTimes.timeline([])).toBeUndefined()
  })
})

describe('who asked for what', () => {
  it('is one line for each caller and thing, with how it ended and the last grant', () => {
    const refused = without('grant', decided('attempt-3'))
    const { askers } = overviewOf(
      { ...issued('token-1', nowMs), ...decided('attempt-1') },
      { ...issued('token-2', nowMs), ...decided('attempt-2') },
      { kind: 'request.refused', atMs: startMs + 1, ...refused, reason: 'grant_missing' },
      {
        kind: 'request.failed',
        atMs: startMs + 2,
        ...decided('attempt-4'),
        code: 'SIGNER_THROTTLED',
      },
      assertion('assertion-1', nowMs),
    )
    expect(askers).toEqual({
      count: 2,
      shown: [
        {
          issuer: 'github',
          subject: 'repo:contoso/billing',
          application: 'events',
          tenant: 'fab00000-0000-4000-8000-000000000002',
          scope: 'https://eventhubs.azure.net/.default',
          issued: 2,
          refused: 1,
          failed: 1,
          grant: 'billing-export',
          lastMs: startMs + 2,
        },
        expect.objectContaining({ issued: 1, refused: 0, failed: 0, lastMs: startMs }),
      ],
    })
    expect(askers.shown[1]).not.toHaveProperty('scope')
  })

  it('is cut where there are very many, and says so', () => {
    const collector = new OverviewCollector(nowMs)
    const many = Array.from({ length: 20_001 }, (_, index) => ({
      ...issued('token', nowMs),
      caller: { issuer: 'github', subject: `repo-${index}` },
    }))
    for (const row of chainedRows(many)) collector.take(row)
    const { askers } = collector.overview()
    expect(askers).toMatchObject({ count: 20_000, atLeast: true })
    expect(askers.shown).toHaveLength(2000)
  })
})

describe('what is alive', () => {
  it('is what ends later than now, once, the last to end first', () => {
    const { tokens } = overviewOf(
      issued('over', nowMs),
      issued('short', nowMs + 1000),
      issued('long', nowMs + 2000),
      issued('short', nowMs + 1000),
    )
    expect(tokens.shown.map(({ tokenSha256 }) => tokenSha256)).toEqual(['long', 'short'])
    expect(tokens.shown[0]?.lastGivenTo).toBe('api (cluster)')
  })

  it('has those that end last, wherever they stand in the ledger, and says how many there are', () => {
    const collector = new OverviewCollector(nowMs)
    const many = Array.from({ length: 9000 }, (_, index) =>
      issued(`token-${index}`, nowMs + 1000 * (1 + ((index * 7) % 9000))),
    )
    for (const row of chainedRows([...many, ...many.slice(0, 100)])) collector.take(row)
    const { tokens } = collector.overview()
    expect(tokens.count).toBe(9000)
    expect(tokens).not.toHaveProperty('atLeast')
    expect(tokens.shown.map(({ expiresMs }) => expiresMs - nowMs)).toEqual(
      Array.from({ length: 2000 }, (_, index) => 1000 * (9000 - index)),
    )
  })

  it('names nobody for a token that was obtained and given to nobody yet', () => {
    const { tokens } = overviewOf({
      kind: 'exchange.succeeded',
      atMs: startMs,
      exchange: 'exchange',
      signature: 'signature',
      attempt: 'attempt',
      application: 'events',
      tenant: 'tenant',
      scope: 'scope',
      tokenSha256: 'kept',
      expiresAtSeconds: nowMs / 1000 + 1,
    })
    expect(tokens.shown).toEqual([
      {
        tokenSha256: 'kept',
        application: 'events',
        tenant: 'tenant',
        scope: 'scope',
        expiresMs: nowMs + 1000,
      },
    ])
  })

  it('has assertions for as long as a token that was bought with one may live', () => {
    const dayMs = 28 * 60 * minuteMs
    const { assertions } = overviewOf(
      assertion('over', nowMs - dayMs),
      assertion('dead', nowMs - dayMs + 1000),
      assertion('usable', nowMs + 1000),
    )
    expect(assertions.shown.map(({ assertionSha256 }) => assertionSha256)).toEqual([
      'usable',
      'dead',
    ])
    expect(assertions.shown[0]).toMatchObject({
      expiresMs: nowMs + 1000,
      tokensUntilMs: nowMs + 1000 + 90 * minuteMs,
      longLivedTokensUntilMs: nowMs + 1000 + dayMs,
    })
  })
})

describe('certificates', () => {
  it('have what was signed with their keys', () => {
    const { certificates } = overviewOf(loaded, begun(0), made(0), loaded, begun(1))
    expect(certificates).toEqual([
      {
        name: 'partners',
        keyId,
        thumbprintSha256: loaded.thumbprintSha256,
        place: 'primary',
        notAfterMs: 1_800_000_000_000,
        sinceMs: startMs,
        signatures: 1,
        lastSignatureMs: beganAtMs(0) + 80,
      },
    ])
  })

  it('have none of what was signed with others', () => {
    const { certificates } = overviewOf(
      { ...loaded, standby: true },
      begun(0, { keyId: 'https://other.vault.azure.net/keys/k/0' }),
      made(0),
    )
    expect(certificates).toMatchObject([{ place: 'standby', signatures: 0 }])
    expect(certificates[0]).not.toHaveProperty('lastSignatureMs')
  })
})

describe('a damaged ledger', () => {
  const rowOf = (text: string): Row => ({
    sequence: 1,
    hash: new Uint8Array(32),
    canonical: Buffer.from(text),
  })

  it.each([
    ['no JSON', '{"kind":"token.issued"'],
    ['an entry without its members', '{"kind":"token.issued"}'],
    [
      'a time that no page could write',
      JSON.stringify({ ...assertion('far', 1e300), expiresAtSeconds: 1e300 }),
    ],
    ['an entry of a kind that is not known', '{"kind":"head.signed"}'],
  ])('with %s is read past that', (_, text) => {
    const collector = new OverviewCollector(nowMs)
    collector.take(rowOf(text))
    for (const row of chainedRows([issued('alive', nowMs + 1000)])) collector.take(row)
    const { tokens, assertions, tip } = collector.overview()
    expect(tokens.count).toBe(1)
    expect(assertions.count).toBe(0)
    expect(tip.sequence).toBe(1)
  })

  const thrownBehind = (rows: readonly Row[], error: Error): LedgerSource => ({
    name: 'countersign.db',
    // eslint-disable-next-line @typescript-eslint/require-await -- as a file is read
    async *pages() {
      yield rows
      throw error
    },
    pagesAfter: () => {
      throw new TypeError('nobody reads it so')
    },
    pagesBackwards: () => {
      throw new Error('nobody reads it backwards')
    },
  })
  const rows = chainedRows([issued('alive', nowMs + 1000)])

  it('is read up to the damage', async () => {
    const source = thrownBehind(rows, new Error('database disk image is malformed'))
    const { tokens, tip } = await readLedgerOverview(source, nowMs)
    expect({ count: tokens.count, sequence: tip.sequence }).toEqual({ count: 1, sequence: 1 })
  })

  it('is not one that cannot be read: nothing is said then', async () => {
    const gone = new LedgerFileError('LEDGER_MISSING', 'there is no file countersign.db')
    await expect(readLedgerOverview(thrownBehind(rows, gone), nowMs)).rejects.toBe(gone)
  })
})
