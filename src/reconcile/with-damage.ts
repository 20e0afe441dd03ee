import type { Report } from './reconcile.ts'

/** Damage that heads, anchors or proofs show is a finding as much as what the chain shows by itself. */
export function withDamage(report: Report, reason: string | undefined): Report {
  const isFound = report.findings.some(({ kind }) => kind === 'ledger.broken')
  if (reason === undefined || isFound) return report
  const finding = { kind: 'ledger.broken', fault: { fault: 'evidence', reason } } as const
  return { ...report, verdict: 'findings', findings: [finding, ...report.findings] }
}
