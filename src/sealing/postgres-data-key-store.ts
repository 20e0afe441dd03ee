import type { DatabaseSession } from '../database-access/database-session.ts'
import type { WrappedDataKey } from './data-key.ts'
import type { DataKeyStore } from './data-key-store.ts'

const columns =
  'generation, key_id AS "keyId", wrapped, created_at_seconds::float8 AS "createdAtSeconds"'

/** One statement, so one transaction: its removal does not see the row that it adds. */
const addNewest = `
  WITH added AS (
    INSERT INTO data_key (generation, key_id, wrapped, created_at_seconds)
    SELECT $1::integer, $2, $3, $4
    WHERE NOT EXISTS (SELECT FROM data_key WHERE generation >= $1::integer)
    ON CONFLICT DO NOTHING
    RETURNING 1
  )
  DELETE FROM data_key WHERE created_at_seconds < $5 AND EXISTS (SELECT FROM added)`

/** Wrapped data keys in the table `data_key`; what it throws is a DatabaseAccessError. */
export function createPostgresDataKeyStore(session: DatabaseSession): DataKeyStore {
  const latest = async () => {
    const rows = await session.query<WrappedDataKey>(
      `SELECT ${columns} FROM data_key ORDER BY generation DESC LIMIT 1`,
      [],
    )
    return rows[0]
  }
  return {
    latest,
    find: async (generation) => {
      const rows = await session.query<WrappedDataKey>(
        `SELECT ${columns} FROM data_key WHERE generation = $1`,
        [generation],
      )
      return rows[0]
    },
    addNewest: async (row, removeMadeBeforeSeconds) => {
      const { generation, keyId, wrapped, createdAtSeconds } = row
      await session.query(addNewest, [
        generation,
        keyId,
        wrapped,
        createdAtSeconds,
        removeMadeBeforeSeconds,
      ])
      const newest = await latest()
      if (newest === undefined) throw new TypeError('a data key was removed while it was added')
      return newest
    },
  }
}
