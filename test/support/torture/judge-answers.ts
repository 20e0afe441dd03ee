import { constants, verify, X509Certificate } from 'node:crypto'
import type { Entry } from '../../../src/ledger/entry.ts'
import { assertionLifetimeMaxSeconds, clientIds, mayHave } from './cast.ts'
import type { Heard, Outcome } from './clients.ts'
import { by, entriesOf, type EntryOf, type Evidence } from './evidence.ts'

type Issued = Extract<Outcome, { kind: 'issued' }>
type Declined = Extract<Outcome, { kind: 'declined' }>

/** Whatever a client was told is in the ledger, and nobody was given what no grant has for it. */
export function answerViolations({ heard, entries, authority }: Evidence): readonly string[] {
  const ledger = indexOf(entries)
  return [
    ...heard.flatMap((one) => {
      const { outcome } = one
      if (outcome.kind === 'lost') return []
      const named = `attempt ${outcome.attempt} of ${one.caller.name}`
      const found =
        outcome.kind === 'issued'
          ? [
              ...grantViolations(one, outcome, authority),
              ...(one.ask.want === 'token'
                ? tokenEntryViolations(one, outcome, ledger)
                : assertionEntryViolations(one, outcome, ledger)),
            ]
          : declinedViolations(one, outcome, ledger)
      return [...outcome.contractFaults, ...found].map((what) => `${named}: ${what}`)
    }),
    ...saidTwice(heard),
    ...boughtTooMany(heard),
  ]
}

interface LedgerIndex {
  readonly tokenIssued: ReadonlyMap<string, EntryOf<'token.issued'>>
  readonly assertionIssued: ReadonlyMap<string, EntryOf<'assertion.issued'>>
  readonly exchangeSucceeded: ReadonlyMap<string, EntryOf<'exchange.succeeded'>>
  readonly signatureBegun: ReadonlyMap<string, EntryOf<'signature.begun'>>
  /** By key. */
  readonly certificates: ReadonlyMap<string, X509Certificate>
  readonly attemptsFailed: ReadonlySet<string>
  readonly attemptsRefused: ReadonlySet<string>
}

const attemptOf = ({ attempt }: { readonly attempt: string }) => attempt

const indexOf = (entries: readonly Entry[]): LedgerIndex => ({
  tokenIssued: by(entriesOf(entries, 'token.issued'), attemptOf),
  assertionIssued: by(entriesOf(entries, 'assertion.issued'), attemptOf),
  exchangeSucceeded: by(entriesOf(entries, 'exchange.succeeded'), attemptOf),
  signatureBegun: by(entriesOf(entries, 'signature.begun'), attemptOf),
  certificates: new Map(
    entriesOf(entries, 'certificate.loaded').map(({ keyId, der }) => [
      keyId,
      new X509Certificate(Buffer.from(der, 'base64')),
    ]),
  ),
  attemptsFailed: new Set(entriesOf(entries, 'request.failed').map(attemptOf)),
  attemptsRefused: new Set(entriesOf(entries, 'request.refused').map(attemptOf)),
})

type Rule = readonly [holds: boolean, otherwise: string]

const broken = (rules: readonly Rule[]): readonly string[] =>
  rules.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise]))

/** Judged by the token itself: who it is for, where, and for how long. */
function grantViolations(
  { caller, ask }: Heard,
  { claims }: Issued,
  authority: string,
): readonly string[] {
  const clientId = clientIds[ask.application]
  const granted: Rule = [mayHave(caller, ask), 'it was given what no grant has for it']
  if (ask.want === 'token') {
    return broken([
      granted,
      [claims['tid'] === ask.tenant, 'the token is of another tenant'],
      [claims['appid'] === clientId, 'the token is of another application'],
      [`${String(claims.aud)}/.default` === ask.scope, 'the token is for another resource'],
    ])
  }
  const seconds = (claims.exp ?? Infinity) - (claims.iat ?? 0)
  const asked = ask.lifetimeSeconds ?? assertionLifetimeMaxSeconds
  return broken([
    granted,
    [claims.iss === clientId && claims.sub === clientId, 'it is of another application'],
    [
      claims.aud === `${authority}/${ask.tenant}/oauth2/v2.0/token`,
      'the assertion is for another tenant',
    ],
    [seconds === asked, `the assertion lives ${seconds} s and not ${asked} s`],
  ])
}

function tokenEntryViolations(
  heard: Heard,
  { attempt, sha256 }: Issued,
  ledger: LedgerIndex,
): readonly string[] {
  const entry = ledger.tokenIssued.get(attempt)
  if (entry === undefined) return ['its token.issued is missing']
  const exchanged = ledger.exchangeSucceeded.get(entry.obtainedBy)
  return broken([
    ...decisionRules(heard, entry),
    [entry.tokenSha256 === sha256, 'token.issued names another token'],
    [exchanged?.tokenSha256 === sha256, 'no exchange obtained its token'],
  ])
}

function assertionEntryViolations(
  heard: Heard,
  { attempt, sha256, compact }: Issued,
  ledger: LedgerIndex,
): readonly string[] {
  const entry = ledger.assertionIssued.get(attempt)
  if (entry === undefined) return ['its assertion.issued is missing']
  const begun = ledger.signatureBegun.get(attempt)
  return broken([
    ...decisionRules(heard, entry),
    [entry.assertionSha256 === sha256, 'assertion.issued names another assertion'],
    [
      begun?.signature === entry.signature && begun.purpose === 'hand-out',
      'its signature was not begun for handing out',
    ],
    [verifies(compact, ledger.certificates.get(begun?.keyId ?? '')), 'its signature is wrong'],
  ])
}

/** PS256, by the certificate that the ledger says was loaded (RFC 7518 §3.5). */
function verifies(compact: string, certificate: X509Certificate | undefined): boolean {
  if (certificate === undefined) return false
  const [header = '', payload = '', signature = ''] = compact.split('.')
  const key = {
    key: certificate.publicKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
  return verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    key,
    Buffer.from(signature, 'base64url'),
  )
}

const decisionRules = (
  { caller, callerTokenSha256, ask }: Heard,
  entry: EntryOf<'token.issued' | 'assertion.issued'>,
): readonly Rule[] => [
  [entry.caller.tokenSha256 === callerTokenSha256, 'the entry names another caller'],
  [entry.grant === caller.grant?.name, 'the entry names another grant'],
  [
    entry.application === ask.application &&
      entry.tenant === ask.tenant &&
      (ask.want === 'assertion' || entry.scope === ask.scope),
    'the entry is about something else',
  ],
]

/** What costs nothing and can be repeated without end: the first ones have entries, the rest are counted. */
const countedCodes = ['too_many_waiting', 'signing_busy', 'signing_paused', 'entra_paused']

/** Who is in the right may be told to wait, not that it is in the wrong. */
function declinedViolations(
  { caller, ask }: Heard,
  { attempt, status, code }: Declined,
  ledger: LedgerIndex,
): readonly string[] {
  const isFailure =
    ['signing_', 'entra_', 'token_'].some((start) => code.startsWith(start)) &&
    !countedCodes.includes(code)
  const isRefusal = caller.grant !== undefined && status === 403
  const isSpent = ask.want === 'assertion' && code === 'caller_token_spent'
  const isDenied = [401, 403].includes(status) && !isSpent
  return broken([
    [code !== 'internal', 'the service made a mistake'],
    [!isDenied || !mayHave(caller, ask), `it was refused (${code}) its right`],
    [!isFailure || ledger.attemptsFailed.has(attempt), `its failure (${code}) has no entry`],
    [!isRefusal || ledger.attemptsRefused.has(attempt), `its refusal (${code}) has no entry`],
  ])
}

const assertionsPerTokenMax = 10

/** Whoever is killed, and whichever replica is asked. */
function boughtTooMany(heard: readonly Heard[]): readonly string[] {
  const bought = heard.filter(({ ask, outcome }) => {
    return ask.want === 'assertion' && outcome.kind === 'issued'
  })
  return [...Map.groupBy(bought, ({ callerTokenSha256 }) => callerTokenSha256)]
    .filter(([, same]) => same.length > assertionsPerTokenMax)
    .map(([token, same]) => `the caller token ${token} bought ${same.length} assertions`)
}

/** An attempt is one request's, and an assertion is handed out once. */
function saidTwice(heard: readonly Heard[]): readonly string[] {
  const attempts = heard.flatMap(({ outcome }) =>
    outcome.kind === 'lost' ? [] : [`attempt ${outcome.attempt}`],
  )
  const assertions = heard.flatMap(({ ask, outcome }) =>
    ask.want === 'assertion' && outcome.kind === 'issued' ? [`assertion ${outcome.sha256}`] : [],
  )
  const seen = new Set<string>()
  return [...attempts, ...assertions]
    .filter((one) => seen.size === seen.add(one).size)
    .map((one) => `${one} was told to two clients`)
}
