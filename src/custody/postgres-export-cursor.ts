import { randomUUID } from 'node:crypto'
import type { DatabaseSession } from '../database-access/database-session.ts'
import { genesis, type Link } from '../ledger/chain.ts'
import type { ExportCursor } from './export-cursor.ts'

/** More than one request takes, after each of which the turn is renewed. */
const turnSeconds = 60

interface CursorRow {
  readonly sequence: string
  readonly hash: Buffer
}

/**
 * In the table `export_cursor` of the ledger's database, with whose turn it is by the database's clock. Two
 * replicas may both send for a moment, when one has stood still for longer than a turn: rows then arrive twice.
 */
export function createPostgresExportCursor(
  session: DatabaseSession,
  destination: string,
): ExportCursor {
  const replica = randomUUID()
  return {
    take: async () => {
      const [row] = await session.query<CursorRow>(takeSql, [
        destination,
        replica,
        turnSeconds,
        genesis.hash,
      ])
      return row && linkFrom(row)
    },
    advance: async ({ sequence, hash }) => {
      const moved = await session.query(advanceSql, [
        destination,
        replica,
        turnSeconds,
        sequence,
        hash,
      ])
      return moved.length > 0
    },
    release: async () => {
      await session.query(releaseSql, [destination, replica])
    },
  }
}

const linkFrom = ({ sequence, hash }: CursorRow): Link => ({ sequence: Number(sequence), hash })

const takeSql = `
  INSERT INTO export_cursor AS known (destination, sequence, hash, replica, ends_at)
  VALUES ($1, 0, $4, $2, clock_timestamp() + $3 * interval '1 second')
  ON CONFLICT (destination) DO UPDATE SET replica = excluded.replica, ends_at = excluded.ends_at
  WHERE known.replica = excluded.replica OR known.ends_at < clock_timestamp()
  RETURNING sequence, hash`

const advanceSql = `
  UPDATE export_cursor
  SET sequence = $4, hash = $5, ends_at = clock_timestamp() + $3 * interval '1 second'
  WHERE destination = $1 AND replica = $2
  RETURNING sequence`

const releaseSql = `
  UPDATE export_cursor SET ends_at = '-infinity'
  WHERE destination = $1 AND replica = $2`
