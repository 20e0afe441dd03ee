import type { Client } from 'pg'
import { withDeadline } from '../base/deadline.ts'
import { cut, type Waits } from '../database-access/connection.ts'
import { chainFault, chainHash, genesis } from './chain.ts'
import type { Link, Row } from './chain.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import { asLedgerDatabaseError, connectToLedger, nameOfLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { ensureSchema } from './ledger-schema.ts'
import { assertDurable } from './server-settings.ts'

/**
 * A connection to a server that keeps what it answers, and to tables that are whole: what is missing
 * is made, where the role may.
 *
 * @throws LedgerDatabaseError
 */
export async function connectToWrite(ledger: LedgerDatabase, waits: Waits): Promise<Client> {
  const client = await connectToLedger(ledger, waits)
  try {
    await withDeadline(waits.connectMs, async () => {
      await assertDurable(client, ledger)
      await ensureSchema(client, ledger)
    })
    return client
  } catch (error) {
    cut(client)
    throw asLedgerDatabaseError(ledger, error)
  }
}

/** The end of the chain, how many times what stands beside it has changed, and what else is counted there. */
export interface Tip extends Link {
  readonly epoch: number
  /** Caller tokens whose uses are remembered. */
  readonly tokensRemembered: number
}

/**
 * Begins a transaction that nobody else can append beside, and returns the verified tip. Statement by
 * statement, so that the entries are looked at after the lock is had: they are then all there will be.
 *
 * @throws LedgerDatabaseError when the tip is not that of the entries; the transaction is still open then.
 */
export async function beginAtTip(client: Client, ledger: LedgerDatabase): Promise<Tip> {
  const begun: unknown = await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ${tipSql()}`,
  )
  return tipFrom(begun, 1, ledger)
}

/**
 * The same in a transaction that is open at that level, as its last step: others wait from here on.
 *
 * @throws LedgerDatabaseError
 */
export async function lockTip(client: Client, ledger: LedgerDatabase): Promise<Tip> {
  return tipFrom((await client.query(tipSql())) as unknown, 0, ledger)
}

const tipSql = () => `
  SELECT sequence, hash, revocation_epoch::float8 AS epoch, tokens_remembered::float8 AS tokens
  FROM tip FOR UPDATE;
  SELECT ${rowColumns} FROM entry ORDER BY sequence DESC LIMIT 2`

/** Several statements in one query are answered by several results, which its type does not know. */
function tipFrom(results: unknown, first: number, ledger: LedgerDatabase): Tip {
  const [tips, entries] = (results as readonly { readonly rows: readonly Columns[] }[]).slice(first)
  return verifiedTip(tips?.rows[0], (entries?.rows ?? []).map(rowFrom), ledger)
}

/** The cheap check: the tip is the last entry, which continues the one before it. */
function verifiedTip(
  stored: Columns | undefined,
  [last, beforeLast]: readonly Row[],
  ledger: LedgerDatabase,
): Tip {
  const tip = stored && {
    ...linkFrom(stored),
    epoch: Number(stored['epoch']),
    tokensRemembered: Number(stored['tokens']),
  }
  const end = last ?? genesis
  const isContinued = last === undefined || !chainFault(beforeLast ?? genesis, last)
  if (tip?.sequence === end.sequence && isSameHash(tip.hash, end.hash) && isContinued) return tip
  throw new LedgerDatabaseError(
    'LEDGER_TIP_BROKEN',
    `the last entry (${end.sequence}) or the tip (${tip?.sequence ?? 'none'}) of ${nameOfLedger(ledger)} does not verify: it was changed outside of Countersign`,
  )
}

/**
 * SQLSTATE of what is said for information only. A warning has another: 01000, unless it says which,
 * as the 57P01 of a server that shuts down while a commit waits for a standby.
 */
const successfulCompletion = '00000'

/** Of what the server says beside its answers. Not by its severity, which is a word in the server's language. */
export const isWarning = ({ code }: { readonly code: string | undefined }): boolean =>
  code !== successfulCompletion

/** A primary that gave up waiting for its standby says so beside an answer like any other. */
export const commitInDoubt = (ledger: LedgerDatabase, warning: string): LedgerDatabaseError =>
  new LedgerDatabaseError(
    'LEDGER_REFUSED',
    `${nameOfLedger(ledger)} leaves a commit in doubt: ${warning}`,
  )

export const isSameHash = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/**
 * One parameter for all hashes and one for all texts, which have no line feed (RFC 8785): arrays of
 * them would be written with every quotation mark escaped, and read again by the server.
 */
const insertAndMove = `
  WITH written AS (
    INSERT INTO entry (sequence, hash, canonical)
    SELECT $1::bigint + nth, substring($2::bytea FROM (32 * nth - 31)::integer FOR 32), canonical
    FROM unnest(string_to_array($3::text, E'\\n')) WITH ORDINALITY AS line (canonical, nth)
    RETURNING 1
  ), moved AS (
    UPDATE tip SET sequence = $4, hash = $5 RETURNING 1
  )
  SELECT (SELECT count(*) FROM written)::integer AS written,
         (SELECT count(*) FROM moved)::integer AS moved`

/**
 * Chains and stores the canonical entries behind the tip, in a transaction that {@link beginAtTip}
 * has begun. Returns the new tip, which counts when the transaction is committed.
 */
export async function insertBehind(
  tip: Link,
  canonicalEntries: readonly string[],
  client: Client,
  ledger: LedgerDatabase,
): Promise<Link> {
  const { hashes, end } = chained(tip, canonicalEntries)
  const { rows } = await client.query<{ written: number; moved: number }>(insertAndMove, [
    tip.sequence,
    hashes,
    canonicalEntries.join('\n'),
    end.sequence,
    end.hash,
  ])
  const [done] = rows
  // A trigger or a rule of somebody else's could leave rows out without an error.
  if (done?.written === canonicalEntries.length && done.moved === 1) return end
  throw new LedgerDatabaseError(
    'LEDGER_REFUSED',
    `${nameOfLedger(ledger)} has not stored every entry: look for triggers and rules on its tables`,
  )
}

function chained(
  tip: Link,
  canonicalEntries: readonly string[],
): { readonly hashes: Buffer; readonly end: Link } {
  const hashes = Buffer.allocUnsafe(32 * canonicalEntries.length)
  let { hash } = tip
  canonicalEntries.forEach((canonical, index) => {
    hash = chainHash(hash, Buffer.from(canonical))
    hashes.set(hash, 32 * index)
  })
  return { hashes, end: { sequence: tip.sequence + canonicalEntries.length, hash } }
}

/** What {@link rowFrom} reads. */
export const rowColumns = 'sequence, hash, canonical'

export type Columns = Readonly<Record<string, unknown>>

export function rowFrom(columns: Columns): Row {
  const { canonical } = columns
  if (typeof canonical !== 'string') throw otherColumns()
  return { ...linkFrom(columns), canonical: Buffer.from(canonical) }
}

function linkFrom({ sequence, hash }: Columns): Link {
  // A bigint comes as text, because not every one of them is a number; ours are.
  const number = typeof sequence === 'string' ? Number(sequence) : Number.NaN
  if (!Number.isSafeInteger(number) || !(hash instanceof Uint8Array)) throw otherColumns()
  return { sequence: number, hash }
}

const otherColumns = () => new TypeError('the table has other columns than the schema')
