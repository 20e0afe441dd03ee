import type { DatabaseSession } from '../database-access/database-session.ts'
import type {
  GenerationName,
  GenerationsKept,
  PolicyGeneration,
  PolicyGenerations,
} from './policy-generations.ts'

export interface PostgresPolicyGenerationsOptions {
  readonly session: DatabaseSession
  /** What the session listens to. */
  readonly channel: string
  readonly kept: GenerationsKept
}

/** Generations in the table `policy_generation`; what it throws is a DatabaseAccessError. */
export function createPostgresPolicyGenerations(
  options: PostgresPolicyGenerationsOptions,
): PolicyGenerations {
  const { session, channel, kept } = options
  const listeners = new Set<() => void>()
  session.listen(() => {
    for (const listener of listeners) listener()
  })
  return {
    find: async (sha256) => {
      const rows = await session.query<GenerationName>(findSql, [sha256])
      const same = rows.filter((row) => row.sha256 === sha256)
      return { newest: rows.at(-1), same: same.map(({ generation }) => generation) }
    },
    read: async (generation) => {
      const rows = await session.query<PolicyGeneration>(readSql, [generation])
      return rows[0]
    },
    publish: async ({ generation, sha256, files }) => {
      const { texts, hashes } = kept
      const added = await session.query(publishSql, [
        ...[generation, sha256, files],
        ...[generation - texts, generation - hashes, channel],
      ])
      return added.length > 0
    },
    watch: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}

const columns = 'generation::float8 AS generation, sha256'

const findSql = `
  SELECT ${columns} FROM policy_generation
  WHERE sha256 = $1 OR generation = (SELECT max(generation) FROM policy_generation)
  ORDER BY policy_generation.generation`

const readSql = `
  SELECT ${columns}, files FROM policy_generation WHERE generation = $1 AND files IS NOT NULL`

/** One statement, so one transaction. Two who saw the same newest meet in the primary key. */
const publishSql = `
  WITH added AS (
    INSERT INTO policy_generation (generation, sha256, files, stored_at)
    SELECT $1::bigint, $2, $3, clock_timestamp()
    WHERE $1::bigint = 1 + (SELECT coalesce(max(generation), 0) FROM policy_generation)
    ON CONFLICT DO NOTHING
    RETURNING 1
  ), emptied AS (
    UPDATE policy_generation SET files = NULL
    WHERE generation > $5::bigint AND generation <= $4::bigint AND files IS NOT NULL
      AND EXISTS (SELECT FROM added)
  ), removed AS (
    DELETE FROM policy_generation
    WHERE generation <= $5::bigint AND EXISTS (SELECT FROM added)
  )
  SELECT pg_notify($6, '') FROM added`
