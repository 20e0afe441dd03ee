import type { Client } from 'pg'
import { disconnect, type Waits } from '../database-access/connection.ts'
import type { ChainFault, Link, Row } from './chain.ts'
import { askingLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { lockWaitMs, openLedgerToRead } from './ledger-file.ts'
import { fileIdentityOf, openLedgerWriter } from './ledger-writer.ts'
import type { LedgerWriter } from './ledger-writer.ts'
import { putStanding } from './postgres-revocations.ts'
import { putUsedTokens } from './postgres-token-uses.ts'
import { beginAtTip, connectToWrite, insertBehind, isSameHash } from './postgres-writer.ts'
import { readRows } from './read.ts'
import { readStanding } from './revocation-tables.ts'
import { usedTokensIn } from './token-use-table.ts'
import { verifyChain } from './verify.ts'

export type Move =
  /** Read back from both sides after the commit. */
  | { readonly moved: true; readonly source: Link; readonly target: Link }
  | { readonly moved: false; readonly why: 'target-not-empty'; readonly tip: Link }
  | {
      readonly moved: false
      readonly why: 'source-broken'
      readonly intactUpTo: Link
      readonly fault: ChainFault
    }

/** Nobody else is served meanwhile, so what takes long may. */
const waits: Waits = { connectMs: 10_000, lockMs: 10_000, answerMs: 60_000 }

/** Entries, or used tokens, that are in memory at a time. */
const pageRows = 1000

/**
 * Copies the ledger of a file into an empty one in PostgreSQL, entry by entry with the same hashes,
 * and verifies the chain as it goes, with what is revoked and what caller tokens were used for. One transaction: all of it is there in the end, or
 * nothing. The file keeps its entries, one of an earlier release is extended as by any writer, and nobody else
 * can write it meanwhile.
 *
 * @throws LedgerFileError when the file is missing, in use, or something else.
 * @throws LedgerDatabaseError when the database cannot be used.
 */
export async function moveLedger(file: string, target: LedgerDatabase): Promise<Move> {
  const writer = claimSource(file)
  try {
    const client = await connectToWrite(target, waits)
    try {
      return await askingLedger(target, () => copy(file, client, target))
    } finally {
      // Whatever is not committed by then is rolled back.
      await disconnect(client)
    }
  } finally {
    writer.close()
  }
}

/** Nobody else writes a file that has a writer. */
function claimSource(file: string): LedgerWriter {
  // The writer makes what is missing; here it must be there.
  openLedgerToRead(file).close()
  const continues = fileIdentityOf(file)
  return openLedgerWriter(file, { lockWaitMs, commitLockWaitMs: lockWaitMs, continues })
}

async function copy(file: string, client: Client, target: LedgerDatabase): Promise<Move> {
  const before = await beginAtTip(client, target)
  if (before.sequence > 0) return { moved: false, why: 'target-not-empty', tip: before }
  let tip: Link = before
  for (const page of pagesOf(readRows(file))) {
    const verification = verifyChain(page, tip)
    if (!verification.ok) return { moved: false, why: 'source-broken', ...verification }
    tip = await insertBehind(tip, page.map(textOf), client, target)
    if (!isSameHash(tip.hash, verification.tip.hash)) {
      // Bytes that are no UTF-8 verify as they are, and no text has them.
      throw new Error(`an entry of ${file} up to ${tip.sequence} is not UTF-8`)
    }
  }
  await putBeside(file, client)
  await client.query('COMMIT')
  const stored = await beginAtTip(client, target)
  return { moved: true, source: tip, target: stored }
}

/** What stands beside the chain. */
async function putBeside(file: string, client: Client): Promise<void> {
  const db = openLedgerToRead(file)
  try {
    await putStanding(readStanding(db), client)
    for (const page of pagesOf(usedTokensIn(db))) await putUsedTokens(page, client)
  } finally {
    db.close()
  }
}

const textOf = ({ canonical }: Row) => Buffer.from(canonical).toString()

function* pagesOf<R>(rows: Iterable<R>): Generator<readonly R[], void, undefined> {
  let page: R[] = []
  for (const row of rows) {
    page.push(row)
    if (page.length < pageRows) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}
