import { describe, expect, it } from 'vitest'
import type { Finding } from '../../../src/reconcile/finding.ts'
import type { Report } from '../../../src/reconcile/reconcile.ts'
import { jsonReport, textReport } from '../../../src/reconcile/report.ts'
import { vaultRecordFrom } from '../../../src/reconcile/vault-record.ts'
import type { SignRecord } from '../../../src/reconcile/vault-record.ts'
import { keyUrl, laterMs, minuteMs, recordLine, startMs } from '../../support/signed-traffic.ts'

/** All of the day and the first of the next. */
const hours = new Map(Array.from({ length: 25 }, (_, hour) => [startMs / 3_600_000 + hour, 1]))

const calm: Report = {
  verdict: 'accounted-for',
  findings: [],
  undecided: [],
  ledger: {
    name: 'countersign.db',
    entries: 9,
    signaturesBegun: 3,
    signaturesMade: 2,
    signaturesRefused: 1,
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
    coverage: new Map([['contoso-hsm.vault.azure.net', { fromMs: startMs, toMs: laterMs, hours }]]),
    unread: 0,
    unreadPlaces: [],
    unreadable: [],
  },
  watchedKeys: [keyUrl],
  watchedApplications: [],
  principals: [],
  nowMs: laterMs,
  graceMs: 30 * minuteMs,
}

function signRecord(clientInfo: string): SignRecord {
  const record = vaultRecordFrom(JSON.parse(recordLine(7, { clientInfo })))
  if (record.kind !== 'sign') throw new Error('not a KeySign')
  return record
}

const unexplained = (clientInfo: string): Finding => ({
  kind: 'sign.unexplained',
  record: signRecord(clientInfo),
})

const found = (...findings: Finding[]): Report => ({ ...calm, verdict: 'findings', findings })

describe('the report for people', () => {
  it('begins with the verdict, and says what was read', () => {
    expect(textReport(calm)).toBe(`\
ACCOUNTED FOR: the ledger knows every signature in the vault's log (2).

  ledger       countersign.db: 9 lines
               3 signatures begun: 2 made, 1 not made, 0 without a known answer
  vault's log  vault-log: 5 records
               2 signatures by the watched keys: 2 explained by the ledger; 1 repetition left out
               contoso-hsm.vault.azure.net from 2026-11-22T04:00:00.000Z to 2026-11-23T04:00:00.000Z
  watched      https://contoso-hsm.vault.azure.net/keys/partner-signing
  as of        2026-11-23T04:00:00.000Z, with 30 minutes of grace
`)
  })

  it('names a signature behind our back: when, by whom, from where, and what to do', () => {
    const text = textReport(found(unexplained('curl/8.5.0')))
    expect(text).toContain(
      "NOT ACCOUNTED FOR: the ledger does not know 1 signature of the vault's log.\n",
    )
    expect(text).toContain(`
sign.unexplained
  when    2026-11-22T04:07:00.0404321Z
  key     https://contoso-hsm.vault.azure.net/keys/partner-signing/0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b
  by      object id 51000000-0000-4000-8000-000000000001, client id 51000000-0000-4000-8000-0000000000c1
  from    203.0.113.9
  client  curl/8.5.0
  record  6f0c1d8e-0000-4000-8000-000000000007

what to do about sign.unexplained
  Ask what that principal did`)
  })

  it('never calls an assumed signature explained', () => {
    const record = signRecord('countersign/0.1.0')
    const text = textReport(found({ kind: 'sign.assumed', record, signature: 's', attempt: 'a' }))
    expect(text).toContain('1 signature can only be assumed to be ours')
    expect(text).not.toContain('1 explained')
  })

  it('shows each kind with its evidence, the worst first', () => {
    const text = textReport(
      found(
        {
          kind: 'sign.unrecorded',
          signature: 's-2',
          vaultRequestId: 'request-2',
          madeAtMs: startMs,
        },
        {
          kind: 'sign.differs',
          record: signRecord('x'),
          signature: 's-1',
          differences: [{ what: 'algorithm', ledger: 'PS256', vault: 'RS256' }],
        },
        { kind: 'ledger.broken', fault: { fault: 'hash', sequence: 12 } },
      ),
    )
    const places = [
      'entry 12 is not what was written',
      'PS256 in the ledger, RS256',
      'request-2 is not',
    ]
    const order = places.map((words) => text.indexOf(words))
    expect(order).not.toContain(-1)
    expect(order).toEqual(order.toSorted((one, other) => one - other))
    expect(text).toMatch(/^NOT ACCOUNTED FOR: the ledger itself does not verify; ledger and log /)
  })

  it('counts what it does not show', () => {
    const text = textReport(found(...Array.from({ length: 23 }, () => unexplained('curl'))))
    expect(text.match(/^sign\.unexplained$/gm)).toHaveLength(20)
    expect(text).toContain('sign.unexplained: 3 more; --json shows all')
  })

  it('says what is undecided, since when and where', () => {
    const text = textReport({
      ...calm,
      verdict: 'undecided',
      undecided: [
        { reason: 'record-too-young', count: 2, fromMs: startMs, toMs: startMs + 1000 },
        { reason: 'log-not-understood', count: 1 },
      ],
      vaultLog: {
        ...calm.vaultLog,
        unread: 1,
        unreadPlaces: [{ kind: 'unread', file: 'PT1H.json', line: 4, why: 'it is cut off' }],
      },
    })
    expect(text).toMatch(
      /^NOT DECIDED: 2 signatures of the log younger than the grace period: .* \(2026-11-22T04:00:00\.000Z to 2026-11-22T04:00:01\.000Z\); 1 place in the log/,
    )
    expect(text).toContain('  PT1H.json:4: it is cut off\n')
  })

  it('lets nothing through that a terminal obeys, and cuts what is long', () => {
    const hostile = `a\u001b[2J\u009b1m\u202e\r\n\u2028b${'x'.repeat(400)}`
    const text = textReport(found(unexplained(hostile)))
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(text).toMatch(/ {2}client {2}a\?\[2J\?1m\?{4}bx+…\n/)
  })
})

describe('the report for programs', () => {
  it('is the whole report, with times that programs read', () => {
    expect(
      JSON.parse(
        jsonReport({
          ...found(unexplained('curl')),
          undecided: [{ reason: 'record-too-young', count: 1, fromMs: startMs, toMs: startMs }],
        }),
      ),
    ).toMatchObject({
      verdict: 'findings',
      now: '2026-11-23T04:00:00.000Z',
      graceMinutes: 30,
      watchedKeys: [keyUrl],
      findings: [{ kind: 'sign.unexplained', record: { clientInfo: 'curl', httpStatusCode: 200 } }],
      undecided: [{ reason: 'record-too-young', from: '2026-11-22T04:00:00.000Z' }],
      ledger: { signaturesMade: 2 },
      vaultLog: {
        explained: 2,
        coverage: [{ vault: 'contoso-hsm.vault.azure.net', from: '2026-11-22T04:00:00.000Z' }],
      },
    })
  })

  it('says hostile text exactly, in a form that a terminal does not obey', () => {
    const hostile = 'a\u001b[2J\u009b1m\u202e\u2028\ud800\u{e0001}'
    const json = jsonReport(found(unexplained(hostile)))
    expect(json.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(JSON.parse(json)).toMatchObject({ findings: [{ record: { clientInfo: hostile } }] })
  })
})
