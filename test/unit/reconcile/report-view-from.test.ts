import { describe, expect, it } from 'vitest'
import type { Entry } from '../../../src/ledger/entry.ts'
import { OverviewCollector } from '../../../src/reconcile/ledger-overview.ts'
import type { Report } from '../../../src/reconcile/reconcile.ts'
import { reportViewFrom } from '../../../src/reconcile/report-view-from.ts'
import { vaultRecordFrom } from '../../../src/reconcile/vault-record.ts'
import type { SignRecord } from '../../../src/reconcile/vault-record.ts'
import { chainedRows } from '../../support/entries.ts'
import {
  begun,
  keyUrl,
  laterMs,
  loaded,
  made,
  minuteMs,
  recordLine,
  startMs,
} from '../../support/signed-traffic.ts'

/** All of the day and the first of the next, but two in the night. */
const hours = new Map(
  Array.from({ length: 25 }, (_, hour) => [startMs / 3_600_000 + hour, 1] as const).filter(
    (_, hour) => hour !== 9 && hour !== 10,
  ),
)
const coverage = new Map([
  ['contoso-hsm.vault.azure.net', { fromMs: startMs, toMs: laterMs, hours }],
])

function reportOf(changes: Partial<Report> = {}): Report {
  return {
    verdict: 'accounted-for',
    findings: [],
    undecided: [],
    ledger: {
      name: 'countersign.db',
      entries: 3,
      signaturesBegun: 1,
      signaturesMade: 1,
      signaturesRefused: 0,
      signaturesOpen: 0,
      proofsNotDue: 0,
    },
    vaultLog: {
      paths: ['vault-log'],
      records: 5,
      signatures: 2,
      explained: 2,
      duplicates: 1,
      agreed: 0,
      leftOut: 0,
      coverage,
      unread: 0,
      unreadPlaces: [],
      unreadable: [],
    },
    watchedKeys: [keyUrl],
    watchedApplications: [],
    principals: [],
    nowMs: laterMs,
    graceMs: 30 * minuteMs,
    ...changes,
  }
}

function overviewOf(entries: readonly Entry[]) {
  const collector = new OverviewCollector(laterMs)
  for (const row of chainedRows(entries)) collector.take(row)
  return collector.overview()
}

const viewOf = (report: Report, evidence: Parameters<typeof reportViewFrom>[2] = {}) =>
  reportViewFrom(report, overviewOf([loaded, begun(0), made(0)]), evidence)

function signRecord(index: number): SignRecord {
  const record = vaultRecordFrom(JSON.parse(recordLine(index)))
  if (record.kind !== 'sign') throw new Error('not a KeySign')
  return record
}

describe('the view of a report', () => {
  it('has the verdict in one sentence, what was read, and the end of the ledger', () => {
    const view = viewOf(reportOf())
    expect(view).toMatchObject({
      verdict: 'accounted-for',
      sentence: 'the ledger knows every signature in the vault’s log (2)',
      signatures: { recorded: 2, explained: 2, unread: 0 },
      coverage: [
        {
          of: 'contoso-hsm.vault.azure.net',
          precision: 'hours',
          spans: [
            { fromMs: startMs, toMs: startMs + 9 * 60 * minuteMs },
            { fromMs: startMs + 11 * 60 * minuteMs, toMs: laterMs },
          ],
        },
      ],
      chain: { entries: 3, tipHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    })
    expect(view.chain).not.toHaveProperty('fault')
    expect(view.sources.map(({ name }) => name)).toEqual([
      'countersign.db',
      'vault-log',
      '5 records',
      keyUrl,
    ])
    expect(view.timeline?.pieceMs).toBe(minuteMs)
  })

  it('has a lane for a watched vault of which nothing was delivered', () => {
    const silent = 'https://silent.vault.azure.net/keys/k'
    expect(viewOf(reportOf({ watchedKeys: [keyUrl, silent] })).coverage).toMatchObject([
      { of: 'contoso-hsm.vault.azure.net' },
      { of: 'silent.vault.azure.net', spans: [], precision: 'hours' },
    ])
  })

  it('says of proofs that are not due how many, and of a false one that it is high', () => {
    const report = reportOf()
    const ledger = { ...report.ledger, proofsNotDue: 2 }
    const unproved = {
      kind: 'sign.unproved',
      signature: 's',
      vaultRequestId: 'r',
      madeAtMs: startMs,
      because: 'does-not-verify',
    } as const
    const view = viewOf(reportOf({ ledger, verdict: 'findings', findings: [unproved] }))
    expect(view.sources[0]?.detail).toBe('3 lines; 2 signatures to be proved later')
    expect(view.findings).toMatchObject([
      { kind: 'sign.unproved', severity: 'high', concern: 'maybe-others-use', atMs: startMs },
    ])
    expect(view.findings[0]?.evidence[0]?.of).toBe('In the ledger')
  })

  it('has the heads that the ledger was held to, and nothing of them where nobody looked', () => {
    const heads = { count: 2, last: { sequence: 3, atMs: laterMs }, unsealed: 0 }
    const keepers = [{ name: 'heads.jsonl', kind: 'anchor', agrees: true, sequence: 3 }] as const
    expect(viewOf(reportOf(), { heads, keepers }).chain).toMatchObject({ heads, keepers })
    expect(viewOf(reportOf()).chain).not.toHaveProperty('heads')
  })

  it('says what is undecided', () => {
    const undecided = [{ reason: 'log-empty', count: 1 }] as const
    const view = viewOf(reportOf({ verdict: 'undecided', undecided }))
    expect(view.sentence).toBe('a log without any record')
    expect(view.undecided).toEqual([{ text: 'a log without any record', count: 1 }])
  })

  it('has a finding of somebody else, and a picture that reaches to it', () => {
    const record = signRecord(600)
    const view = viewOf(
      reportOf({ verdict: 'findings', findings: [{ kind: 'sign.unexplained', record }] }),
    )
    expect(view.sentence).toBe("the ledger does not know 1 signature of the vault's log")
    expect(view.findings).toMatchObject([
      { kind: 'sign.unexplained', severity: 'high', concern: 'others-use', atMs: record.timeMs },
    ])
    expect(view.findings[0]?.evidence[0]?.facts).toContainEqual(['from', '203.0.113.9'])
    const { startMs: fromMs = 0, pieceMs = 0, pieces = 0 } = view.timeline ?? {}
    expect(fromMs + pieceMs * pieces).toBeGreaterThan(record.timeMs)
  })

  it('tells differences once, in a table of their own', () => {
    const difference = { what: 'algorithm', ledger: 'PS256', vault: 'RS256' } as const
    const finding = {
      kind: 'sign.differs',
      record: signRecord(0),
      signature: 's',
      differences: [difference],
    } as const
    const [shown] = viewOf(reportOf({ verdict: 'findings', findings: [finding] })).findings
    expect(shown?.differences).toEqual([difference])
    expect(shown?.joinedBy).toContain('request id')
    const names = shown?.evidence[0]?.facts.map(([name]) => name)
    expect(names).toContain('signature')
    expect(names).not.toContain('algorithm')
  })

  it('says of a broken ledger where, and has no time for it', () => {
    const finding = { kind: 'ledger.broken', fault: { fault: 'hash', sequence: 12 } } as const
    const view = viewOf(reportOf({ verdict: 'findings', findings: [finding] }))
    expect(view.chain.fault).toMatch(/^entry 12 is not what was written/)
    expect(view.findings[0]).not.toHaveProperty('atMs')
  })
})
