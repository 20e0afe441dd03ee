import { createHash } from 'node:crypto'
import type {
  AskerView,
  FindingView,
  ReportView,
  SeriesView,
} from '../../../src/reconcile/report-view.ts'

/** Views of three days, as they could be: the same every time. */

export const hourMs = 3_600_000
export const dayMs = 24 * hourMs
export const viewStartMs = Date.parse('2026-11-19T00:00:00Z')
export const viewNowMs = viewStartMs + 3 * dayMs

const vault = 'contoso-hsm.vault.azure.net'
const key = `https://${vault}/keys/partner-signing`
const tenant = 'fab00000-0000-4000-8000-000000000002'
const sha256 = (index: number) =>
  createHash('sha256').update(`what was issued, number ${index}`).digest('base64url')

const pieces = 72

/** Busier by day, by chance of a fixed seed. */
function series(name: string, most: number, seed: number): SeriesView {
  let state = seed
  const chance = () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
  const counts = Array.from({ length: pieces }, (_, hour) => {
    const daylight = Math.max(0, Math.sin((((hour % 24) - 5) / 24) * 2 * Math.PI))
    return Math.floor(most * (0.15 + 0.85 * daylight) * chance())
  })
  return { name, counts }
}

const callers = [
  series('billing-export (github)', 42, 7),
  series('orders-api (platform)', 26, 11),
  series('the service itself, ahead of need', 12, 13),
  series('deploy-pipeline (gitlab)', 7, 17),
  series('spiffe://contoso.example/reports (edge)', 4, 19),
]
const sumOf = (all: readonly SeriesView[]) =>
  Array.from({ length: pieces }, (_, hour) =>
    all.reduce((sum, { counts }) => sum + (counts[hour] ?? 0), 0),
  )
const isOfCi = ({ name }: SeriesView) => name.startsWith('deploy')
const applications = [
  { name: 'fabrikam-events', counts: sumOf(callers.filter((one) => !isOfCi(one))) },
  { name: 'fabrikam-ci', counts: sumOf(callers.filter(isOfCi)) },
]
const made = sumOf(callers).reduce((sum, count) => sum + count, 0)

const askers: readonly AskerView[] = [
  {
    issuer: 'github',
    subject: 'repo:contoso/billing-export:environment:production',
    application: 'fabrikam-events',
    tenant,
    scope: 'https://eventhubs.azure.net/.default',
    issued: 8120,
    refused: 0,
    failed: 3,
    grant: 'billing-export',
    lastMs: viewNowMs - 4 * 60_000,
  },
  {
    issuer: 'platform',
    subject: '5c1ed000-0000-4000-8000-000000000011',
    application: 'fabrikam-events',
    tenant,
    scope: 'https://eventhubs.azure.net/.default',
    issued: 4402,
    refused: 1,
    failed: 0,
    grant: 'orders-api',
    lastMs: viewNowMs - 2 * 60_000,
  },
  {
    issuer: 'gitlab',
    subject: 'project_path:contoso/deploy:ref_type:branch:ref:main',
    application: 'fabrikam-ci',
    tenant,
    issued: 96,
    refused: 12,
    failed: 1,
    grant: 'deploy-pipeline',
    lastMs: viewNowMs - 31 * 60_000,
  },
  {
    issuer: 'gitlab',
    subject: 'project_path:contoso/sandbox:ref_type:branch:ref:try-things',
    application: 'fabrikam-ci',
    tenant,
    issued: 0,
    refused: 4,
    failed: 0,
    lastMs: viewNowMs - 26 * hourMs,
  },
]

/** Every signature is accounted for, and everything is known. */
export const calmView: ReportView = {
  verdict: 'accounted-for',
  sentence: `the ledger knows every signature in the vault’s log (${made})`,
  nowMs: viewNowMs,
  graceMs: 30 * 60_000,
  sources: [
    { what: 'Ledger', name: '/var/lib/countersign/countersign.db', detail: '61,204 lines' },
    { what: 'Vault’s log', name: '/mnt/insights-logs-auditevent' },
    { what: 'Records', name: '9,310 records', detail: '14 repetitions left out' },
    { what: 'Watched key', name: key },
  ],
  signatures: { recorded: made, explained: made, unread: 0 },
  findings: [],
  undecided: [],
  timeline: { startMs: viewStartMs, pieceMs: hourMs, pieces, callers, applications },
  coverage: [
    { of: vault, spans: [{ fromMs: viewStartMs, toMs: viewNowMs }], precision: 'hours' },
    {
      of: 'contoso-ci.vault.azure.net',
      spans: [{ fromMs: viewStartMs, toMs: viewNowMs }],
      precision: 'hours',
    },
  ],
  askers: { shown: askers, count: askers.length },
  tokens: {
    count: 3,
    shown: [58, 41, 12].map((minutes, index) => ({
      tokenSha256: sha256(index),
      application: 'fabrikam-events',
      tenant,
      scope: 'https://eventhubs.azure.net/.default',
      expiresMs: viewNowMs + minutes * 60_000,
      ...(index === 2
        ? {}
        : { lastGivenTo: index === 0 ? 'billing-export (github)' : 'orders-api (platform)' }),
    })),
  },
  assertions: {
    count: 2,
    shown: [3, -29].map((minutes, index) => {
      const expiresMs = viewNowMs + minutes * 60_000
      return {
        assertionSha256: sha256(7 + index),
        application: 'fabrikam-ci',
        tenant,
        givenTo: 'deploy-pipeline (gitlab)',
        expiresMs,
        tokensUntilMs: expiresMs + 90 * 60_000,
        longLivedTokensUntilMs: expiresMs + 28 * hourMs,
      }
    }),
  },
  certificates: [
    {
      name: 'partners',
      keyId: `${key}/0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b`,
      thumbprintSha256: sha256(20),
      place: 'primary',
      notAfterMs: viewNowMs + 212 * dayMs,
      sinceMs: viewStartMs - 90 * dayMs,
      signatures: made,
      lastSignatureMs: viewNowMs - 2 * 60_000,
    },
    {
      name: 'partners',
      keyId: `https://contoso-spare.vault.azure.net/keys/partner-signing/77aa77aa77aa77aa77aa77aa77aa77aa`,
      thumbprintSha256: sha256(21),
      place: 'standby',
      notAfterMs: viewNowMs + 300 * dayMs,
      sinceMs: viewStartMs - 2 * dayMs,
      signatures: 0,
    },
  ],
  chain: {
    entries: 61_204,
    tipHash: '5f3c'.repeat(16),
    heads: {
      count: 4320,
      last: { sequence: 61_180, atMs: viewNowMs - 40_000 },
      unsealed: 24,
    },
    keepers: [
      {
        name: 'witness.audit.contoso.example',
        kind: 'witness',
        agrees: true,
        sequence: 61_180,
        atMs: viewNowMs - 39_000,
      },
      {
        name: '/mnt/write-once/heads',
        kind: 'anchor',
        agrees: true,
        sequence: 61_150,
        atMs: viewNowMs - 100_000,
      },
    ],
  },
}

/** Somebody signed past the service. */
export function unexplainedFinding(atMs: number, changes: Partial<FindingView> = {}): FindingView {
  return {
    kind: 'sign.unexplained',
    severity: 'high',
    concern: 'others-use',
    summary: 'The key signed, and the ledger does not know it.',
    atMs,
    evidence: [
      {
        of: 'In the vault’s log',
        facts: [
          ['when', new Date(atMs).toISOString()],
          ['key', `${key}/0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b`],
          ['by', 'object id 51000000-0000-4000-8000-000000000002'],
          ['from', '198.51.100.77'],
          ['client', 'nightly-build/2.1'],
          ['record', '542e5bf7-ed70-4b5f-b59d-3cdeeb26c717'],
        ],
      },
    ],
    next: 'Ask what that principal did at that time. Until you know: take its role on the key away, replace the certificate, and look in the sign-in logs of the tenants for the application.',
    ...changes,
  }
}

const assumed: FindingView = {
  kind: 'sign.assumed',
  severity: 'low',
  concern: 'maybe-others-use',
  summary: 'The vault’s answer was lost or no good; the record is taken to be ours.',
  atMs: viewStartMs + 14 * hourMs,
  evidence: [
    {
      of: 'In the vault’s log',
      facts: [
        ['by', 'object id 51000000-0000-4000-8000-000000000001'],
        ['from', '203.0.113.9'],
      ],
    },
    {
      of: 'In the ledger',
      facts: [
        ['signature', '0198c0de-0000-7000-8000-000000000012'],
        ['attempt', '0198c0de-0000-7000-8000-000000000099'],
      ],
    },
  ],
  joinedBy:
    'the nonce of the signature, the key version and the time: the request id explains nothing',
  next: "See that principal and address are the service's own. These come from answers that were lost or no good: many of them mean a network to be mended.",
}

const differing: FindingView = {
  kind: 'sign.differs',
  severity: 'medium',
  concern: 'maybe-others-use',
  summary: 'Ledger and vault tell the same signature differently.',
  atMs: viewStartMs + 30 * hourMs,
  evidence: assumed.evidence,
  joinedBy: 'the vault’s request id, in both',
  differences: [{ what: 'algorithm', ledger: 'PS256', vault: 'RS256' }],
  next: 'Two accounts of one act disagree and one of them is wrong. Keep ledger and log, and compare the versions of service and vault.',
}

/** Two signatures by somebody else, a gap of delivery, and what could not be decided. */
export const foundView: ReportView = {
  ...calmView,
  verdict: 'findings',
  sentence:
    'the ledger does not know 2 signatures of the vault’s log; ledger and log disagree on 1 signature; 1 signature can only be assumed to be ours, because the vault’s answer was lost or no good',
  signatures: { recorded: made + 2, explained: made - 2, unread: 3 },
  findings: [
    assumed,
    unexplainedFinding(viewStartMs + 50.2 * hourMs),
    differing,
    unexplainedFinding(viewStartMs + 50.4 * hourMs, {
      evidence: [
        {
          of: 'In the vault’s log',
          facts: [
            ['from', '198.51.100.78'],
            ['client', 'curl/8.5.0'],
          ],
        },
      ],
    }),
  ],
  undecided: [
    {
      text: '12 signatures of the ledger younger than the grace period: their records may still arrive',
      count: 12,
    },
    { text: '3 places in the log that could not be read', count: 3 },
  ],
  coverage: [
    { of: vault, spans: [{ fromMs: viewStartMs, toMs: viewNowMs }], precision: 'hours' },
    {
      of: 'contoso-ci.vault.azure.net',
      spans: [
        { fromMs: viewStartMs, toMs: viewStartMs + 31 * hourMs },
        { fromMs: viewStartMs + 36 * hourMs, toMs: viewNowMs - 2 * hourMs },
      ],
      precision: 'hours',
    },
  ],
  chain: { entries: 61_204, tipHash: '5f3c'.repeat(16) },
}

/** Nothing but what must be known of every run. */
export const bareView: ReportView = {
  verdict: 'undecided',
  sentence: 'a log without any record',
  nowMs: viewNowMs,
  graceMs: 30 * 60_000,
  sources: [],
  signatures: { recorded: 0, explained: 0, unread: 0 },
  findings: [],
  undecided: [{ text: 'a log without any record', count: 1 }],
  coverage: [],
  chain: { entries: 0 },
}
