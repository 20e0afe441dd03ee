import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import { findingKinds, severityOf } from './finding.ts'
import type { Finding } from './finding.ts'
import { counted, factsOf, nextSteps, summaries, undecidedText } from './finding-text.ts'
import type { Facts } from './finding-text.ts'
import { hourMs, missingHours } from './coverage.ts'
import type { Coverage } from './coverage.ts'
import { unreadableLogs } from './reconcile.ts'
import type { LedgerSummary, Report, VaultLogSummary } from './reconcile.ts'

/** Findings of one kind that are written out for people; the JSON has all of them. */
const shownMax = 20
const pathLengthMax = 300

/** For a terminal: the verdict in one sentence, what was read, each finding with its evidence, what to do. */
export function textReport(report: Report): string {
  const found = findingKinds.flatMap((kind) => {
    const ofKind = report.findings.filter((finding) => finding.kind === kind)
    return ofKind.length === 0 ? [] : [ofKind]
  })
  return [
    verdictSentence(report),
    lines([
      ...ledgerFacts(report.ledger),
      ...vaultLogFacts(report.vaultLog),
      ...entraLogFacts(report),
      ...watchFacts(report),
    ]),
    ...found.flatMap(findingSections),
    ...undecidedSection(report),
  ]
    .join('\n\n')
    .concat('\n')
}

function verdictSentence(report: Report): string {
  const { signatures } = report.vaultLog
  switch (report.verdict) {
    case 'accounted-for':
      return `ACCOUNTED FOR: the ledger knows every signature in the vault's log (${signatures}).`
    case 'findings':
      return `NOT ACCOUNTED FOR: ${summaryOf(report.findings)}.`
    case 'undecided':
      return `NOT DECIDED: ${report.undecided.map(undecidedText).join('; ')}.`
  }
}

function summaryOf(findings: readonly Finding[]): string {
  return findingKinds
    .flatMap((kind) => {
      const count = findings.filter((finding) => finding.kind === kind).length
      return count === 0 ? [] : [summaries[kind](count)]
    })
    .join('; ')
}

function ledgerFacts(ledger: LedgerSummary): Facts {
  const { signaturesBegun, signaturesMade, signaturesRefused, signaturesOpen, proofsNotDue } =
    ledger
  return [
    ['ledger', `${printable(ledger.name, pathLengthMax)}: ${counted(ledger.entries, 'line')}`],
    [
      '',
      `${counted(signaturesBegun, 'signature')} begun: ${signaturesMade} made, ${signaturesRefused} not made, ${signaturesOpen} without a known answer`,
    ],
    ...(proofsNotDue === 0
      ? []
      : [['', `${counted(proofsNotDue, 'signature')} to be proved later`] as const]),
  ]
}

function vaultLogFacts(log: VaultLogSummary): Facts {
  const paths = log.paths.map((path) => printable(path, pathLengthMax)).join(', ')
  return [
    ["vault's log", `${paths}: ${counted(log.records, 'record')}`],
    [
      '',
      `${counted(log.signatures, 'signature')} by the watched keys: ${log.explained} explained by the ledger; ${counted(log.duplicates, 'repetition')} left out`,
    ],
    ...(log.agreed === 0
      ? []
      : [['', `${counted(log.agreed, 'signature')} by others, as was agreed`] as const]),
    ...[...log.coverage].map(([vault, coverage]) => ['', coverageText(vault, coverage)] as const),
  ]
}

function coverageText(vault: string, coverage: Coverage): string {
  const { fromMs, toMs } = coverage
  const missing = missingHours(coverage)
  const gaps = missing === 0 ? '' : `, ${counted(missing, 'hour')} without a record`
  return `${printable(vault, 100)} from ${isoTimeFrom(fromMs)} to ${isoTimeFrom(toMs)}${gaps}`
}

function entraLogFacts({ signInLog, auditLog }: Report): Facts {
  const pathsOf = (paths: readonly string[]) =>
    paths.map((path) => printable(path, pathLengthMax)).join(', ')
  return [
    ...(signInLog === undefined
      ? []
      : [
          [
            'sign-ins',
            `${pathsOf(signInLog.paths)}: ${counted(signInLog.records, 'record')}, ${signInLog.explained} explained by the ledger`,
          ] as const,
        ]),
    ...(auditLog === undefined
      ? []
      : [
          ['audits', `${pathsOf(auditLog.paths)}: ${counted(auditLog.records, 'record')}`] as const,
        ]),
  ]
}

function watchFacts({ watchedKeys, watchedApplications, nowMs, graceMs }: Report): Facts {
  return [
    ...[...watchedKeys, ...watchedApplications].map(
      (key, index) => [index === 0 ? 'watched' : '', printable(key, pathLengthMax)] as const,
    ),
    ['as of', `${isoTimeFrom(nowMs)}, with ${counted(graceMs / 60_000, 'minute')} of grace`],
  ]
}

function findingSections(findings: readonly Finding[]): readonly string[] {
  const [first] = findings
  if (first === undefined) return []
  const shown = findings
    .slice(0, shownMax)
    .map((finding) => `${finding.kind}\n${lines(factsOf(finding))}`)
  const more = findings.length - shown.length
  const rest = more === 0 ? [] : [`${first.kind}: ${more} more; --json shows all`]
  return [...shown, ...rest, `what to do about ${first.kind}\n  ${nextSteps[first.kind]}`]
}

function undecidedSection(report: Report): readonly string[] {
  const { undecided, vaultLog, signInLog, auditLog } = report
  if (undecided.length === 0) return []
  const unread = [vaultLog, signInLog, auditLog].flatMap((log) => log?.unreadPlaces ?? [])
  const places = unread.map(
    ({ file, line, why }) => `  ${printable(file, pathLengthMax)}:${line}: ${why}`,
  )
  const away = unreadableLogs(report).map(({ why }) => `  ${printable(why, pathLengthMax)}`)
  const items = undecided.map((item) => `  ${undecidedText(item)}`)
  const heading = 'undecided, and to be looked at by a later run'
  return [[heading, ...items, ...away, ...places].join('\n')]
}

/** `  name   value`, the values in one column. */
function lines(facts: Facts): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}

/**
 * For programs: stable names, times in ISO 8601. What a terminal could obey is escaped, because people
 * look at it too.
 */
export function jsonReport(report: Report): string {
  const { ledger, vaultLog, nowMs, graceMs, findings, undecided, ...rest } = report
  const coverage = [...vaultLog.coverage].map(([vault, { fromMs, toMs, hours }]) => ({
    vault,
    from: isoTimeFrom(fromMs),
    to: isoTimeFrom(toMs),
    hours: [...hours]
      .toSorted(([one], [other]) => one - other)
      .map(([hour, records]) => ({ hour: isoTimeFrom(hour * hourMs), records })),
  }))
  const value = {
    ...rest,
    findings: findings.map((finding) => ({ severity: severityOf(finding), ...finding })),
    now: isoTimeFrom(nowMs),
    graceMinutes: graceMs / 60_000,
    undecided: undecided.map(({ fromMs, toMs, ...item }) => ({
      ...item,
      ...(fromMs === undefined ? {} : { from: isoTimeFrom(fromMs) }),
      ...(toMs === undefined ? {} : { to: isoTimeFrom(toMs) }),
    })),
    ledger,
    vaultLog: { ...vaultLog, coverage },
  }
  return `${escaped(JSON.stringify(value, undefined, 2))}\n`
}

/** Only strings can hold these characters, and there an escape means the same (RFC 8259 §7). */
function escaped(json: string): string {
  return json.replaceAll(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  )
}
