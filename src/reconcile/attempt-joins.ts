import { factsOf, type JoinedBy, type StoryEntry, type StoryEvent } from './attempt-event.ts'
import { type Expect, expectationsFrom } from './expectations.ts'
import { isOfThatAct, type SignatureAct } from './lost-replies.ts'
import { signInIdentityOf } from './sign-in-match.ts'
import type { SignInRecord } from './sign-in-record.ts'
import { bySuccessThenTime, identityOf } from './sign-record-identity.ts'
import { signatureNonceSha256 } from './signature-nonce.ts'
import type { SignRecord, VaultRecord } from './vault-record.ts'

/** What records of others can be known by, each with the signature or exchange that it leads to. */
export interface Ids {
  readonly signatures: ReadonlySet<string>
  readonly exchanges: ReadonlySet<string>
  readonly byRequestId: ReadonlyMap<string, string>
  /** Signatures that an answer of the vault tells the id of. */
  readonly answered: ReadonlySet<string>
  readonly byNonce: ReadonlyMap<string, BegunOnRecord>
  readonly byTraceId: ReadonlyMap<string, string>
  readonly byUti: ReadonlyMap<string, string>
}

/** What the ledger says of a signature before the vault is asked. */
interface BegunOnRecord extends SignatureAct {
  readonly signature: string
}

export function idsIn(entries: readonly StoryEntry[]): Ids {
  const texts = (from: string, to: string, fold = (text: string) => text) =>
    new Map(
      entries.flatMap(({ entry }) => {
        const [key, value] = [entry[from], entry[to]]
        const isSaid = typeof key === 'string' && key !== '' && typeof value === 'string'
        return isSaid ? [[fold(key), value]] : []
      }),
    )
  const lower = (text: string) => text.toLowerCase()
  return {
    signatures: new Set(texts('signature', 'signature').keys()),
    exchanges: new Set(texts('exchange', 'exchange').keys()),
    byRequestId: texts('vaultRequestId', 'signature', lower),
    answered: new Set(texts('vaultRequestId', 'signature').values()),
    byNonce: new Map(entries.flatMap(({ entry }) => begunOnRecord(entry))),
    byTraceId: texts('traceId', 'exchange', lower),
    byUti: texts('uti', 'exchange'),
  }
}

/** Whoever can write the ledger may have written it otherwise. */
function begunOnRecord(entry: StoryEntry['entry']): readonly (readonly [string, BegunOnRecord])[] {
  const { nonceSha256, signature, keyId, algorithm, atMs } = entry
  return typeof nonceSha256 === 'string' &&
    typeof signature === 'string' &&
    typeof keyId === 'string' &&
    typeof algorithm === 'string' &&
    typeof atMs === 'number'
    ? [[nonceSha256, { signature, keyId, algorithm, atMs }]]
    : []
}

/** A record that an id leads to, or a nonce. */
export interface Joined extends StoryEvent {
  /** Signature or exchange; undefined of what is neither. */
  readonly of: string | undefined
}

/** A record of the vault that an id of the attempt is in. */
export interface NamedRecord {
  readonly record: SignRecord
  readonly by: 'x-ms-request-id' | 'signature-nonce'
}

export function namedBy(
  record: VaultRecord,
  { byRequestId, byNonce }: Ids,
): NamedRecord | undefined {
  if (record.kind !== 'sign') return undefined
  if (byRequestId.has(record.correlationId)) return { record, by: 'x-ms-request-id' }
  const { nonce } = record
  return nonce !== undefined && byNonce.has(signatureNonceSha256(nonce))
    ? { record, by: 'signature-nonce' }
    : undefined
}

/**
 * A nonce is no proof of who has signed: it joins where no answer tells the id, one record at most, of that key and
 * time; every other one that carries it is shown as what it is.
 */
export function vaultEvents(
  named: readonly NamedRecord[],
  ids: Ids,
  expect: Expect,
): readonly Joined[] {
  const expectations = expectationsFrom(expect)
  const lost = new Set([...ids.byNonce.values()].map(({ signature }) => signature))
  for (const signature of ids.answered) lost.delete(signature)
  return withoutRepetitions(named, ({ record }) => identityOf(record))
    .toSorted((one, other) => bySuccessThenTime(one.record, other.record))
    .map(({ record, by }) => {
      if (by === 'x-ms-request-id') {
        return vaultEvent(record, by, ids.byRequestId.get(record.correlationId))
      }
      const begun = ids.byNonce.get(signatureNonceSha256(record.nonce ?? ''))
      const isIt =
        begun !== undefined &&
        lost.has(begun.signature) &&
        isOfThatAct(begun, record) &&
        expectations.isOurPrincipal(record.oid) !== false
      if (!isIt) return carryingEvent(record, begun?.signature ?? '')
      lost.delete(begun.signature)
      return vaultEvent(record, by, begun.signature)
    })
}

const vaultEvent = (
  record: SignRecord,
  joinedBy: JoinedBy,
  signature: string | undefined,
): Joined => ({
  atMs: record.timeMs,
  from: 'vault-log',
  what: `KeySign ${record.httpStatusCode}`,
  joinedBy,
  facts: { signature, ...factsOf(record) },
  of: signature,
})

const carryingEvent = (record: SignRecord, carriesNonceOf: string): Joined => ({
  atMs: record.timeMs,
  from: 'vault-log',
  what: `KeySign ${record.httpStatusCode}`,
  carriesNonceOf,
  facts: factsOf(record),
  of: undefined,
})

export interface JoinedSignIn {
  readonly record: SignInRecord
  readonly joinedBy: JoinedBy
  readonly exchange: string
}

export function signInJoin(record: SignInRecord, ids: Ids): JoinedSignIn | undefined {
  const { id, uti = '', correlationId } = record
  const candidates: readonly (readonly [JoinedBy, string | undefined])[] = [
    ['entra-trace-id', ids.byTraceId.get(id)],
    ['uti', ids.byUti.get(uti)],
    ['client-request-id', ids.exchanges.has(correlationId) ? correlationId : undefined],
  ]
  const [joinedBy, exchange] = candidates.find(([, one]) => one !== undefined) ?? []
  return joinedBy === undefined || exchange === undefined
    ? undefined
    : { record, joinedBy, exchange }
}

export const signInEvent = ({ record, joinedBy, exchange }: JoinedSignIn): Joined => ({
  atMs: record.timeMs,
  from: 'signin-log',
  what: record.errorCode === 0 ? 'sign-in' : `sign-in refused, AADSTS${record.errorCode}`,
  joinedBy,
  facts: { exchange, ...factsOf(record) },
  of: exchange,
})

export const signInsOnce = (signIns: readonly JoinedSignIn[]): readonly JoinedSignIn[] =>
  withoutRepetitions(signIns, ({ record }) => signInIdentityOf(record))

/** Records are delivered twice now and then, and to several places. */
const withoutRepetitions = <Item>(
  items: readonly Item[],
  identityIn: (item: Item) => string,
): readonly Item[] => [...new Map(items.map((item) => [identityIn(item), item])).values()]
