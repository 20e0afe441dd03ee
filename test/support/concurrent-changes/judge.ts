import { hash } from 'node:crypto'
import { decodeJwt } from 'jose'
import type { Entry, RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { by, entriesOf, type EntryOf } from '../torture/evidence.ts'

/** Who asks, and by what it is let. */
export interface Asker {
  readonly issuer: string
  readonly grant: string
  /** Whether its grant gives tokens of a day, and whether it has tokens of its own. */
  readonly longLived: boolean
  readonly isolated: boolean
}

export interface TokenAsked {
  readonly application: string
  readonly tenant: string
  readonly scope: string
  /** Whether whoever asks can handle a token of a day. */
  readonly isCapable: boolean
}

/** A token that somebody was given. Moments are by the order of all that the test has seen. */
export interface Given {
  readonly asker: Asker
  readonly asked: TokenAsked
  readonly sentAt: number
  readonly answeredAt: number
  /** By the clock of the emulated world. */
  readonly sentSeconds: number
  readonly attempt: string
  readonly token: string
  readonly expiresInSeconds: number
}

/** What nobody was to be given between two moments. */
export interface Stop {
  readonly what: string
  readonly stops: (given: Given) => boolean
  readonly from: number
  until: number
  /** Of a configuration: its entry. What stands behind it, up to the next one, was decided by it. */
  readonly behindEntry?: number
}

/** Which client ids applications may have between two moments; more than one, while it changes. */
export interface Naming {
  readonly from: number
  until: number
  readonly clientIds: Readonly<Record<string, string>>
}

export interface Seen {
  readonly given: readonly Given[]
  readonly stops: readonly Stop[]
  readonly namings: readonly Naming[]
  readonly entries: readonly Entry[]
  readonly minRemainingSeconds: number
}

/** What must never be, a sentence each: by tokens themselves, and by the order of the ledger. */
export function violationsIn(seen: Seen): readonly string[] {
  const chain = chainOf(seen.entries)
  return [
    ...seen.given.flatMap((one) =>
      [
        ...ofAnother(one, seen),
        ...tooOld(one, seen),
        ...stopped(one, seen, chain),
        ...unrecorded(one, chain),
      ].map((what) => `attempt ${one.attempt} of ${one.asker.grant} was given a token ${what}`),
    ),
    ...sharedByIsolated(seen.given),
    ...issuedAlthoughRevoked(chain),
  ]
}

function ofAnother({ asked, asker, sentAt, answeredAt, token }: Given, { namings }: Seen) {
  const claims = decodeJwt(token)
  const named = namings.filter(({ from, until }) => from <= answeredAt && until >= sentAt)
  const clientIds = named.map(({ clientIds: ids }) => ids[asked.application])
  const isLongLived = claims['xms_cc'] !== undefined
  return [
    ...(claims['tid'] === asked.tenant ? [] : ['of another tenant']),
    ...(`${String(claims.aud)}/.default` === asked.scope ? [] : ['of another resource']),
    ...(clientIds.includes(claims['appid'] as string) ? [] : ['of another application']),
    ...(isLongLived && !(asked.isCapable && asker.longLived) ? ['of a day'] : []),
  ]
}

function tooOld({ token, sentSeconds, expiresInSeconds }: Given, { minRemainingSeconds }: Seen) {
  const leftSeconds = (decodeJwt(token).exp ?? 0) - sentSeconds
  return [
    ...(leftSeconds >= minRemainingSeconds ? [] : [`with ${leftSeconds} s left`]),
    ...(expiresInSeconds <= leftSeconds ? [] : [`that does not last ${expiresInSeconds} s`]),
  ]
}

const stopped = (one: Given, { stops }: Seen, chain: Chain) =>
  stops
    .filter(
      (stop) =>
        (stop.from < one.sentAt && one.answeredAt < stop.until) || isBehind(stop, one, chain),
    )
    .filter(({ stops: stopsIt }) => stopsIt(one))
    .map(({ what }) => `although this was stopped: ${what}`)

function isBehind({ behindEntry }: Stop, { attempt }: Given, { entries, issued }: Chain): boolean {
  const entry = issued.get(attempt)
  if (behindEntry === undefined || entry === undefined) return false
  const next = entries.findIndex(
    ({ kind }, index) => index > behindEntry && kind === 'configuration.loaded',
  )
  const at = entries.indexOf(entry)
  return behindEntry < at && (next === -1 || at < next)
}

interface Chain {
  readonly entries: readonly Entry[]
  readonly issued: ReadonlyMap<string, EntryOf<'token.issued'>>
  /** By the attempt. */
  readonly exchanges: ReadonlyMap<string, readonly EntryOf<'exchange.succeeded'>[]>
  readonly keyIds: ReadonlyMap<string, string>
}

const chainOf = (entries: readonly Entry[]): Chain => ({
  entries,
  issued: by(entriesOf(entries, 'token.issued'), ({ attempt }) => attempt),
  exchanges: Map.groupBy(entriesOf(entries, 'exchange.succeeded'), ({ attempt }) => attempt),
  keyIds: new Map(
    entriesOf(entries, 'signature.begun').map(({ signature, keyId }) => [signature, keyId]),
  ),
})

/** The exchange that brought the token of an entry. */
const exchangeOf = ({ obtainedBy, tokenSha256 }: EntryOf<'token.issued'>, { exchanges }: Chain) =>
  exchanges.get(obtainedBy)?.find((one) => one.tokenSha256 === tokenSha256)

/** The key version whose signature obtained the token of an answer; undefined where nobody wrote it down. */
export function keyIdOf({ attempt }: Given, entries: readonly Entry[]): string | undefined {
  const chain = chainOf(entries)
  const entry = chain.issued.get(attempt)
  const exchange = entry && exchangeOf(entry, chain)
  return exchange && chain.keyIds.get(exchange.signature)
}

function unrecorded({ attempt, asked, asker, token }: Given, chain: Chain) {
  const entry = chain.issued.get(attempt)
  if (entry === undefined) return ['that nobody wrote down']
  const isAsWritten =
    entry.tokenSha256 === hash('sha256', token, 'base64url') &&
    entry.grant === asker.grant &&
    entry.application === asked.application &&
    entry.tenant === asked.tenant &&
    entry.scope === asked.scope
  const exchange = exchangeOf(entry, chain)
  const isOfIt =
    exchange?.application === asked.application &&
    exchange.tenant === asked.tenant &&
    exchange.scope === asked.scope
  return [
    ...(isAsWritten ? [] : ['that is not the one of its entry']),
    ...(isOfIt ? [] : ['that no exchange has brought for it']),
  ]
}

/** A grant with tokens of its own shares none. */
function sharedByIsolated(given: readonly Given[]): readonly string[] {
  const grantsOf = new Map<string, Set<string>>()
  for (const { token, asker } of given) {
    grantsOf.set(token, (grantsOf.get(token) ?? new Set()).add(asker.grant))
  }
  return given
    .filter(({ asker, token }) => asker.isolated && (grantsOf.get(token)?.size ?? 0) > 1)
    .map(({ attempt }) => `attempt ${attempt} was given a token of its own that others have too`)
}

/** Whatever stands behind a revocation was decided behind it. */
function issuedAlthoughRevoked(chain: Chain): readonly string[] {
  const standing = new Map<string, RevokedOnRecord>()
  return chain.entries.flatMap((entry) => {
    if (entry.kind === 'revocation.made') standing.set(entry.revocation, entry.revoked)
    if (entry.kind === 'revocation.lifted') standing.delete(entry.revocation)
    if (entry.kind !== 'token.issued') return []
    return [...standing.values()]
      .filter((revoked) => isOf(revoked, entry, chain))
      .map(({ what }) => `attempt ${entry.attempt} was issued behind the revocation of its ${what}`)
  })
}

function isOf(revoked: RevokedOnRecord, entry: EntryOf<'token.issued'>, chain: Chain): boolean {
  switch (revoked.what) {
    case 'caller':
      return entry.caller.issuer === revoked.issuer && entry.caller.subject === revoked.subject
    case 'issuer':
      return entry.caller.issuer === revoked.issuer
    case 'grant':
      return entry.grant === revoked.grant
    case 'application':
      return entry.application === revoked.application
    case 'tenant':
      return entry.tenant === revoked.tenant
    case 'key-version':
      return chain.keyIds.get(exchangeOf(entry, chain)?.signature ?? '') === revoked.keyId
  }
}
