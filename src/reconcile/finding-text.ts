import { isoTimeFrom } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import type {
  Finding,
  FindingKind,
  LogsRemoved,
  Undecided,
  UndecidedReason,
  UnprovedReason,
} from './finding.ts'
import { keyVersionText } from './key-name.ts'
import type { LedgerFault } from './ledger-facts.ts'
import type { SignInRecord } from './sign-in-record.ts'
import type { OtherRecord, SignRecord } from './vault-record.ts'

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
    case 'sign.foreign-identity':
    case 'sign.unexpected-address':
      return [...recordFacts(finding.record), ...signatureFacts(finding)]
    case 'sign.repeated':
      return [
        ...recordFacts(finding.record),
        ['first', `${printable(finding.first.time, valueLengthMax)}, under the same id`],
        ...signatureFacts(finding),
      ]
    case 'sign.refused-elsewhere':
      return [...recordFacts(finding.record), ['answer', `status ${finding.record.httpStatusCode}`]]
    case 'sign.differs':
      return [
        ...recordFacts(finding.record),
        ...signatureFacts(finding),
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
    case 'sign.unproved':
      return [
        ['when', isoTimeFrom(finding.madeAtMs)],
        ['why', unprovedWords[finding.because]],
        ...known('key', finding.keyId),
        ...known('record', finding.vaultRequestId),
        ...known('signature', finding.signature),
        ...known('attempt', finding.attempt),
      ]
    case 'key.exposed':
    case 'key.changed':
      return otherFacts(finding.record)
    case 'signin.unexplained':
    case 'signin.foreign-credential':
      return signInFacts(finding.signIn)
    case 'signin.ambiguous':
      return [...signInFacts(finding.signIn), ['maybe', ambiguityWords[finding.because]]]
    case 'application.changed':
      return auditFacts(finding.audit)
    case 'ledger.broken':
      return [['where', faultText(finding.fault)]]
    case 'logs.silent':
      return [
        ...known('vault', finding.vault),
        ['heads', `${counted(finding.heads, 'signature')} of heads without a record`],
        ['from', isoTimeFrom(finding.fromMs)],
        ['to', isoTimeFrom(finding.toMs)],
      ]
    case 'logs.removed':
      return removalFacts(finding.removed)
    case 'logs.unreadable':
      return [
        ...known('log', finding.log),
        ['of', logWords[finding.of]],
        ...known('why', finding.why),
        ['since', isoTimeFrom(finding.fromMs)],
      ]
  }
}

function removalFacts(removed: LogsRemoved['removed']): Facts {
  if (removed.what === 'record') {
    return [
      ['what', `the record that ${removed.ofKind} ${removed.of} is about`],
      ['when', isoTimeFrom(removed.atMs)],
    ]
  }
  const { log, count, fromMs, toMs, files } = removed
  return [
    ...known('log', log),
    ['what', `${counted(count, 'file')} gone, or shorter than when it was read`],
    ...known('from', fromMs === undefined ? undefined : isoTimeFrom(fromMs)),
    ...known('to', toMs === undefined ? undefined : isoTimeFrom(toMs)),
    ...files.flatMap(({ file, is }) => known(is, endOfPath(file))),
  ]
}

/** Of a blob from the name of its vault on: what comes before is as long as it is dull. */
const endOfPath = (file: string): string => file.split(/[/\\]/).slice(-7).join('/')

const logWords = {
  vault: 'records of a vault',
  'sign-ins': 'sign-ins of Entra',
  audits: 'directory audits of Entra',
  ledger: 'the ledger of the service',
} as const

const unprovedWords: Readonly<Record<UnprovedReason, string>> = {
  missing: 'nothing was published of what was signed',
  'process-ended': 'a process of the service ended before it could be proved',
  'not-what-was-begun': 'what was published has another digest than the vault was sent',
  'not-what-was-made': 'the signature that was published is another than the one that was made',
  'does-not-verify': 'the signature that was published does not verify with the certificate',
  'of-another-time': 'what was published was signed for another time than the ledger says',
  'used-before': 'what was published proves another signature already',
  'too-late': 'it was published so late that nobody can tell whether it proves another one',
}

const ambiguityWords = {
  'answer-lost': 'an exchange of ours whose answer was lost at that time',
  'assertion-handed-out': 'whoever was given an assertion that lived at that time',
} as const

const signatureFacts = (finding: {
  readonly signature: string
  readonly attempt?: string
}): Facts => [...known('signature', finding.signature), ...known('attempt', finding.attempt)]

function otherFacts(record: OtherRecord): Facts {
  const { object } = record
  const name =
    object === undefined
      ? record.vault
      : `https://${object.vault}/${object.collection}/${object.name}`
  return [
    ...known('when', record.time),
    ...known('what', record.operationName),
    ...known('of', name),
    ...known('by', principalText(record)),
    ...known('from', record.callerIpAddress),
    ...known('client', record.clientInfo),
    ...known('record', record.correlationId),
  ]
}

function signInFacts(signIn: SignInRecord): Facts {
  const { thumbprint, keyId, federatedId } = signIn.credential
  return [
    ...known('when', signIn.time),
    ...known('client id', signIn.appId),
    ...known('tenant', signIn.tenant),
    ...known('for', signIn.resource),
    ...known('from', signIn.ipAddress),
    ...known('certificate', thumbprint),
    ...(thumbprint === undefined ? known('credential', keyId) : []),
    ...known('federated', federatedId),
    ...known('record', signIn.id),
  ]
}

function auditFacts(audit: DirectoryAudit): Facts {
  const { initiator, targets } = audit
  const who = [initiator.userName, initiator.userId, initiator.appName, initiator.appId]
  return [
    ...known('when', audit.time),
    ...known('what', audit.activity),
    ...targets.flatMap(({ name, id }) =>
      known('of', [name, id].filter((part) => part !== undefined).join(', ')),
    ),
    ...known('tenant', audit.tenant),
    ...known('by', who.filter((part) => part !== undefined).join(', ')),
    ...known('from', initiator.ipAddress),
    // Before what there may be hundreds of: where facts are cut, it names the record that has them all.
    ...known('record', audit.id),
    ...targets.flatMap(({ changes }) =>
      changes.flatMap(({ name, after }) => known('changed', `${name}: ${after ?? 'nothing'}`)),
    ),
  ]
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

function principalText({ oid, appid }: Pick<SignRecord, 'oid' | 'appid'>): string {
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
    case 'evidence':
      return printable(fault.reason, valueLengthMax)
    case 'unreadable':
      return `entry ${fault.sequence}, or what follows it, cannot be read: ${printable(fault.reason, valueLengthMax)}`
  }
}

/** What the findings of a kind say together, for one sentence. */
export const summaries: Readonly<Record<FindingKind, (count: number) => string>> = {
  'ledger.broken': () => 'the ledger itself does not verify',
  'sign.unexplained': (count) => `the ledger does not know ${signatures(count)} of the vault's log`,
  'signin.foreign-credential': (count) =>
    `${counted(count, 'sign-in')} of a watched application used a credential that is not ours`,
  'signin.unexplained': (count) => `the ledger does not know ${counted(count, 'sign-in')}`,
  'key.exposed': (count) => `${counted(count, 'time')} somebody was handed what may hold a key`,
  'sign.foreign-identity': (count) => `a stranger asked for ${signatures(count)} of ours`,
  'sign.repeated': (count) => `${signatures(count)} stand under an id that was used before`,
  'logs.silent': () => "the vault's log is silent about heads that were signed",
  'logs.removed': () => 'what a log held when it was read is not there any more',
  'logs.unreadable': (count) => `${counted(count, 'log')} cannot be read`,
  'application.changed': (count) => `${counted(count, 'change')} of a watched application`,
  'key.changed': (count) => `${counted(count, 'change')} of a watched key or its vault`,
  'sign.differs': (count) => `ledger and log disagree on ${signatures(count)}`,
  'sign.unrecorded': (count) => `the vault's log does not have ${signatures(count)} of the ledger`,
  'sign.unproved': (count) => `${signatures(count)} of the ledger are not proved`,
  'sign.unexpected-address': (count) =>
    `${signatures(count)} of ours came from an unexpected address`,
  'sign.refused-elsewhere': (count) => `${counted(count, 'request')} of others were refused`,
  'signin.ambiguous': (count) => `${counted(count, 'sign-in')} may be ours or not`,
  'sign.assumed': (count) =>
    `${signatures(count)} can only be assumed to be ours, because the vault's answer was lost or no good`,
}

/** What to do about the findings of a kind. */
export const nextSteps: Readonly<Record<FindingKind, string>> = {
  'ledger.broken':
    'Keep the ledger file as it is. Entries before that place are as they were written; from there on it proves nothing, and neither do the other findings.',
  'sign.unexplained':
    'Ask what that principal did at that time. Until you know: take its role on the key away, replace the certificate, and look in the sign-in logs of the tenants for the application.',
  'signin.foreign-credential':
    'Remove that credential from the application, and revoke what it obtained: look up who added it in the directory audits.',
  'signin.unexplained':
    "Look for the signature in the vault's log at that time, and stop the application in that tenant until you know who signed in.",
  'key.exposed':
    'See whether the certificate is exportable. If it is, the private key has left the vault: replace the certificate and take the old one off the application.',
  'sign.foreign-identity':
    'Ask what that principal did. If it is a new identity of the service, name it with --principal; otherwise take its role on the key away.',
  'sign.repeated':
    "One answer of the vault has one id. Keep ledger and log: a second signature under it means that one of the two was tampered with, or that the vault's ids are not what they were.",
  'logs.silent':
    "See whether the vault's diagnostic setting was changed, and fetch the hours that are missing. Until they are there, nothing is known of signatures in that time.",
  'logs.removed':
    'Ask who can write where the log is kept, and see what else was done there: what was found stands as long as its evidence is gone. Bring it back from a copy, and keep the container under a time-based retention policy, which keeps everybody from removing what is young.',
  'logs.unreadable':
    'See that it is where it was, and that whoever keeps watch may still read it: ask who changed either. Until then nothing is known of what it has; what came meanwhile is read when it is back.',
  'application.changed':
    'Ask whoever did it. A credential or owner that is not yours lets somebody be the application: take it away.',
  'key.changed':
    'Ask whoever did it: whether it was a rotation that you know of, and who may use the key now.',
  'sign.differs':
    'Two accounts of one act disagree and one of them is wrong. Keep ledger and log, and compare the versions of service and vault.',
  'sign.unrecorded':
    'See whether the log is complete: diagnostic setting of the vault, blobs of that hour. If it is, the ledger claims what the vault did not do.',
  'sign.unproved':
    'Where a process ended, compare with its starts and stops: nothing is to be found out any more. Otherwise take it for a signature of something else, until somebody can show what was signed: look in the sign-in logs of that time, and at who can write the ledger.',
  'sign.unexpected-address':
    'If the service has moved, name the network with --address. If it has not, somebody else has its identity.',
  'sign.refused-elsewhere':
    'Nothing was signed. Ask what that principal wanted of the key, and see that it stays without a role.',
  'signin.ambiguous':
    'See that address and resource are those of whoever may have signed in. Many of them mean a network to be mended, or assertions that live too long.',
  'sign.assumed':
    "See that principal and address are the service's own. These come from answers that were lost or no good: many of them mean a network to be mended.",
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
  'sign-in-too-young': (count) =>
    `${counted(count, 'sign-in')} younger than the grace period: the ledger may still learn of them`,
  'ledger-pruned': (count) =>
    `${counted(count, 'record')} of a time of which the ledger was pruned: give what was exported as well (--pruned)`,
  'evidence-not-checked': (count) =>
    `${counted(count, 'kind')} of evidence of the ledger could not be checked: ledger verify says which`,
  'sign-in-before-ledger': (count) =>
    `${counted(count, 'sign-in')} from before the ledger, which cannot know of them`,
  'service-not-known': (count) =>
    `${counted(count, 'request')} that were refused, and nothing tells who the service is: name it with --principal`,
  'log-does-not-reach': (count) =>
    `${signatures(count)} of the ledger at a time for which the log, with the grace period, does not stand`,
  'hour-not-delivered': (count) =>
    `${signatures(count)} of the ledger in hours of which the log has no record at all`,
  'log-not-understood': (count) => `${counted(count, 'place')} in the log that could not be read`,
  'log-unreadable': (count) => `${counted(count, 'log')} that could not be read`,
  'log-empty': () => 'a log without any record',
  'vault-without-log': (count) =>
    `${counted(count, 'vault')} of watched keys of which the log has no record at all`,
  'no-application-to-watch': () =>
    'no application to watch: no sign-in is known to the ledger; name one with --application',
  'proof-without-certificate': (count) =>
    `${signatures(count)} whose proof cannot be checked: the ledger has no certificate for the key on record`,
  'change-of-unknown-application': (count) =>
    `${counted(count, 'change')} of an application whose record tells no client id: name the object ids of yours with --application`,
  'too-many': (count) => `${counted(count, 'piece')} of evidence more than are kept`,
  'no-key-to-watch': () => 'no key to watch: the ledger names none; name it with --key',
}

/** `1 signature`, `2 signatures`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`

const signatures = (count: number): string => counted(count, 'signature')
