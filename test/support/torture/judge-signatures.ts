import { hash } from 'node:crypto'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { serviceObjectId } from './cast.ts'
import type { Heard } from './clients.ts'
import { by, entriesOf, type EntryOf, type Evidence } from './evidence.ts'

type Begun = EntryOf<'signature.begun'>
type Ended = EntryOf<'signature.made'> | EntryOf<'signature.failed'>

/** Every signature that the vault made for the service was begun, and is what was begun. */
export function signatureViolations({ entries, records, heard }: Evidence): readonly string[] {
  const signatures = signaturesIn(entries)
  const ours = signedByService(records)
  return [
    ...ours.flatMap((record) => recordViolations(record, signatures)),
    ...repeated(ours, signatures),
    ...madeWithoutRecord(signatures, ours),
    ...answeredWithoutEnd(signatures, heard),
    ...secretOperations(records),
  ]
}

/** What reconcile has to report, and nothing else: a kind for the id of each such record. */
export function expectedFindings(
  entries: readonly Entry[],
  records: readonly VaultRecord[],
): ReadonlyMap<string, 'sign.assumed' | 'sign.unexplained'> {
  const { endedByRequestId } = signaturesIn(entries)
  return new Map(
    signed(records)
      .filter(({ correlationId }) => !isSettled(endedByRequestId.get(correlationId)))
      .map((record) => [
        record.correlationId,
        isByService(record) ? 'sign.assumed' : 'sign.unexplained',
      ]),
  )
}

/** Whether the ledger says that it was made, or was not: an answer that could not be used says neither. */
const isSettled = (end: Ended | undefined): boolean =>
  end !== undefined && !(end.kind === 'signature.failed' && end.applied === 'unknown')

/** What a service that stopped in order leaves undone: it has to end what it began, and say that it stops. */
export function owedAfterStop(entries: readonly Entry[]): readonly string[] {
  const start = entries.findLastIndex(({ kind }) => kind === 'service.started')
  const { begun, ended } = signaturesIn(entries.slice(start))
  const last = entries.findLast((entry) => !isOfHead(entry, begun))?.kind ?? 'nothing'
  return [
    ...begun
      .filter(({ signature }) => !ended.has(signature))
      .map(({ signature }) => `the service stopped, and signature ${signature} has no end`),
    ...(last === 'service.stopped' ? [] : [`the service stopped, and ${last} is its last entry`]),
  ]
}

/** A head stands for the last entry of a run, so it is behind that. */
function isOfHead(entry: Entry, begun: readonly Begun[]): boolean {
  if (entry.kind === 'head.signed' || entry.kind === 'head.key-loaded') return true
  if (!('signature' in entry)) return false
  return begun.some(({ purpose, signature }) => purpose === 'head' && signature === entry.signature)
}

interface Signatures {
  readonly begun: readonly Begun[]
  readonly begunById: ReadonlyMap<string, Begun>
  readonly begunByNonce: ReadonlyMap<string, Begun>
  /** By signature. */
  readonly ended: ReadonlyMap<string, Ended>
  readonly endedByRequestId: ReadonlyMap<string, Ended>
}

function signaturesIn(entries: readonly Entry[]): Signatures {
  const begun = entriesOf(entries, 'signature.begun')
  const ended = [...entriesOf(entries, 'signature.made'), ...entriesOf(entries, 'signature.failed')]
  return {
    begun,
    begunById: by(begun, ({ signature }) => signature),
    begunByNonce: by(begun, ({ nonceSha256 }) => nonceSha256),
    ended: by(ended, ({ signature }) => signature),
    endedByRequestId: by(
      ended.filter(({ vaultRequestId }) => vaultRequestId !== undefined),
      ({ vaultRequestId = '' }) => vaultRequestId,
    ),
  }
}

const signed = (records: readonly VaultRecord[]) =>
  records.filter(
    ({ operationName, properties }) =>
      operationName === 'KeySign' && properties.httpStatusCode === 200,
  )

const isByService = ({ identity }: VaultRecord) => identity.claim?.['oid'] === serviceObjectId

const signedByService = (records: readonly VaultRecord[]) => signed(records).filter(isByService)

function recordViolations(record: VaultRecord, signatures: Signatures): readonly string[] {
  const named = `the signature of record ${record.correlationId}`
  const begun = beginningOf(record, signatures)
  if (begun === undefined) return [`${named} was never begun`]
  const answered = signatures.endedByRequestId.get(record.correlationId)
  const { id, algorithm } = record.properties
  const rules: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [
      answered === undefined || answered.signature === begun.signature,
      `${named} is one by its id and another by its nonce`,
    ],
    [Date.parse(record.time) >= begun.atMs, `${named} was made before it was begun`],
    [id === begun.keyId, `${named} was begun with another key`],
    [algorithm === begun.algorithm, `${named} was begun with another algorithm`],
  ]
  return rules.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise]))
}

/** By the nonce that the service sent along; where the log has none, by the id of the answer. */
function beginningOf(record: VaultRecord, signatures: Signatures): Begun | undefined {
  const nonce = nonceIn(record)
  if (nonce !== undefined) return signatures.begunByNonce.get(hash('sha256', nonce, 'base64url'))
  const ended = signatures.endedByRequestId.get(record.correlationId)
  return signatures.begunById.get(ended?.signature ?? '')
}

export const nonceIn = ({ properties }: VaultRecord): string | undefined =>
  /\(signature-nonce ([A-Za-z0-9_-]{22})\)/.exec(String(properties['clientInfo']))?.[1]

function repeated(ours: readonly VaultRecord[], signatures: Signatures): readonly string[] {
  const beginnings = ours.flatMap((record) => beginningOf(record, signatures)?.signature ?? [])
  const first = new Set<string>()
  return beginnings
    .filter((signature) => first.size === first.add(signature).size)
    .map((signature) => `the vault signed twice for signature ${signature}`)
}

function madeWithoutRecord({ ended }: Signatures, ours: readonly VaultRecord[]): readonly string[] {
  const recorded = new Set(ours.map(({ correlationId }) => correlationId))
  return [...ended.values()]
    .filter((end) => end.kind === 'signature.made' && !recorded.has(end.vaultRequestId))
    .map(({ signature }) => `signature ${signature} was made, and the vault has no record of it`)
}

/** Whoever leads a signature is answered when its end is written, unless nothing can be written. */
function answeredWithoutEnd(
  { begun, ended }: Signatures,
  heard: readonly Heard[],
): readonly string[] {
  const answered = new Set(
    heard.flatMap(({ outcome }) => {
      if (outcome.kind === 'lost') return []
      const unwritten = outcome.kind === 'declined' && outcome.code === 'ledger_unavailable'
      return unwritten ? [] : [outcome.attempt]
    }),
  )
  return begun
    .filter(({ attempt, signature }) => answered.has(attempt) && !ended.has(signature))
    .map(({ attempt }) => `attempt ${attempt} was answered before its signature had an end`)
}

const secretOperations = (records: readonly VaultRecord[]): readonly string[] =>
  records
    .filter((record) => isByService(record) && record.operationName.startsWith('Secret'))
    .map(({ operationName }) => `the service asked the vault for ${operationName}`)
