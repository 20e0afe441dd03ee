import type { Client } from 'pg'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import { nameOfLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'

/**
 * The tables of a ledger in PostgreSQL, and how they come about: forward, in numbered steps. Programs
 * of different versions run side by side, because a step only ever adds; one that cannot says so in
 * `usableFrom`, and older programs then refuse.
 */

export interface SchemaStep {
  /** One more than the step before; the first is 1. */
  readonly version: number
  /** The oldest version of the tables that a program may have been written for, and still use these. */
  readonly usableFrom: number
  readonly sql: string
}

/**
 * The attempt of an entry, and whether it says that an exchange succeeded: written alike in the index and
 * in the question. As text, because a text of Entra's may be no JSON to PostgreSQL (a zero character),
 * and an index must not keep an entry from being written. Nothing before `attempt` is text of others, and a
 * quotation mark in one has a backslash before it (RFC 8785). Each entry that is appended is searched for
 * the kind, which costs a seventh of what LIKE does.
 */
export const exchangeAttempt = `substring(canonical FROM '"attempt":"([0-9a-f-]{36})"')`
export const isExchangeSucceeded = `strpos(canonical, '"kind":"exchange.succeeded"') > 0`

/**
 * Entries are text, so that people can read them; their UTF-8 bytes are what is hashed. The tip stands
 * in one row, which whoever appends locks: that is what makes one chain of all replicas' entries.
 *
 * Step 2 is for what replicas share beside the chain, of which this file knows no more than where it is
 * kept. Tokens and flights may be lost with the server's memory, and are never in its log: unlogged. The
 * epochs of what was dropped stand in one row, so that none is seen before the ones below it.
 *
 * Step 3 is the budget of each vault, which replicas lease units of. Leases are as durable as entries:
 * what forgot them would let a vault be asked for more than it allows. Who waits may be forgotten.
 *
 * Step 4 is the policy that all replicas have in force: the newest generation, as durable as entries.
 *
 * Step 5 is what is revoked: beside the chain, so that nothing which is done to that takes one away. Their
 * epoch stands in the row that whoever appends locks and reads anyway. A program that does not look at it
 * would issue what is revoked, so none may use these tables any more.
 *
 * Step 6 is what caller tokens were used for, taken in the transaction that stores the entries which it is
 * for. The row that it locks and reads anyway counts them, because counting rows takes as long as there are
 * many. A program that does not look at them gives what it always gave, beside later ones that count.
 *
 * Step 7 is whose turn it is to sign a head of the chain, and what the last one stands for.
 * Step 8 is how far each place that entries are sent to was told of them, and which replica sends.
 *
 * Step 9 is for what stands at the beginning when entries were pruned. Until then nothing is in it, and programs
 * that do not know of it may use the ledger; whoever puts something there sees to it that they no longer do.
 */
export const schemaSteps: readonly SchemaStep[] = [
  {
    version: 1,
    usableFrom: 1,
    sql: `
      CREATE TABLE entry (
        sequence bigint PRIMARY KEY CHECK (sequence > 0),
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        canonical text NOT NULL
      );
      CREATE TABLE tip (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        sequence bigint NOT NULL,
        hash bytea NOT NULL
      );
      INSERT INTO tip (sequence, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
    `,
  },
  {
    version: 2,
    usableFrom: 1,
    sql: `
      CREATE INDEX exchange_succeeded ON entry (${exchangeAttempt}) WHERE ${isExchangeSucceeded};
      CREATE TABLE data_key (
        generation integer PRIMARY KEY CHECK (generation > 0),
        key_id text NOT NULL,
        wrapped bytea NOT NULL,
        created_at_seconds bigint NOT NULL
      );
      CREATE UNLOGGED TABLE shared_token (
        key text PRIMARY KEY,
        sealed bytea NOT NULL,
        expires_at_seconds bigint NOT NULL,
        grant_name text NOT NULL,
        key_id text NOT NULL,
        stored_at timestamptz NOT NULL
      );
      CREATE UNLOGGED TABLE shared_flight (
        key text PRIMARY KEY,
        lease uuid NOT NULL,
        ends_at timestamptz NOT NULL,
        failure text
      );
      CREATE TABLE shared_epoch (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        epoch bigint NOT NULL
      );
      INSERT INTO shared_epoch (epoch) VALUES (0);
      CREATE TABLE shared_drop (
        epoch bigint NOT NULL,
        key text NOT NULL,
        dropped_at timestamptz NOT NULL,
        PRIMARY KEY (epoch, key)
      );
    `,
  },
  {
    version: 3,
    usableFrom: 1,
    sql: `
      CREATE TABLE unit_budget (
        name text PRIMARY KEY,
        traded_at timestamptz NOT NULL
      );
      CREATE TABLE unit_lease (
        id uuid PRIMARY KEY,
        budget text NOT NULL,
        units integer NOT NULL CHECK (units >= 0),
        -- When they should be free, if the vault is asked at once; and when they surely are.
        returns_at timestamptz NOT NULL,
        counts_until timestamptz NOT NULL
      );
      CREATE INDEX unit_lease_of_budget ON unit_lease (budget);
      CREATE UNLOGGED TABLE unit_wish (
        budget text NOT NULL,
        replica uuid NOT NULL,
        needed integer NOT NULL,
        waiting integer NOT NULL,
        since timestamptz NOT NULL,
        ends_at timestamptz NOT NULL,
        PRIMARY KEY (budget, replica)
      );

      CREATE FUNCTION trade_units(
        in_budget text, in_units_max integer, in_replica uuid,
        in_needed integer, in_wanted integer, in_waiting integer, in_lease uuid,
        in_reported uuid[], in_reported_units integer[], in_reported_over boolean[],
        in_charged integer,
        in_counts_ms integer, in_window_ms integer, in_place_ms integer,
        OUT granted integer, OUT free integer, OUT kept integer,
        OUT returns_in_ms integer[], OUT returns_units integer[], OUT others integer[]
      ) LANGUAGE plpgsql AS $body$
      DECLARE
        ms CONSTANT interval := interval '1 millisecond';
        moment timestamptz;
        waits_since timestamptz;
        unserved integer;
      BEGIN
        -- One trade follows another. What comes next sees all that was done before this lock was had,
        -- because each statement of a function looks anew; where the isolation forbids that, this fails.
        INSERT INTO unit_budget (name, traded_at) VALUES (in_budget, clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET traded_at = excluded.traded_at;
        moment := clock_timestamp();

        UPDATE unit_lease AS lease
        SET units = report.units,
            returns_at = CASE WHEN report.over THEN moment + in_window_ms * ms ELSE lease.returns_at END,
            counts_until = CASE WHEN report.over THEN moment + in_window_ms * ms ELSE lease.counts_until END
        FROM unnest(in_reported, in_reported_units, in_reported_over) AS report (id, units, over)
        WHERE lease.id = report.id AND lease.budget = in_budget;
        IF in_charged > 0 THEN
          INSERT INTO unit_lease (id, budget, units, returns_at, counts_until)
          VALUES (gen_random_uuid(), in_budget, in_charged, moment + in_window_ms * ms, moment + in_window_ms * ms);
        END IF;
        DELETE FROM unit_lease WHERE budget = in_budget AND (units = 0 OR counts_until < moment);
        -- Nothing counts for that long: the clock of the server was set back.
        UPDATE unit_lease SET returns_at = moment + interval '1 minute', counts_until = moment + interval '1 minute'
        WHERE budget = in_budget AND counts_until > moment + interval '1 minute';
        DELETE FROM unit_wish WHERE budget = in_budget AND (ends_at < moment OR since > moment);

        SELECT in_units_max - coalesce(sum(units), 0) INTO free FROM unit_lease WHERE budget = in_budget;
        SELECT since INTO waits_since FROM unit_wish WHERE budget = in_budget AND replica = in_replica;
        SELECT coalesce(sum(needed), 0) INTO kept FROM unit_wish
        WHERE budget = in_budget AND replica <> in_replica AND since < coalesce(waits_since, moment);

        granted := 0;
        IF in_needed > 0 AND free - kept >= in_needed THEN
          granted := least(in_wanted, free - kept);
          free := free - granted;
          waits_since := NULL;
          INSERT INTO unit_lease (id, budget, units, returns_at, counts_until)
          VALUES (in_lease, in_budget, granted,
                  moment + in_window_ms * ms, moment + in_counts_ms * ms);
        END IF;

        unserved := in_waiting - granted;
        IF unserved > 0 THEN
          INSERT INTO unit_wish (budget, replica, needed, waiting, since, ends_at)
          VALUES (in_budget, in_replica, least(in_needed, unserved), unserved,
                  coalesce(waits_since, moment), moment + in_place_ms * ms)
          ON CONFLICT (budget, replica) DO UPDATE
          SET needed = excluded.needed, waiting = excluded.waiting,
              since = excluded.since, ends_at = excluded.ends_at;
        ELSE
          DELETE FROM unit_wish WHERE budget = in_budget AND replica = in_replica;
        END IF;

        SELECT coalesce(array_agg(in_ms ORDER BY in_ms), '{}'), coalesce(array_agg(units ORDER BY in_ms), '{}')
        INTO returns_in_ms, returns_units
        FROM (
          SELECT greatest(1, ceil(extract(epoch FROM returns_at - moment) * 20)::integer) * 50 AS in_ms,
                 sum(lease.units)::integer AS units
          FROM unit_lease AS lease WHERE budget = in_budget GROUP BY 1
        ) AS returning_units;
        SELECT coalesce(array_agg(waiting), '{}') INTO others
        FROM unit_wish WHERE budget = in_budget AND replica <> in_replica;
      END
      $body$;
    `,
  },
  {
    version: 4,
    usableFrom: 1,
    sql: `
      CREATE TABLE policy_generation (
        generation bigint PRIMARY KEY CHECK (generation > 0),
        sha256 text NOT NULL,
        -- Not kept of those that are long over; their hashes are, so that an old folder is known for one.
        files text,
        stored_at timestamptz NOT NULL
      );
      CREATE INDEX policy_generation_of_sha256 ON policy_generation (sha256);
    `,
  },
  {
    version: 5,
    usableFrom: 5,
    sql: `
      ALTER TABLE tip ADD COLUMN revocation_epoch bigint NOT NULL DEFAULT 0;
      CREATE TABLE revocation (
        id uuid PRIMARY KEY,
        epoch bigint NOT NULL,
        made text NOT NULL
      );
    `,
  },
  {
    version: 6,
    usableFrom: 5,
    sql: `
      CREATE TABLE token_use (
        token_id text PRIMARY KEY,
        purpose text NOT NULL,
        uses integer NOT NULL,
        forget_at_seconds bigint NOT NULL
      );
      CREATE INDEX token_use_forgotten ON token_use (forget_at_seconds);
      ALTER TABLE tip ADD COLUMN tokens_remembered bigint NOT NULL DEFAULT 0;

      CREATE FUNCTION take_token_uses(
        in_tokens text[], in_purposes text[], in_uses_max integer[], in_forget_at_seconds bigint[],
        in_tokens_max bigint, in_forgotten_max integer,
        OUT answers text[], OUT remembered bigint, OUT retry_after_seconds integer
      ) LANGUAGE plpgsql AS $body$
      DECLARE
        known token_use%ROWTYPE;
        forgotten bigint;
      BEGIN
        -- Whoever commits has this lock already, so one who takes follows another.
        SELECT tokens_remembered INTO remembered FROM tip FOR UPDATE;
        DELETE FROM token_use WHERE token_id IN (
          SELECT token_id FROM token_use
          WHERE forget_at_seconds <= extract(epoch FROM clock_timestamp())
          ORDER BY forget_at_seconds LIMIT in_forgotten_max);
        GET DIAGNOSTICS forgotten = ROW_COUNT;
        remembered := remembered - forgotten;
        answers := '{}';
        FOR i IN 1 .. cardinality(in_tokens) LOOP
          SELECT * INTO known FROM token_use WHERE token_id = in_tokens[i];
          IF NOT FOUND THEN
            IF remembered >= in_tokens_max THEN
              answers := answers || 'full'::text;
              CONTINUE;
            END IF;
            INSERT INTO token_use (token_id, purpose, uses, forget_at_seconds)
            VALUES (in_tokens[i], in_purposes[i], 1, in_forget_at_seconds[i]);
            remembered := remembered + 1;
          ELSIF known.uses >= in_uses_max[i] THEN
            answers := answers || 'spent'::text;
            CONTINUE;
          ELSIF known.purpose <> in_purposes[i] THEN
            answers := answers || 'elsewhere'::text;
            CONTINUE;
          ELSE
            UPDATE token_use SET uses = uses + 1 WHERE token_id = in_tokens[i];
          END IF;
          answers := answers || 'taken'::text;
        END LOOP;
        UPDATE tip SET tokens_remembered = remembered WHERE tokens_remembered <> remembered;
        SELECT greatest(1, ceil(min(forget_at_seconds) - extract(epoch FROM clock_timestamp())))::integer
        INTO retry_after_seconds FROM token_use WHERE 'full' = ANY (answers);
      END
      $body$;
    `,
  },
  {
    version: 7,
    usableFrom: 5,
    sql: `
      CREATE TABLE head_turn (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        replica uuid,
        ends_at timestamptz NOT NULL,
        sequence bigint NOT NULL,
        signed_at timestamptz NOT NULL
      );
      INSERT INTO head_turn (ends_at, sequence, signed_at) VALUES ('-infinity', 0, '-infinity');
    `,
  },
  {
    version: 8,
    usableFrom: 5,
    sql: `
      CREATE TABLE export_cursor (
        destination text PRIMARY KEY,
        sequence bigint NOT NULL CHECK (sequence >= 0),
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        replica uuid NOT NULL,
        ends_at timestamptz NOT NULL
      );
    `,
  },
  {
    version: 9,
    usableFrom: 5,
    sql: `
      CREATE TABLE cut (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        statement text NOT NULL
      );
    `,
  },
]

/** That a program must know of when something was pruned. */
export const cutSince = 9

/** What is in the schema now. */
export type SchemaState =
  | { readonly kind: 'blank' }
  | { readonly kind: 'foreign' }
  /** The role may not look into it. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'ledger'; readonly version: number; readonly usableFrom: number }

export async function readSchemaState(client: Client, schema: string): Promise<SchemaState> {
  const { rows } = await client.query<{ open: boolean; occupied: boolean; versioned: boolean }>(
    `SELECT has_schema_privilege(oid, 'USAGE') AS open,
            EXISTS (SELECT FROM pg_class WHERE relnamespace = namespace.oid) AS occupied,
            to_regclass('ledger_version') IS NOT NULL AS versioned
     FROM pg_namespace AS namespace WHERE nspname = $1`,
    [schema],
  )
  const [found] = rows
  if (found === undefined) return { kind: 'blank' }
  if (!found.open) return { kind: 'closed' }
  if (!found.versioned) return { kind: found.occupied ? 'foreign' : 'blank' }
  const { rows: steps } = await client.query<{ version: number; usable_from: number }>(
    'SELECT version, usable_from FROM ledger_version ORDER BY version DESC LIMIT 1',
  )
  const [last] = steps
  if (last === undefined) return { kind: 'foreign' }
  return { kind: 'ledger', version: last.version, usableFrom: last.usable_from }
}

/**
 * Brings the schema up to the last of the steps; one that is there already, or further on, is left
 * alone. Any number of programs may do so at once: an advisory lock lets them take turns.
 *
 * @throws LedgerDatabaseError when the schema holds something else, or the role may not.
 */
export async function prepareSchema(
  client: Client,
  ledger: LedgerDatabase,
  steps: readonly SchemaStep[] = schemaSteps,
): Promise<void> {
  for (const step of steps) {
    await client.query('BEGIN')
    try {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `countersign ledger ${ledger.schema}`,
      ])
      await takeStep(client, ledger, step)
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    }
  }
}

async function takeStep(client: Client, ledger: LedgerDatabase, step: SchemaStep): Promise<void> {
  const { schema } = ledger
  const state = await readSchemaState(client, schema)
  assertOurs(state, ledger)
  if (state.kind === 'ledger' && state.version >= step.version) return
  if (state.kind === 'blank') await makeSchema(client, schema)
  await client.query(step.sql)
  // What a ledger was closed to stays so, whatever is added to it.
  await client.query(
    `INSERT INTO ledger_version (version, usable_from)
     SELECT $1::integer, greatest($2::integer, max(usable_from)) FROM ledger_version`,
    [step.version, step.usableFrom],
  )
}

async function makeSchema(client: Client, schema: string): Promise<void> {
  // Not "IF NOT EXISTS", for which the role would need the right to make schemas even where it is there.
  const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema])
  if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`)
  await client.query(
    `CREATE TABLE ledger_version (
       version integer PRIMARY KEY,
       usable_from integer NOT NULL,
       applied_at timestamptz NOT NULL DEFAULT now()
     )`,
  )
}

/** @throws LedgerDatabaseError when the schema is somebody else's. */
function assertOurs(state: SchemaState, ledger: LedgerDatabase): void {
  const name = `the schema ${ledger.schema} of ${nameOfLedger(ledger)}`
  if (state.kind === 'closed') {
    throw new LedgerDatabaseError('LEDGER_FORBIDDEN', `the role may not use ${name}: grant USAGE`)
  }
  if (state.kind === 'foreign') {
    throw new LedgerDatabaseError('LEDGER_NOT_A_LEDGER', `${name} holds something else`)
  }
}

/**
 * For a reader, which makes nothing.
 *
 * @throws LedgerDatabaseError when there is no ledger that this program can use.
 */
export function assertUsable(
  state: SchemaState,
  ledger: LedgerDatabase,
  steps: readonly SchemaStep[] = schemaSteps,
): void {
  assertOurs(state, ledger)
  if (state.kind !== 'ledger') {
    const message = `${nameOfLedger(ledger)} was never begun: the schema ${ledger.schema} is empty`
    throw new LedgerDatabaseError('LEDGER_MISSING', message)
  }
  const ours = steps.at(-1)?.version ?? 0
  if (state.usableFrom > ours) {
    throw new LedgerDatabaseError(
      'LEDGER_VERSION_UNKNOWN',
      `${nameOfLedger(ledger)} is of version ${state.version}, which needs a program for version ${state.usableFrom} or later, and this one is for version ${ours}`,
    )
  }
}

/**
 * For a writer: whatever is missing is made, where the role may.
 *
 * @throws LedgerDatabaseError when there is then no ledger that this program can use.
 */
export async function ensureSchema(client: Client, ledger: LedgerDatabase): Promise<void> {
  const state = await readSchemaState(client, ledger.schema)
  assertOurs(state, ledger)
  const isComplete = state.kind === 'ledger' && state.version >= (schemaSteps.at(-1)?.version ?? 0)
  if (!isComplete) await prepareOrSayWhoMust(client, ledger)
  assertUsable(await readSchemaState(client, ledger.schema), ledger)
}

const insufficientPrivilege = '42501'

async function prepareOrSayWhoMust(client: Client, ledger: LedgerDatabase): Promise<void> {
  try {
    await prepareSchema(client, ledger)
  } catch (error) {
    const state = error instanceof Error && 'code' in error ? error.code : undefined
    if (state !== insufficientPrivilege) throw error
    throw new LedgerDatabaseError(
      'LEDGER_NOT_PREPARED',
      `${nameOfLedger(ledger)} lacks tables and the role may not make them: run "countersign ledger prepare" as a role that may`,
      { cause: error },
    )
  }
}
