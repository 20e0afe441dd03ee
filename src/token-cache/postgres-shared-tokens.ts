import { hash, randomUUID } from 'node:crypto'
import { createBatches } from '../database-access/batches.ts'
import type { DatabaseSession } from '../database-access/database-session.ts'
import type {
  Drops,
  FlightSeen,
  Lease,
  ListedToken,
  SealedToken,
  SharedTokens,
  StoredToken,
} from './shared-tokens.ts'
import type { TokenKeyText } from './token-key.ts'

export interface PostgresSharedTokensOptions {
  readonly session: DatabaseSession
  /** What the session listens to. */
  readonly channel: string
  /** How long a lease lasts unless it is renewed. */
  readonly leaseMs: number
}

/** What this replica is to share, and whether it may. */
export interface PostgresSharedTokens extends SharedTokens {
  /** @throws DatabaseAccessError */
  prove(): Promise<void>
}

/** Of one statement; tokens are some KiB each. */
const itemsMax = 500

/**
 * Tokens and flights in the tables `shared_token` and `shared_flight`. What many ask at one moment is
 * one statement. Each locks its rows in the order of their keys, so that no two wait for one another.
 */
export function createPostgresSharedTokens(
  options: PostgresSharedTokensOptions,
): PostgresSharedTokens {
  const { session, channel, leaseMs } = options
  const hints = createHints(session)

  const find = createBatches(itemsMax, async (keys: readonly TokenKeyText[]) => {
    const rows = await session.query<StoredToken & { readonly key: string }>(findSql, [keys])
    const found = new Map(rows.map((row) => [row.key, row]))
    return keys.map((key) => found.get(key))
  })
  const flight = createBatches(itemsMax, async (keys: readonly TokenKeyText[]) => {
    const rows = await session.query<FlightRow>(flightSql, [keys])
    const found = new Map(rows.map((row) => [row.key, flightFrom(row)]))
    return keys.map((key) => found.get(key))
  })
  const lead = createBatches(itemsMax, async (keys: readonly TokenKeyText[]) => {
    const leases = keys.map((key): Lease => ({ key, id: randomUUID() }))
    const given = idsIn(await session.query<Given>(leadSql, [...columnsOf(leases), leaseMs]))
    return leases.map((lease) => (given.has(lease.id) ? lease : undefined))
  })
  const renew = createBatches(itemsMax, async (leases: readonly Lease[]) => {
    const renewed = idsIn(await session.query<Given>(renewSql, [...columnsOf(leases), leaseMs]))
    return leases.map(({ id }) => renewed.has(id))
  })
  const land = createBatches(itemsMax, async (landings: readonly Landing[]) => {
    const landed = idsIn(
      await session.query<Given>(landSql, [
        ...columnsOf(landings.map(({ lease }) => lease)),
        landings.map(({ token }) => token.sealed),
        landings.map(({ token }) => token.expiresAtSeconds),
        landings.map(({ token }) => token.grant),
        landings.map(({ token }) => token.keyId),
        landings.map(({ lease }) => hintFor(lease.key)),
        channel,
      ]),
    )
    return landings.map(({ lease }) => landed.has(lease.id))
  })
  const giveUp = createBatches(itemsMax, async (ends: readonly End[]) => {
    await session.query(giveUpSql, [
      ...columnsOf(ends.map(({ lease }) => lease)),
      ends.map(({ failure }) => failure ?? null),
      ends.map(({ lease }) => hintFor(lease.key)),
      channel,
    ])
    return ends.map(() => undefined)
  })

  return {
    find,
    lead,
    flight,
    renew,
    land: (lease, token) => land({ lease, token }),
    giveUp: (lease, failure) => giveUp({ lease, failure }),
    list: (after = '') => session.query<ListedToken>(listSql, [after, itemsMax]),
    drop: async (keys) => {
      if (keys.length > 0) await session.query(dropSql, [keys, channel, dropHint])
    },
    remove: async (listed) => {
      const columns = [listed.map(({ key }) => key), listed.map(({ keyId }) => keyId)]
      if (listed.length > 0) await session.query(removeSql, columns)
    },
    dropsSince: async (epoch) => {
      const rows = await session.query<DropRow>(dropsSql, [epoch])
      return dropsFrom(epoch, rows)
    },
    tidy: async () => {
      for (const sql of tidySql) await session.query(sql, [])
    },
    watch: hints.watch,
    watchDrops: (listener) => {
      session.listen((hint) => {
        if (hint === dropHint) listener()
      })
    },
    prove: async () => {
      await session.query(proveSql, [])
    },
  }
}

interface Landing {
  readonly lease: Lease
  readonly token: SealedToken
}

interface End {
  readonly lease: Lease
  readonly failure: string | undefined
}

interface Given {
  readonly lease: string
}

interface FlightRow {
  readonly key: string
  readonly lease: string
  readonly failure: string | null
  readonly lasts: boolean
}

const columnsOf = (leases: readonly Lease[]) => [
  leases.map(({ key }) => key),
  leases.map(({ id }) => id),
]

const idsIn = (rows: readonly Given[]) => new Set(rows.map(({ lease }) => lease))

function flightFrom({ lease, failure, lasts }: FlightRow): FlightSeen {
  if (failure !== null) return { leaseId: lease, state: 'failed', failure }
  return { leaseId: lease, state: lasts ? 'under-way' : 'abandoned' }
}

/** Reads nothing, and is refused where a right is missing. */
const proveSql = `
  SELECT FROM shared_token, shared_flight, entry WHERE false`

const findSql = `
  SELECT key, sealed, expires_at_seconds::float8 AS "expiresAtSeconds",
         grant_name AS "grant", key_id AS "keyId",
         (extract(epoch FROM clock_timestamp() - stored_at) * 1000)::float8 AS "ageMs"
  FROM shared_token WHERE key = ANY ($1::text[])`

const flightSql = `
  SELECT key, lease, failure, ends_at > clock_timestamp() AS lasts
  FROM shared_flight WHERE key = ANY ($1::text[])`

/** One key may be asked for twice, and a row can be written once in a statement. */
const leadSql = `
  INSERT INTO shared_flight AS held (key, lease, ends_at)
  SELECT DISTINCT ON (key) key, lease, clock_timestamp() + $3 * interval '1 millisecond'
  FROM unnest($1::text[], $2::uuid[]) AS wanted (key, lease)
  ORDER BY key
  ON CONFLICT (key) DO UPDATE
  SET lease = excluded.lease, ends_at = excluded.ends_at, failure = NULL
  WHERE held.ends_at <= clock_timestamp() OR held.failure IS NOT NULL
  RETURNING lease`

/** The leases that are not over, locked. */
const heldBy = (columns: string, types: string) => `
  held AS (
    SELECT mine.*
    FROM shared_flight AS flight JOIN unnest(${types}) AS mine (${columns}) USING (key)
    WHERE flight.lease = mine.lease AND flight.failure IS NULL
    ORDER BY flight.key FOR UPDATE OF flight
  )`

const renewSql = `
  WITH ${heldBy('key, lease', '$1::text[], $2::uuid[]')}
  UPDATE shared_flight AS flight
  SET ends_at = clock_timestamp() + $3 * interval '1 millisecond'
  FROM held WHERE flight.key = held.key
  RETURNING flight.lease`

const landSql = `
  WITH ${heldBy(
    'key, lease, sealed, expires, grant_name, key_id, hint',
    '$1::text[], $2::uuid[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[]',
  )}, ended AS (
    DELETE FROM shared_flight AS flight USING held WHERE flight.key = held.key
  ), stored AS (
    INSERT INTO shared_token (key, sealed, expires_at_seconds, grant_name, key_id, stored_at)
    SELECT key, sealed, expires, grant_name, key_id, clock_timestamp() FROM held
    ON CONFLICT (key) DO UPDATE
    SET sealed = excluded.sealed, expires_at_seconds = excluded.expires_at_seconds,
        grant_name = excluded.grant_name, key_id = excluded.key_id, stored_at = excluded.stored_at
  )
  SELECT lease, pg_notify($8, hint) FROM held`

const giveUpSql = `
  WITH ${heldBy('key, lease, failed, hint', '$1::text[], $2::uuid[], $3::text[], $4::text[]')}, ended AS (
    DELETE FROM shared_flight AS flight
    USING held WHERE flight.key = held.key AND held.failed IS NULL
  ), failed AS (
    UPDATE shared_flight AS flight SET failure = held.failed
    FROM held WHERE flight.key = held.key AND held.failed IS NOT NULL
  )
  SELECT pg_notify($5, hint) FROM held`

const listSql = `
  SELECT key, grant_name AS "grant", key_id AS "keyId"
  FROM shared_token WHERE key > $1 ORDER BY key LIMIT $2`

/** The row with the epoch is locked until the end, so that one drop follows another. */
const dropSql = `
  WITH next AS (
    UPDATE shared_epoch SET epoch = epoch + 1 RETURNING epoch
  ), flights AS (
    DELETE FROM shared_flight WHERE key IN (
      SELECT key FROM shared_flight WHERE key = ANY ($1::text[]) ORDER BY key FOR UPDATE
    )
  ), tokens AS (
    DELETE FROM shared_token WHERE key = ANY ($1::text[])
  ), said AS (
    INSERT INTO shared_drop (epoch, key, dropped_at)
    SELECT DISTINCT next.epoch, wanted.key, clock_timestamp()
    FROM next, unnest($1::text[]) AS wanted (key)
  )
  SELECT pg_notify($2, $3)`

const removeSql = `
  DELETE FROM shared_token WHERE key IN (
    SELECT key
    FROM shared_token AS token
    JOIN unnest($1::text[], $2::text[]) AS listed (key, key_id) USING (key)
    WHERE token.key_id = listed.key_id
    ORDER BY key FOR UPDATE OF token
  )`

interface DropRow {
  readonly latest: number
  readonly epoch: number | null
  readonly key: string | null
}

const dropsSql = `
  SELECT now.epoch::float8 AS latest, dropped.epoch::float8 AS epoch, dropped.key
  FROM shared_epoch AS now
  LEFT JOIN shared_drop AS dropped ON dropped.epoch > $1 AND dropped.epoch <= now.epoch`

function dropsFrom(since: number, rows: readonly DropRow[]): Drops {
  const latest = rows[0]?.latest ?? since
  const known = new Set(rows.flatMap(({ epoch }) => epoch ?? []))
  const keys = new Set(rows.flatMap(({ key }) => key ?? []))
  // An epoch without a row was tidied away; one below ours is another database's.
  return { epoch: latest, keys: known.size === latest - since ? keys : undefined }
}

/** What others are at work on stays for the next time. Drops are kept for replicas that cannot ask for an hour. */
const tidySql = [
  `DELETE FROM shared_token WHERE key IN (
     SELECT key FROM shared_token
     WHERE expires_at_seconds < extract(epoch FROM clock_timestamp())
     LIMIT 10000 FOR UPDATE SKIP LOCKED)`,
  `DELETE FROM shared_flight WHERE key IN (
     SELECT key FROM shared_flight
     WHERE ends_at < clock_timestamp() - interval '1 minute'
     LIMIT 10000 FOR UPDATE SKIP LOCKED)`,
  `DELETE FROM shared_drop WHERE dropped_at < clock_timestamp() - interval '1 hour'`,
]

/** No hint for a key is as short. */
const dropHint = 'dropped'

/** Says which key, to those who know it. */
const hintFor = (key: TokenKeyText) => hash('sha256', key, 'base64url')

function createHints(session: DatabaseSession): Pick<SharedTokens, 'watch'> {
  const listeners = new Map<string, Set<() => void>>()
  session.listen((hint) => {
    for (const listener of listeners.get(hint) ?? []) listener()
  })
  return {
    watch: (key, listener) => {
      const hint = hintFor(key)
      const ofKey = listeners.get(hint) ?? new Set()
      listeners.set(hint, ofKey.add(listener))
      return () => {
        ofKey.delete(listener)
        if (ofKey.size === 0 && listeners.get(hint) === ofKey) listeners.delete(hint)
      }
    },
  }
}
