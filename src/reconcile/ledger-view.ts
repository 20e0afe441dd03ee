import { severities } from './finding.ts'
import { counted, nextSteps } from './finding-text.ts'
import type { LedgerOverview } from './ledger-overview.ts'
import type { ChainView, FindingView, ReportView } from './report-view.ts'

/** What the page shows of a ledger alone, where no log of a vault was looked at: that is said, and nothing is drawn as fine. */
export function ledgerViewFrom(
  name: string,
  overview: LedgerOverview,
  evidence: Pick<ChainView, 'fault' | 'heads' | 'keepers' | 'undecided'>,
  nowMs: number,
): ReportView {
  const { fault } = evidence
  const { tip, signatureTimes, askers, tokens, assertions, certificates } = overview
  const timeline = signatureTimes.timeline([])
  return {
    verdict: fault === undefined ? 'undecided' : 'findings',
    sentence: fault === undefined ? notLookedAt : 'the ledger does not verify',
    nowMs,
    graceMs: 0,
    sources: [
      { what: 'Ledger', name, detail: counted(tip.sequence, 'line') },
      { what: 'Vault’s log', name: 'not looked at' },
      { what: 'Sign-ins', name: 'not looked at' },
      { what: 'Directory audits', name: 'not looked at' },
    ],
    signatures: { recorded: 0, explained: 0, unread: 0 },
    findings: fault === undefined ? [] : [brokenLedger(fault)],
    undecided: [{ text: notLookedAt, count: 1 }],
    ...(timeline === undefined ? {} : { timeline }),
    coverage: [],
    askers,
    tokens,
    assertions,
    certificates,
    chain: {
      entries: tip.sequence,
      tipHash: Buffer.from(tip.hash).toString('hex'),
      ...evidence,
    },
  }
}

const notLookedAt =
  'no log of a vault was looked at, so whether somebody else used the key is not known'

const brokenLedger = (fault: string): FindingView => ({
  kind: 'ledger.broken',
  severity: severities['ledger.broken'],
  concern: 'altered-ledger',
  summary: 'The ledger does not verify.',
  evidence: [{ of: 'In the ledger', facts: [['fault', fault]] }],
  next: nextSteps['ledger.broken'],
})
