import { query } from './postgres.ts'

/**
 * The clock of one database, which stands still until it is told to move, however busy the machine is;
 * but for a microsecond each time it is looked at, so that of two moments one is the later.
 */
export interface PostgresClock {
  pass(ms: number): Promise<void>
}

/**
 * Puts it in the place of `clock_timestamp()`, for everybody who asks this database from now on.
 *
 * @param url As the superuser.
 */
export async function stopPostgresClock(url: string): Promise<PostgresClock> {
  // The server knows its own function by number, and goes on calling it if it is merely replaced.
  await query(
    url,
    `CREATE TABLE public.stopped_clock AS SELECT clock_timestamp() AS moment;
     CREATE SEQUENCE public.stopped_clock_looks;
     ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO clock_timestamp_of_the_server;
     CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
       $$ SELECT moment + nextval('public.stopped_clock_looks') * interval '1 microsecond'
          FROM public.stopped_clock $$`,
  )
  return {
    pass: async (ms) => {
      await query(
        url,
        `UPDATE public.stopped_clock SET moment = moment + ${ms} * interval '1 millisecond'`,
      )
    },
  }
}
