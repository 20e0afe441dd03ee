import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import type { Finding, FindingKind, Undecided, UndecidedReason } from './finding.ts'
import { keyVersionText } from './key-name.ts'
import type { LedgerFault } from './ledger-facts.ts'
import type { SignRecord } from './vault-record.ts'

/** Words for findings. Every text that somebody else has chosen goes through `printable`. */

/** A name and what is known of it; the pairs that are left out are not known. */
export type Facts = readonly (readonly [name: string, value: string])[]

/** More than any GUID or URL of ours; a User-Agent is cut here. */
const valueLengthMax = 200

/** What happened, when, with what evidence: the kind is the title. */
export function factsOf(finding: Finding): Facts {
  switch (finding.kind) {
    case 'sign.unexplained': {
      const { record, nonceOf } = finding
      const note = `carries the nonce of signature ${printable(nonceOf ?? '', valueLengthMax)}, and is not it`
      return [...recordFacts(record), ...(nonceOf === undefined ? [] : [['but', note] as const])]
    }
    case 'sign.assumed':
      return [
        ...recordFacts(finding.record),
        ...known('signature', finding.signature),
        ...known('attempt', finding.attempt),
      ]
    case 'sign.differs':
      return [
        ...recordFacts(finding.record),
        ...known('signature', finding.signature),
        ...finding.differences.flatMap(({ what, ledger, vault }) =>
          known(what, `${ledger} in the ledger, ${vault} in the vault's log`),
        ),
      ]
    case 'sign.unrecorded':
      return [
        ['when', isoTimeFrom(finding.madeAtMs)],
        ...known('key', finding.keyId),
        ...known('record', `${finding.vaultRequestId} is not in the log`),
        ...known('signature', finding.signature),
        ...known('attempt', finding.attempt),
      ]
    case 'ledger.broken':
      return [['where', faultText(finding.fault)]]
  }
}

function recordFacts(record: SignRecord): Facts {
  return [
    ...known('when', record.time),
    ...known('key', keyVersionText(record.key)),
    ...known('by', principalText(record)),
    ...known('from', record.callerIpAddress ?? 'an address that the record does not tell'),
    ...known('client', record.clientInfo),
    ...known('record', record.correlationId),
  ]
}

function principalText({ oid, appid }: SignRecord): string {
  const names = [
    ...(oid === undefined ? [] : [`object id ${oid}`]),
    ...(appid === undefined ? [] : [`client id ${appid}`]),
  ]
  return names.length === 0 ? 'somebody whom the record does not name' : names.join(', ')
}

const known = (name: string, value: string | undefined): Facts =>
  value === undefined || value === '' ? [] : [[name, printable(value, valueLengthMax)]]

function faultText(fault: LedgerFault): string {
  switch (fault.fault) {
    case 'hash':
      return `entry ${fault.sequence} is not what was written, or one was taken out or put in before it`
    case 'sequence':
      return `entry ${fault.sequence} stands where entry ${fault.expected} should be`
    case 'unreadable':
      return `entry ${fault.sequence}, or what follows it, cannot be read: ${printable(fault.reason, valueLengthMax)}`
  }
}

/** What the findings of a kind say together, for one sentence. */
export const summaries: Readonly<Record<FindingKind, (count: number) => string>> = {
  'ledger.broken': () => 'the ledger itself does not verify',
  'sign.unexplained': (count) => `the ledger does not know ${signatures(count)} of the vault's log`,
  'sign.differs': (count) => `ledger and log disagree on ${signatures(count)}`,
  'sign.unrecorded': (count) => `the vault's log does not have ${signatures(count)} of the ledger`,
  'sign.assumed': (count) =>
    `${signatures(count)} can only be assumed to be ours, because the vault's answer was lost`,
}

/** What to do about the findings of a kind. */
export const nextSteps: Readonly<Record<FindingKind, string>> = {
  'ledger.broken':
    'Keep the ledger file as it is. Entries before that place are as they were written; from there on it proves nothing, and neither do the other findings.',
  'sign.unexplained':
    'Ask what that principal did at that time. Until you know: take its role on the key away, replace the certificate, and look in the sign-in logs of the tenants for the application.',
  'sign.differs':
    'Two accounts of one act disagree and one of them is wrong. Keep ledger and log, and compare the versions of service and vault.',
  'sign.unrecorded':
    'See whether the log is complete: diagnostic setting of the vault, blobs of that hour. If it is, the ledger claims what the vault did not do.',
  'sign.assumed':
    "See that principal and address are the service's own. These come from lost answers: many of them mean a network to be mended.",
}

export function undecidedText({ reason, count, fromMs, toMs }: Undecided): string {
  const when =
    fromMs === undefined || toMs === undefined
      ? ''
      : ` (${[...new Set([fromMs, toMs].map(isoTimeFrom))].join(' to ')})`
  return `${undecidedWords[reason](count)}${when}`
}

const undecidedWords: Readonly<Record<UndecidedReason, (count: number) => string>> = {
  'record-too-young': (count) =>
    `${signatures(count)} of the log younger than the grace period: the ledger may still learn of them`,
  'signature-too-young': (count) =>
    `${signatures(count)} of the ledger younger than the grace period: their records may still arrive`,
  'log-does-not-reach': (count) =>
    `${signatures(count)} of the ledger at a time for which the log, with the grace period, does not stand`,
  'log-not-understood': (count) => `${counted(count, 'place')} in the log that could not be read`,
  'log-empty': () => 'a log without any record',
  'no-key-to-watch': () => 'no key to watch: the ledger names none; name it with --key',
}

/** `1 signature`, `2 signatures`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`

const signatures = (count: number): string => counted(count, 'signature')
