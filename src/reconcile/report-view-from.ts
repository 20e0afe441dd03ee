import type { Finding, FindingKind } from './finding.ts'
import { counted, factsOf, nextSteps, summaries, undecidedText } from './finding-text.ts'
import type { LedgerOverview } from './ledger-overview.ts'
import type { Report } from './reconcile.ts'
import type {
  ConcernView,
  EvidenceView,
  FindingView,
  ReportView,
  SourceView,
} from './report-view.ts'

/** What the page shows of a report, and of the ledger that it is about. */
export function reportViewFrom(report: Report, overview: LedgerOverview): ReportView {
  const { verdict, nowMs, graceMs, vaultLog } = report
  const findings = report.findings.map(findingFrom)
  const timeline = overview.signatureTimes.timeline(findings.flatMap(({ atMs }) => atMs ?? []))
  return {
    verdict,
    sentence: sentenceOf(report),
    nowMs,
    graceMs,
    sources: sourcesOf(report),
    signatures: {
      recorded: vaultLog.signatures,
      explained: vaultLog.explained,
      unread: vaultLog.unread,
    },
    findings,
    undecided: report.undecided.map((item) => ({ text: undecidedText(item), count: item.count })),
    ...(timeline === undefined ? {} : { timeline }),
    coverage: [...vaultLog.coverage].map(([of, span]) => ({
      of,
      spans: [span],
      precision: 'ends',
    })),
    askers: overview.askers,
    tokens: overview.tokens,
    assertions: overview.assertions,
    certificates: overview.certificates,
    chain: {
      entries: report.ledger.entries,
      tipHash: Buffer.from(overview.tip.hash).toString('hex'),
      ...faultIn(report.findings),
    },
  }
}

function sentenceOf({ verdict, vaultLog, findings, undecided }: Report): string {
  switch (verdict) {
    case 'accounted-for':
      return `the ledger knows every signature in the vault’s log (${vaultLog.signatures})`
    case 'findings':
      return kinds
        .flatMap((kind) => {
          const count = findings.filter((finding) => finding.kind === kind).length
          return count === 0 ? [] : [summaries[kind](count)]
        })
        .join('; ')
    case 'undecided':
      return undecided.map(undecidedText).join('; ')
  }
}

function sourcesOf({ ledger, vaultLog, watchedKeys }: Report): readonly SourceView[] {
  return [
    { what: 'Ledger', name: ledger.name, detail: counted(ledger.entries, 'line') },
    ...vaultLog.paths.map((name) => ({ what: 'Vault’s log', name })),
    {
      what: 'Records',
      name: counted(vaultLog.records, 'record'),
      detail: `${counted(vaultLog.duplicates, 'repetition')} left out`,
    },
    ...watchedKeys.map((name) => ({ what: 'Watched key', name })),
  ]
}

interface KindView {
  readonly severity: FindingView['severity']
  readonly concern: ConcernView
  /** One of them, in a sentence. */
  readonly summary: string
}

/** What each kind is to an auditor, the worst first. */
const kindViews: Readonly<Record<FindingKind, KindView>> = {
  'ledger.broken': {
    severity: 'high',
    concern: 'altered-ledger',
    summary: 'The ledger does not verify.',
  },
  'sign.unexplained': {
    severity: 'high',
    concern: 'others-use',
    summary: 'The key signed, and the ledger does not know it.',
  },
  'sign.differs': {
    severity: 'medium',
    concern: 'maybe-others-use',
    summary: 'Ledger and vault tell the same signature differently.',
  },
  'sign.unrecorded': {
    severity: 'medium',
    concern: 'missing-evidence',
    summary: 'The ledger says signed, and the vault’s log does not have it.',
  },
  'sign.assumed': {
    severity: 'low',
    concern: 'maybe-others-use',
    summary: 'The vault’s answer was lost; the record is taken to be ours.',
  },
}

const kinds = Object.keys(kindViews) as readonly FindingKind[]

function findingFrom(finding: Finding): FindingView {
  const { kind } = finding
  const atMs = timeOf(finding)
  return {
    kind,
    ...kindViews[kind],
    ...(atMs === undefined ? {} : { atMs }),
    evidence: [evidenceOf(finding)],
    ...(finding.kind === 'sign.differs' ? { differences: finding.differences } : {}),
    ...joinedBy(finding),
    next: nextSteps[kind],
  }
}

/** Differences, which are told last, have a table of their own. */
function evidenceOf(finding: Finding): EvidenceView {
  const told = finding.kind === 'sign.differs' ? finding.differences.length : 0
  const facts = factsOf(finding)
  return {
    of: 'record' in finding ? 'In the vault’s log' : 'In the ledger',
    facts: facts.slice(0, facts.length - told),
  }
}

function timeOf(finding: Finding): number | undefined {
  if (finding.kind === 'ledger.broken') return undefined
  return finding.kind === 'sign.unrecorded' ? finding.madeAtMs : finding.record.timeMs
}

function joinedBy(finding: Finding): Pick<FindingView, 'joinedBy'> {
  if (finding.kind === 'sign.differs') return { joinedBy: 'the vault’s request id, in both' }
  if (finding.kind !== 'sign.assumed') return {}
  return { joinedBy: 'the nonce of the signature, the key version and the time: no request id' }
}

function faultIn(findings: readonly Finding[]): { readonly fault?: string } {
  const broken = findings.find(({ kind }) => kind === 'ledger.broken')
  const [[, fault] = []] = broken === undefined ? [] : factsOf(broken)
  return fault === undefined ? {} : { fault }
}
