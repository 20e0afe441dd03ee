import { isoTimeFrom } from '../base/clock.ts'
import { isObject } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import type { Row } from '../ledger/chain.ts'
import type { CallerOnRecord, Entry } from '../ledger/entry.ts'

/** What a column of a Log Analytics table may be. */
export type ColumnType = 'datetime' | 'long' | 'string' | 'boolean'

/**
 * The columns of an entry as a flat row, for whoever searches logs. `TenantId`, `Type` and `Id` belong to Log
 * Analytics (reserved), hence `EntraTenant`, `Kind` and `EntryId`. Columns may be added, and never change their type.
 */
export const entryColumns = {
  /** Of the entry. Azure replaces one that is more than two days old; `At` stays. */
  TimeGenerated: 'datetime',
  At: 'datetime',
  /**
   * The entry's hash in hexadecimal, which no other entry of any ledger has: a row that was sent twice is told
   * from one that differs.
   */
  EntryId: 'string',
  /** `publicUrl` of the deployment. */
  Deployment: 'string',
  Sequence: 'long',
  Kind: 'string',
  Attempt: 'string',
  CallerIssuer: 'string',
  CallerSubject: 'string',
  Grant: 'string',
  Application: 'string',
  EntraTenant: 'string',
  Scope: 'string',
  /** Why not: of a refusal, a switch of certificates, a revocation. */
  Reason: 'string',
  /** Of a failure. */
  Code: 'string',
  /** Whether the vault or Entra may have acted: `no` or `unknown`. */
  Applied: 'string',
  SignatureId: 'string',
  Purpose: 'string',
  /** `https://{vault}/keys/{name}/{version}`. */
  KeyId: 'string',
  KeyVersion: 'string',
  Algorithm: 'string',
  Digest: 'string',
  NonceSha256: 'string',
  /** `CorrelationId` of the record in `AZKVAuditLogs`. */
  VaultRequestId: 'string',
  ExchangeId: 'string',
  /** Entra's, which its sign-in log repeats. */
  TraceId: 'string',
  /** `UniqueTokenIdentifier` of the sign-in log. */
  Uti: 'string',
  ObtainedBy: 'string',
  TokenSha256: 'string',
  AssertionSha256: 'string',
  /** Of what was signed or issued. */
  ExpiresAt: 'datetime',
  Revocation: 'string',
  /** The canonical JSON that was hashed: with all rows of a deployment the chain can be checked anew. */
  Entry: 'string',
  /** `Entry` or another text is longer than a column may be, and was cut: only the ledger has all of it. */
  IsCut: 'boolean',
} as const satisfies Readonly<Record<string, ColumnType>>

/** What stands in a column of that type. */
export type ValueOf<Type extends ColumnType> = Type extends 'long'
  ? number
  : Type extends 'boolean'
    ? boolean
    : string

/** A column that an entry says nothing about is absent. */
export type EntryRow = {
  readonly [Name in keyof typeof entryColumns]?: ValueOf<(typeof entryColumns)[Name]>
}

/** Azure cuts a field behind 64 KB without a word; with what JSON needs around it, ours stay below. */
export const fieldBytesMax = 60_000

/**
 * The row of a stored entry. Pure. All that it holds is in the entry: no token and no assertion that lives,
 * because no entry has one.
 *
 * @param deployment Tells ledgers apart that are sent to one table.
 */
export function entryRowFrom({ sequence, hash, canonical }: Row, deployment: string): EntryRow {
  const text = Buffer.from(canonical).toString('utf8')
  const row = {
    EntryId: Buffer.from(hash).toString('hex'),
    Deployment: deployment,
    Sequence: sequence,
    ...entryColumnsOf(text),
    Entry: text,
  }
  const cut = Object.entries(row).map(([name, value]) => [name, cutToField(value)] as const)
  const isCut = cut.some(([, { wasCut }]) => wasCut)
  return {
    ...Object.fromEntries(cut.map(([name, { value }]) => [name, value])),
    ...(isCut ? { IsCut: true } : {}),
  }
}

/** What the service has not written is sent all the same, and can be looked for. */
export const notUnderstood = 'not-understood'

function entryColumnsOf(text: string): EntryRow {
  const entry = parsedEntry(text)
  if (entry === undefined) return { Kind: notUnderstood }
  const at = isoTimeFrom(entry.atMs)
  return { TimeGenerated: at, At: at, Kind: entry.kind, ...memberColumns(entry) }
}

/** The longest time that there is a date for (ECMA-262 §21.4.1.1). */
const epochMsMax = 8.64e15

/** Undefined for a text that somebody has put into the tables. */
function parsedEntry(text: string): Entry | undefined {
  const value = parseJson(text)
  return isEntry(value) ? value : undefined
}

const isEntry = (value: unknown): value is Entry =>
  typeof value === 'object' &&
  value !== null &&
  'kind' in value &&
  typeof value.kind === 'string' &&
  'atMs' in value &&
  typeof value.atMs === 'number' &&
  Math.abs(value.atMs) <= epochMsMax

/** Members that have the same meaning in every entry, and the columns that they go to. */
const columnOfMember = {
  attempt: 'Attempt',
  grant: 'Grant',
  application: 'Application',
  tenant: 'EntraTenant',
  scope: 'Scope',
  reason: 'Reason',
  code: 'Code',
  applied: 'Applied',
  signature: 'SignatureId',
  purpose: 'Purpose',
  keyId: 'KeyId',
  algorithm: 'Algorithm',
  digest: 'Digest',
  nonceSha256: 'NonceSha256',
  vaultRequestId: 'VaultRequestId',
  exchange: 'ExchangeId',
  traceId: 'TraceId',
  uti: 'Uti',
  obtainedBy: 'ObtainedBy',
  tokenSha256: 'TokenSha256',
  assertionSha256: 'AssertionSha256',
  revocation: 'Revocation',
} as const satisfies Readonly<Record<string, keyof EntryRow>>

/** Named one by one: a member that some later entry has is in `Entry`, and in no column by accident. */
function memberColumns(entry: Entry): EntryRow {
  const members = new Map<string, unknown>(Object.entries(entry))
  const texts = Object.entries(columnOfMember).flatMap(([member, column]) => {
    const value = members.get(member)
    return typeof value === 'string' ? [[column, textFor(column, value)]] : []
  })
  const expiresAtSeconds = members.get('expiresAtSeconds')
  const keyId = members.get('keyId')
  return {
    ...(Object.fromEntries(texts) as EntryRow),
    ...callerColumns(members.get('caller')),
    ...(typeof keyId === 'string' ? { KeyVersion: keyId.slice(keyId.lastIndexOf('/') + 1) } : {}),
    ...(typeof expiresAtSeconds === 'number' && Math.abs(expiresAtSeconds) <= epochMsMax / 1000
      ? { ExpiresAt: isoTimeFrom(expiresAtSeconds * 1000) }
      : {}),
  }
}

function callerColumns(caller: unknown): EntryRow {
  if (!isObject(caller)) return {}
  const { issuer, subject }: { readonly [Name in keyof CallerOnRecord]?: unknown } = caller
  return {
    ...(typeof issuer === 'string' ? { CallerIssuer: issuer } : {}),
    ...(typeof subject === 'string' ? { CallerSubject: textFor('CallerSubject', subject) } : {}),
  }
}

/** Whoever asks decides what stands in these; `Entry` has it as it was. */
const columnsOfCallers: ReadonlySet<string> = new Set([
  'CallerSubject',
  'Application',
  'EntraTenant',
  'Scope',
] satisfies (keyof EntryRow)[])

const textFor = (column: string, text: string): string =>
  columnsOfCallers.has(column) ? inertText(text) : text

/**
 * A spreadsheet that rows are exported to takes texts that begin like this for formulas: an apostrophe before
 * them makes them texts. Entra's subjects are hashes, which may begin with a hyphen and stay as they are.
 */
const inertText = (text: string): string =>
  /^[=+@\t\r\n]|^-(?![\w-]{42}$)/.test(text) ? `'${text}` : text

interface Field {
  readonly value: unknown
  readonly wasCut: boolean
}

function cutToField(value: unknown): Field {
  if (typeof value !== 'string' || Buffer.byteLength(value) <= fieldBytesMax) {
    return { value, wasCut: false }
  }
  const bytes = Buffer.from(value).subarray(0, fieldBytesMax)
  // A character that is cut in two would be replaced by one that was never there.
  return { value: bytes.toString('utf8').replace(/\uFFFD+$/, ''), wasCut: true }
}
