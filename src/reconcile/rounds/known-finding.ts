import type { Finding, LedgerBroken } from '../finding.ts'
import { severityOf } from '../finding.ts'
import { factsOf, summaries } from '../finding-text.ts'
import { recordOf, removalOf, timeOfFinding } from './finding-id.ts'
import { inertText } from './inert-text.ts'
import { logNameOf } from './log-kinds.ts'
import type { Round } from './round.ts'
import type { FindingEvent, KnownFinding } from './round-state.ts'

export const isOpen = ({ resolvedAtMs }: Pick<KnownFinding, 'resolvedAtMs'>): boolean =>
  resolvedAtMs === undefined

/** A finding as it is remembered from the round on that found it. */
export function knownFrom(
  id: string,
  finding: Finding,
  times: number,
  { beginnings, nowMs }: Pick<Round, 'nowMs'> & Partial<Pick<Round, 'beginnings'>>,
): KnownFinding {
  const log = logOf(finding, beginnings)
  return {
    id,
    kind: finding.kind,
    severity: severityOf(finding),
    atMs: timeOfFinding(finding) ?? null,
    ...(finding.kind === 'logs.silent' ? { vault: finding.vault } : {}),
    ...(finding.kind === 'ledger.broken' ? faultIn(finding) : {}),
    ...(log === undefined ? {} : { log }),
    ...(finding.kind === 'logs.removed' ? { removal: removalOf(finding) } : {}),
    ...(finding.kind === 'sign.unrecorded' ? { vaultRequestId: finding.vaultRequestId } : {}),
    summary: summaries[finding.kind](1),
    foundAtMs: nowMs,
    times,
  }
}

/** That cannot be read, or that has its record. */
function logOf(finding: Finding, beginnings?: Round['beginnings']): string | undefined {
  if (finding.kind === 'logs.unreadable') return logNameOf(finding.of, finding.log)
  const record = recordOf(finding)
  return record && beginnings?.logOf(record)
}

const faultIn = ({ fault }: LedgerBroken): Pick<KnownFinding, 'fault' | 'sequence'> =>
  fault.fault === 'unreadable'
    ? { fault: fault.fault, sequence: fault.sequence }
    : { fault: fault.fault }

/** What is told of it. */
export const factsIn = (finding: Finding): [string, string][] =>
  factsOf(finding).map(([name, value]) => [name, inertText(value)])

/** That it was found, or is resolved, for those who are to be told. */
export function eventOf(
  event: FindingEvent['event'],
  { id, kind, severity, atMs, summary, times }: KnownFinding,
  facts: [string, string][],
  nowMs: number,
  tell: readonly string[],
): FindingEvent {
  return {
    // The same however often the round is begun again.
    id: `${id}-${event === 'finding.new' ? 'new' : 'resolved'}-${times}`,
    event,
    atMs: nowMs,
    finding: { id, kind, severity, atMs, summary, facts },
    pending: [...tell],
  }
}
