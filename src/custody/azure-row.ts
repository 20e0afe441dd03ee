import { isoTimeFrom } from '../base/clock.ts'
import type { Row } from '../ledger/chain.ts'

/**
 * One entry as a row of a custom table of Log Analytics: flat, and under the same `EntryId` whenever it is sent
 * again, because duplicates are not removed there. `Entry` is the entry as it was hashed; what is beside it
 * repeats parts of it, for queries. None of the names is reserved (`TenantId`, `Type`, `Title`, `id` are).
 */
export interface AzureRow {
  /** Azure puts its own time in place of one that is older than two days: `EntryTime` stays. */
  readonly TimeGenerated: string
  readonly EntryTime: string
  /** `LedgerId/Sequence`. */
  readonly EntryId: string
  readonly LedgerId: string
  readonly Sequence: number
  /** Hexadecimal. */
  readonly Hash: string
  readonly Kind: string
  readonly Entry: string
  /** Longer than a field may be, so it does not hash to what it should; otherwise absent. */
  readonly EntryIsCut?: true
  readonly [column: string]: string | number | true | undefined
}

/** Columns, and the members that they repeat. What is not there has none. */
const columns: readonly (readonly [column: string, path: readonly string[]])[] = [
  ['Attempt', ['attempt']],
  ['Exchange', ['exchange']],
  ['Signature', ['signature']],
  ['ObtainedBy', ['obtainedBy']],
  ['CallerIssuer', ['caller', 'issuer']],
  ['CallerSubject', ['caller', 'subject']],
  ['CallerTokenSha256', ['caller', 'tokenSha256']],
  ['Grant', ['grant']],
  ['Application', ['application']],
  ['TargetTenant', ['tenant']],
  ['Scope', ['scope']],
  ['Purpose', ['purpose']],
  ['KeyId', ['keyId']],
  ['VaultRequestId', ['vaultRequestId']],
  ['TraceId', ['traceId']],
  ['Uti', ['uti']],
  ['TokenSha256', ['tokenSha256']],
  ['AssertionSha256', ['assertionSha256']],
  ['ExpiresAtSeconds', ['expiresAtSeconds']],
  ['Code', ['code']],
  ['Reason', ['reason']],
]

/** Log Analytics cuts longer fields without a word. */
const fieldBytesMax = 64 * 1024

/** @param ledger Tells ledgers apart: base64url of the hash of the first entry. */
export function azureRow(ledger: string, { sequence, hash, canonical }: Row): AzureRow {
  const text = Buffer.from(canonical).toString()
  const entry = JSON.parse(text) as Readonly<Record<string, unknown>>
  const time = isoTimeFrom(typeof entry['atMs'] === 'number' ? entry['atMs'] : 0)
  return {
    TimeGenerated: time,
    EntryTime: time,
    EntryId: `${ledger}/${sequence}`,
    LedgerId: ledger,
    Sequence: sequence,
    Hash: Buffer.from(hash).toString('hex'),
    Kind: String(entry['kind']),
    ...Object.fromEntries(columns.flatMap(([column, path]) => cellOf(column, path, entry))),
    ...(canonical.length <= fieldBytesMax
      ? { Entry: text }
      : { Entry: text.slice(0, fieldBytesMax / 4), EntryIsCut: true as const }),
  }
}

function cellOf(
  column: string,
  path: readonly string[],
  entry: Readonly<Record<string, unknown>>,
): readonly (readonly [string, string | number])[] {
  let value: unknown = entry
  for (const name of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[name]
  if (typeof value === 'number') return [[column, value]]
  return typeof value === 'string' ? [[column, inertText(value)]] : []
}

/**
 * Who asks decides what some texts are, and a spreadsheet that rows are exported to takes those that begin
 * like this for formulas: an apostrophe before them makes them texts. Hashes, which may begin with a hyphen,
 * are no words that anybody could choose, and stay as they are.
 */
const inertText = (text: string): string =>
  /^[=+@\t\r\n]|^-(?![\w-]{42}$)/.test(text) ? `'${text}` : text
