import { type Coverage, hourMs } from './coverage.ts'
import { type Finding, type FindingKind, findingKinds, severityOf } from './finding.ts'
import { counted, factsOf, nextSteps, summaries, undecidedText } from './finding-text.ts'
import { parseKeyUrl, withoutPort } from './key-name.ts'
import type { LedgerOverview } from './ledger-overview.ts'
import { unreadableLogs } from './reconcile.ts'
import type { EntraLogSummary, LedgerSummary, Report, Unread } from './reconcile.ts'
import type {
  ChainView,
  ConcernView,
  CoverageView,
  EvidenceView,
  FindingView,
  ReportView,
  SourceView,
  UndecidedView,
} from './report-view.ts'

/** What the page shows of a report, of the ledger that it is about, and of what that ledger was held to. */
export function reportViewFrom(
  report: Report,
  overview: LedgerOverview,
  evidence: Pick<ChainView, 'fault' | 'heads' | 'keepers' | 'undecided'>,
): ReportView {
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
      ...(vaultLog.agreed === 0 ? {} : { agreed: vaultLog.agreed }),
      unread: unreadIn(report),
    },
    findings,
    undecided: undecidedFrom(report),
    ...(timeline === undefined ? {} : { timeline }),
    coverage: [...[...vaultLog.coverage].map(coverageFrom), ...withoutLog(report)],
    askers: overview.askers,
    tokens: overview.tokens,
    assertions: overview.assertions,
    certificates: overview.certificates,
    chain: {
      entries: report.ledger.entries,
      tipHash: Buffer.from(overview.tip.hash).toString('hex'),
      ...evidence,
      ...faultIn(report.findings),
    },
  }
}

function sentenceOf(report: Report): string {
  const { verdict, vaultLog, findings } = report
  switch (verdict) {
    case 'accounted-for':
      return `the ledger knows every signature in the vault’s log (${vaultLog.signatures})`
    case 'findings':
      return findingKinds
        .flatMap((kind) => {
          const count = findings.filter((finding) => finding.kind === kind).length
          return count === 0 ? [] : [summaries[kind](count)]
        })
        .join('; ')
    case 'undecided':
      return undecidedFrom(report)
        .map(({ text }) => text)
        .join('; ')
  }
}

/** Which logs could not be read, and why, is said of each. */
const undecidedFrom = (report: Report): readonly UndecidedView[] =>
  report.undecided.flatMap((item) =>
    item.reason === 'log-unreadable'
      ? unreadableLogs(report).map(({ why }) => ({ text: why, count: 1 }))
      : [{ text: undecidedText(item), count: item.count }],
  )

/** Of all logs. */
const unreadIn = ({ vaultLog, signInLog, auditLog }: Report) =>
  vaultLog.unread + (signInLog?.unread ?? 0) + (auditLog?.unread ?? 0)

/** Hours that follow one another are one span, and the first and the last begin and end with their records. */
function coverageFrom([of, { fromMs, toMs, hours }]: readonly [string, Coverage]): CoverageView {
  const spans: { fromMs: number; toMs: number }[] = []
  for (const hour of [...hours.keys()].toSorted((one, other) => one - other)) {
    const last = spans.at(-1)
    if (last?.toMs === hour * hourMs) last.toMs += hourMs
    else spans.push({ fromMs: hour * hourMs, toMs: (hour + 1) * hourMs })
  }
  return {
    of,
    spans: spans.map((span) => ({
      fromMs: Math.max(span.fromMs, fromMs),
      toMs: Math.min(span.toMs, toMs),
    })),
    precision: 'hours',
  }
}

/** Vaults of watched keys of which nothing was delivered. */
function withoutLog({ watchedKeys, vaultLog: { coverage } }: Report): readonly CoverageView[] {
  const keys = watchedKeys.flatMap((text) => parseKeyUrl(text) ?? [])
  const silent = keys.filter(
    (key) => !coverage.has(key.vault) && !coverage.has(withoutPort(key).vault),
  )
  return [...new Set(silent.map(({ vault }) => vault))].map((of) => ({
    of,
    spans: [],
    precision: 'hours',
  }))
}

function sourcesOf(report: Report): readonly SourceView[] {
  const { ledger, vaultLog, signInLog, auditLog, watchedKeys, watchedApplications } = report
  return [
    { what: 'Ledger', name: ledger.name, detail: ledgerDetail(ledger) },
    ...vaultLog.paths.map((name) => ({ what: 'Vault’s log', name, ...unreadNote(vaultLog, name) })),
    {
      what: 'Records',
      name: counted(vaultLog.records, 'record'),
      detail: `${counted(vaultLog.duplicates, 'repetition')} left out`,
    },
    ...logOf('Sign-ins', signInLog),
    ...logOf('Directory audits', auditLog),
    ...watchedKeys.map((name) => ({ what: 'Watched key', name })),
    ...watchedApplications.map((name) => ({ what: 'Watched application', name })),
  ]
}

const ledgerDetail = ({ entries, proofsNotDue }: LedgerSummary): string =>
  proofsNotDue === 0
    ? counted(entries, 'line')
    : `${counted(entries, 'line')}; ${counted(proofsNotDue, 'signature')} to be proved later`

const logOf = (what: string, log: EntraLogSummary | undefined): readonly SourceView[] =>
  log === undefined
    ? []
    : log.paths.map((name) => ({
        what,
        name,
        detail: `${counted(log.records, 'record')} in all`,
        ...unreadNote(log, name),
      }))

const unreadNote = ({ unreadable }: Unread, name: string): Pick<SourceView, 'detail'> =>
  unreadable.some(({ log }) => log === name) ? { detail: 'could not be read' } : {}

interface KindView {
  readonly concern: ConcernView
  /** One of them, in a sentence. */
  readonly summary: string
}

/** What each kind is to an auditor. */
const kindViews: Readonly<Record<FindingKind, KindView>> = {
  'ledger.broken': { concern: 'altered-ledger', summary: 'The ledger does not verify.' },
  'sign.unexplained': {
    concern: 'others-use',
    summary: 'The key signed, and the ledger does not know it.',
  },
  'sign.foreign-identity': {
    concern: 'others-use',
    summary:
      'The key signed under the id of one of our signatures, for an identity that is not ours.',
  },
  'sign.repeated': {
    concern: 'others-use',
    summary: 'The key signed a second time under the id of one signature.',
  },
  'sign.unexpected-address': {
    concern: 'maybe-others-use',
    summary: 'One of our signatures was asked for from a network that is not ours.',
  },
  'sign.refused-elsewhere': {
    concern: 'maybe-others-use',
    summary: 'Somebody else asked the key to sign, and was refused.',
  },
  'sign.differs': {
    concern: 'maybe-others-use',
    summary: 'Ledger and vault tell the same signature differently.',
  },
  'sign.assumed': {
    concern: 'maybe-others-use',
    summary: 'The vault’s answer was lost or no good; the record is taken to be ours.',
  },
  'sign.unrecorded': {
    concern: 'missing-evidence',
    summary: 'The ledger says signed, and the vault’s log does not have it.',
  },
  'sign.unproved': {
    concern: 'maybe-others-use',
    summary: 'Nothing shows that what the key signed is what the ledger says.',
  },
  'logs.silent': {
    concern: 'missing-evidence',
    summary: 'Heads were signed, and the vault’s log has nothing of that time.',
  },
  'logs.removed': {
    concern: 'missing-evidence',
    summary: 'What a log held when it was read is not there any more.',
  },
  'logs.unreadable': {
    concern: 'missing-evidence',
    summary: 'A log cannot be read.',
  },
  'key.exposed': {
    concern: 'others-use',
    summary: 'Somebody took, or was given, what may hold the private key.',
  },
  'key.changed': {
    concern: 'maybe-others-use',
    summary: 'The key, its certificate, or who may use it was changed.',
  },
  'signin.unexplained': {
    concern: 'others-use',
    summary: 'Entra saw our certificate prove the application, and the ledger does not know it.',
  },
  'signin.foreign-credential': {
    concern: 'others-use',
    summary: 'The application proved itself with a credential that is none of ours.',
  },
  'signin.ambiguous': {
    concern: 'maybe-others-use',
    summary: 'A sign-in with our certificate may be ours, and may be somebody else’s.',
  },
  'application.changed': {
    concern: 'maybe-others-use',
    summary: 'The application was given, or lost, a credential or an owner.',
  },
}

function findingFrom(finding: Finding): FindingView {
  const { kind } = finding
  const atMs = timeOf(finding)
  return {
    kind,
    severity: severityOf(finding),
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
  return { of: whereItIs(finding), facts: facts.slice(0, facts.length - told) }
}

function whereItIs(finding: Finding): string {
  if ('record' in finding) return 'In the vault’s log'
  if ('signIn' in finding) return 'In Entra’s sign-ins'
  if (finding.kind === 'logs.unreadable') return 'In no log'
  if ('audit' in finding) return 'In the directory’s audits'
  return 'In the ledger'
}

function timeOf(finding: Finding): number | undefined {
  if ('record' in finding) return finding.record.timeMs
  if ('signIn' in finding) return finding.signIn.timeMs
  if ('audit' in finding) return finding.audit.timeMs
  if ('fromMs' in finding) return finding.fromMs
  return 'madeAtMs' in finding ? finding.madeAtMs : undefined
}

function joinedBy(finding: Finding): Pick<FindingView, 'joinedBy'> {
  if (finding.kind === 'sign.assumed') {
    return {
      joinedBy:
        'the nonce of the signature, the key version and the time: the request id explains nothing',
    }
  }
  const hasBothSides = 'record' in finding && 'signature' in finding
  return hasBothSides ? { joinedBy: 'the vault’s request id, in both' } : {}
}

function faultIn(findings: readonly Finding[]): { readonly fault?: string } {
  const broken = findings.find(({ kind }) => kind === 'ledger.broken')
  const [[, fault] = []] = broken === undefined ? [] : factsOf(broken)
  return fault === undefined ? {} : { fault }
}
