import { randomUUID } from 'node:crypto'
import type { DatabaseSession } from '../database-access/database-session.ts'
import type { LedgerEnd } from '../ledger/chain.ts'
import { cutRowFrom } from '../ledger/cut.ts'
import { LedgerDatabaseError } from '../ledger/ledger-database-error.ts'
import { ledgerIdFrom } from '../ledger/ledger-id.ts'
import type { HeadSchedule, HeadTurns } from './head-turns.ts'

/** More than a head takes: leave to ask, the vault, and two commits. */
const turnSeconds = 60

interface TakenRow {
  readonly sequence: string
  readonly hash: Buffer
  /** Of the first entry that is there. */
  readonly first: string
  readonly firstHash: Buffer
  /** Null where nothing was pruned. */
  readonly cut: string | null
}

/** Turns in the table `head_turn` of the ledger's database, by its clock. */
export function createPostgresHeadTurns(
  session: DatabaseSession,
  schedule: HeadSchedule,
): HeadTurns {
  const replica = randomUUID()
  return {
    take: async (when) => {
      const { everySeconds, everyEntries } = schedule
      const due = when === 'last' ? [0, 0] : [everySeconds, everyEntries]
      const [row] = await session.query<TakenRow>(takeSql, [replica, turnSeconds, ...due])
      return row && endFrom(row)
    },
    end: async (signed) => {
      await session.query(endSql, [replica, signed ?? null])
    },
  }
}

/** @throws LedgerDatabaseError when it does not begin as a ledger does. */
function endFrom({ sequence, hash, first, firstHash, cut }: TakenRow): LedgerEnd {
  const ledger = ledgerIdFrom(
    cut === null ? { sequence: Number(first), hash: firstHash } : cutRowFrom(Buffer.from(cut)),
  )
  if (ledger === undefined) {
    throw new LedgerDatabaseError(
      'LEDGER_REWOUND',
      'the ledger begins neither with its first entry nor with what stands for those that were pruned',
    )
  }
  return { ledger, tip: { sequence: Number(sequence), hash } }
}

/** Whoever takes a turn locks its row first, and sees what another one has made of it meanwhile. */
const takeSql = `
  WITH taken AS (
    UPDATE head_turn SET replica = $1, ends_at = clock_timestamp() + $2 * interval '1 second'
    FROM tip
    WHERE tip.sequence > 0
      AND (head_turn.replica IS NULL OR head_turn.ends_at < clock_timestamp())
      AND (head_turn.signed_at <= clock_timestamp() - $3::integer * interval '1 second'
           OR tip.sequence - head_turn.sequence >= $4::integer)
    RETURNING tip.sequence, tip.hash
  )
  SELECT taken.sequence, taken.hash, begin.sequence AS first, begin.hash AS "firstHash",
         (SELECT statement FROM cut) AS cut
  FROM taken
  LEFT JOIN (SELECT entry.sequence, entry.hash FROM entry ORDER BY entry.sequence LIMIT 1) AS begin
    ON true`

const endSql = `
  UPDATE head_turn
  SET replica = NULL,
      sequence = coalesce($2::bigint, sequence),
      signed_at = CASE WHEN $2::bigint IS NULL THEN signed_at ELSE clock_timestamp() END
  WHERE replica = $1`
