import { isLoopback } from './loopback.ts'
import { Secret } from './secret.ts'

/** A PostgreSQL database, and as whom it is used. */
export interface PostgresDatabase {
  /** Name or address, without brackets. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** Absent: none is sent, or the one in `PGPASSWORD`. */
  readonly password?: Secret<string>
  readonly database: string
  /** `tls`: with the server's certificate and name verified. `plain` is for loopback alone. */
  readonly transport: 'tls' | 'plain'
}

/** Completes "must be …". */
export const postgresUrlRule =
  'a URL such as postgres://countersign@db.contoso.example/ledger, with no setting but sslmode: verify-full, or disable on loopback alone'

const defaultPort = 5432

/** What a schema may be called: nothing that needs quotation marks anywhere. */
export const schemaNameRule = /^[a-z_][a-z0-9_]{0,62}$/

export const defaultSchema = 'countersign'

/**
 * A connection URL of PostgreSQL; undefined when it is none that may be used. TLS is on and verified
 * unless the host is loopback, whatever weaker mode is asked for: `require`, which clouds put into
 * the URLs that they show, is taken for `verify-full`.
 */
export function parsePostgresUrl(written: string): PostgresDatabase | undefined {
  const url = URL.parse(written.trim())
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hash !== '') return undefined
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const [user, password] = [decoded(url.username), decoded(url.password)]
  const database = decoded(url.pathname.slice(1))
  const transport = transportFrom(url.searchParams, host)
  if (host === '' || !user || password === undefined || !database || transport === undefined) {
    return undefined
  }
  return {
    host,
    port: url.port === '' ? defaultPort : Number(url.port),
    user,
    ...(password === '' ? {} : { password: new Secret(password) }),
    database,
    transport,
  }
}

/**
 * Whether a text means to be a URL and not the path of a file, however it is misspelt: messages repeat
 * a path, and not what may hold a password.
 */
export const isUrl = (written: string): boolean => /^\s*[a-z][a-z0-9+.-]*:\/\//i.test(written)

/** Without user and password: `postgres://db.contoso.example:5432/ledger`. */
export function postgresName({ host, port, database }: PostgresDatabase): string {
  return `postgres://${host.includes(':') ? `[${host}]` : host}:${port}/${database}`
}

function transportFrom(
  settings: URLSearchParams,
  host: string,
): PostgresDatabase['transport'] | undefined {
  const [setting, ...others] = [...settings]
  if (others.length > 0) return undefined
  if (setting === undefined) return isLoopback(host) ? 'plain' : 'tls'
  const [name, mode] = setting
  if (name !== 'sslmode') return undefined
  if (mode === 'disable') return isLoopback(host) ? 'plain' : undefined
  return ['require', 'verify-ca', 'verify-full'].includes(mode) ? 'tls' : undefined
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
