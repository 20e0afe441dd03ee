import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { z } from 'zod'
import type { EmulatorEndpoints } from '../src/emulator/emulator.ts'
import { createClientCertificate } from '../test/support/client-certificate.ts'

export const audience = 'https://countersign.contoso.example'
export const scope = 'https://orders.example/.default'
export const eventsClientId = '11111111-0000-4000-8000-000000000001'
const repositoryId = '123456'

const resourceAt = (index: number) =>
  index === 0 ? 'https://orders.example' : `https://resource-${index}.example`

/** The first is {@link scope}. */
export const scopeAt = (index: number) => `${resourceAt(index)}/.default`

/** GUID of the n-th tenant of the bench. */
export const tenantAt = (index: number) =>
  `aaaaaaaa-0000-4000-8000-${String(index).padStart(12, '0')}`

/** A process that serves on loopback. */
export interface Server {
  readonly port: number
  readonly pid: number
  /** From its start until it said that it is ready. */
  readonly readyMs: number
  stop(): Promise<void>
}

export interface CloudOptions {
  readonly tenants: number
  /** How many each tenant has. */
  readonly scopes: number
  /** Life of the tokens that the emulated Entra gives. */
  readonly tokenSeconds?: number
  /** Multiplies the documented budget of the vault; so large when absent that it never shows. */
  readonly throttleScale?: number
}

export interface ServiceOptions {
  /** URL of what it shares with others: ledger and tokens. Absent: it is alone. */
  readonly database?: string
  readonly program?: 'built' | 'source'
  /** How many there are: the first for tokens, the second for assertions, all others of other callers. */
  readonly grants?: number
  /** Put over the configuration, section by section. */
  readonly sections?: object
}

/** A service, and the files that it works with. */
export interface Service extends Server {
  readonly configFile: string
  readonly ledgerFile: string
}

/** The emulator, and everything that is measured, each in a process of its own. */
export interface BenchCloud {
  readonly endpoints: EmulatorEndpoints
  /** Asks the control interface of the emulator: `POST /faults`. */
  control(order: string, body?: object): Promise<unknown>
  /**
   * @param subject Who it is of those whom the grant names; absent: always the same one.
   * @param wrong What is wrong with it; absent: nothing.
   */
  callerToken(subject?: string, wrong?: 'signature'): Promise<string>
  /** Signatures and exchanges that the emulated services have seen so far. */
  seen(): Promise<{ readonly signatures: number; readonly exchanges: number }>
  /** What counts against the budget of the vault, as its log says. */
  keyUses(): Promise<readonly KeyUse[]>
  startService(options?: ServiceOptions): Promise<Service>
  startPeer(): Promise<Server>
  startBare(tokenBytes: number): Promise<Server>
  /** Passes each request on to the vault, and no more. */
  startRelay(): Promise<Server>
  stop(): Promise<void>
}

export interface KeyUse {
  readonly atMs: number
  /** Of RSA 2048, which all keys here are: one each. */
  readonly units: number
}

const processes = new Set<() => Promise<void>>()

interface Started extends Omit<Server, 'port'> {
  /** That said that it is ready. */
  readonly line: string
}

async function start(
  args: readonly string[],
  isReady: (line: string) => boolean,
  variables: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production', ...variables },
  })
  const closed = once(child, 'close')
  const stop = async () => {
    processes.delete(stop)
    child.kill('SIGTERM')
    await closed
  }
  processes.add(stop)
  for await (const line of createInterface({ input: child.stdout })) {
    if (!isReady(line)) continue
    child.stdout.resume()
    return { line, pid: child.pid ?? 0, readyMs: performance.now() - startedMs, stop }
  }
  throw new Error(`${args.join(' ')} ended before it was ready`)
}

export async function stopEverything(): Promise<void> {
  await Promise.all([...processes].map((stop) => stop()))
}

/** As an installed package has it: the launcher beside the build, and no source. */
function installedIn(folder: string): string {
  const launcher = join(folder, 'bin', 'countersign.js')
  mkdirSync(join(folder, 'bin'))
  copyFileSync(new URL('../bin/countersign.js', import.meta.url), launcher)
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  symlinkSync(new URL('../dist', import.meta.url).pathname, join(folder, 'dist'))
  return launcher
}

export async function startCloud(options: CloudOptions): Promise<BenchCloud> {
  const { tenants, scopes, throttleScale = 1000 } = options
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  const programs = {
    built: installedIn(folder),
    source: new URL('../bin/countersign.js', import.meta.url).pathname,
  } as const
  const state = join(folder, 'cloud')
  const worldFile = join(folder, 'world.yaml')
  writeFileSync(worldFile, JSON.stringify(worldOf(options)))
  const emulator = await start(
    [
      ...[programs.built, 'emulate', '--world', worldFile, '--state', state],
      ...['--throttle-scale', String(throttleScale)],
    ],
    (line) => line === 'ready',
  )
  const endpoints = JSON.parse(
    readFileSync(join(state, 'emulator.json'), 'utf8'),
  ) as EmulatorEndpoints

  const control = async (order: string, body?: object): Promise<unknown> => {
    const [method = '', path = ''] = order.split(' ')
    const response = await fetch(endpoints.control.origin + path, {
      method,
      headers: { authorization: `Bearer ${endpoints.control.token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${order}: ${text}`)
    return text === '' ? undefined : (JSON.parse(text) as unknown)
  }

  let services = 0
  return {
    endpoints,
    control,
    callerToken: async (subject, wrong) => {
      const order = {
        audience,
        ...(wrong === undefined ? {} : { wrong }),
        lifetimeSeconds: 3600,
        claims: {
          repository_owner_id: '9870',
          repository_id: repositoryId,
          ...(subject === undefined ? {} : { sub: subject }),
        },
      }
      const answer = await control('POST /issuers/github/token', order)
      return z.object({ token: z.string() }).parse(answer).token
    },
    seen: async () => {
      const log = recordsSchema.parse(await control('GET /vault-log'))
      const exchanges = exchangesSchema.parse(await control('GET /exchanges'))
      const signed = log.records.filter(
        (record) => record.operationName === 'KeySign' && record.properties.httpStatusCode === 200,
      )
      return { signatures: signed.length, exchanges: exchanges.length }
    },
    keyUses: async () => {
      const { records } = recordsSchema.parse(await control('GET /vault-log'))
      return records
        .filter(({ operationName }) => operationName.startsWith('Key'))
        .filter(({ properties }) => properties.httpStatusCode !== 401)
        .map(({ time }) => ({ atMs: Date.parse(time), units: 1 }))
    },
    startService: async ({ database, program = 'built', grants = 2, sections = {} } = {}) => {
      services += 1
      const home = join(folder, `service-${services}`)
      const port = await freePort()
      const configFile = join(home, 'countersign.yaml')
      const sharing = database === undefined ? {} : sharedThrough(database, endpoints)
      const configuration = { ...configurationOf(endpoints, port), ...sharing, ...sections }
      mkdirSync(join(home, 'grants'), { recursive: true })
      writeFileSync(configFile, stringify(configuration))
      writeTenants(home, tenants)
      writeGrants(home, scopes, grants)
      const identity = endpoints.managedIdentities['countersign']
      const service = await start(
        [programs[program], 'serve', '--config', configFile],
        (line) => line.includes('"msg":"ready"'),
        {
          IDENTITY_ENDPOINT: identity?.endpoint ?? '',
          IDENTITY_HEADER: identity?.header ?? '',
        },
      )
      return { ...service, port, configFile, ledgerFile: join(home, 'countersign.db') }
    },
    startPeer: async () => {
      const certificate = await createClientCertificate()
      const privateKeyFile = join(folder, 'peer-key.pem')
      writeFileSync(privateKeyFile, certificate.privateKeyPem, { mode: 0o600 })
      await control('POST /applications/events/certificates', {
        cer: certificate.der.toString('base64'),
      })
      const settings = {
        authority: endpoints.authority,
        clientId: eventsClientId,
        thumbprintSha256: Buffer.from(certificate.x5tS256, 'base64url').toString('hex'),
        privateKeyFile,
        issuer: endpoints.issuers['github'],
        audience,
        repositoryId,
      }
      return startServer('servers/peer.ts', JSON.stringify(settings), {
        NODE_EXTRA_CA_CERTS: endpoints.caFile,
      })
    },
    startBare: (tokenBytes) => startServer('servers/bare.ts', String(tokenBytes)),
    startRelay: () => {
      const settings = { vault: endpoints.vaults['bench-hsm'], caFile: endpoints.caFile }
      return startServer('servers/relay.ts', JSON.stringify(settings))
    },
    stop: async () => {
      await emulator.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startServer(
  file: string,
  argument: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const path = new URL(file, import.meta.url).pathname
  const server = await start([path, argument], (line) => line.startsWith('{'), variables)
  const { port } = z.object({ port: z.int() }).parse(JSON.parse(server.line))
  return { ...server, port }
}

const recordsSchema = z.object({
  records: z.array(
    z.object({
      time: z.string(),
      operationName: z.string(),
      properties: z.object({ httpStatusCode: z.int() }),
    }),
  ),
})
const exchangesSchema = z.array(z.unknown())

function worldOf({ tenants, scopes, tokenSeconds = 3599 }: CloudOptions) {
  const names = Array.from({ length: tenants }, (_, index) => `tenant-${index}`)
  return {
    tenants: [
      { name: 'contoso', id: 'c0c0c0c0-0000-4000-8000-000000000001' },
      ...names.map((name, index) => ({ name, id: tenantAt(index) })),
    ],
    principals: [
      {
        name: 'countersign',
        tenant: 'contoso',
        objectId: '51000000-0000-4000-8000-000000000001',
        clientId: '51000000-0000-4000-8000-0000000000c1',
      },
    ],
    applications: [
      {
        name: 'events',
        clientId: eventsClientId,
        objectId: '11111111-0000-4000-8000-0000000000a1',
        homeTenant: 'contoso',
        certificates: ['bench-hsm/signing'],
        presentIn: names.map((tenant, index) => ({
          tenant,
          objectId: `bbbbbbbb-0000-4000-8000-${String(index).padStart(12, '0')}`,
        })),
      },
    ],
    resources: [
      ...Array.from({ length: scopes }, (_, index) => ({
        uris: [resourceAt(index)],
        clientId: `33333333-0000-4000-8000-${String(index).padStart(12, '0')}`,
        tenants: names,
        tokenSeconds,
      })),
      {
        uris: ['https://vault.azure.net'],
        clientId: 'cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
        tenants: ['contoso'],
      },
    ],
    vaults: [
      {
        name: 'bench-hsm',
        certificates: [{ name: 'signing' }],
        keys: [{ name: 'token-wrapping', keyOps: ['wrapKey', 'unwrapKey'] }],
        roleAssignments: [
          {
            principal: 'countersign',
            actions: ['keys/sign/action', 'keys/read', 'certificates/read'],
          },
          {
            principal: 'countersign',
            actions: ['keys/wrap/action', 'keys/unwrap/action'],
            scope: 'keys/token-wrapping',
          },
        ],
      },
    ],
    issuers: [{ name: 'github', kind: 'github' }],
  }
}

const configurationOf = (endpoints: EmulatorEndpoints, port: number) => ({
  publicUrl: audience,
  listen: { host: '127.0.0.1', port },
  cloud: { authority: endpoints.authority, vaultSuffix: '127.0.0.1' },
  credential: 'managed-identity',
  trust: { caFiles: [endpoints.caFile] },
  certificates: { signing: { vault: endpoints.vaults['bench-hsm'], name: 'signing' } },
  applications: {
    events: {
      clientId: eventsClientId,
      certificate: 'signing',
      profile: 'entra',
      tenantsFile: './tenants.txt',
      handOut: true,
    },
  },
  issuers: {
    github: {
      kind: 'github',
      issuer: endpoints.issuers['github'],
      require: { repository_owner_id: '9870' },
    },
  },
  grants: './grants',
  ledger: { sqlite: './countersign.db' },
  // As far as the emulated vault goes: what is measured is not how well the service waits.
  governor: { headroom: 1000 },
})

/** Sections of the configuration: ledger and tokens are in a database. */
const sharedThrough = (database: string, endpoints: EmulatorEndpoints) => ({
  ledger: { postgres: database },
  tokenCache: {
    wrappingKey: { vault: endpoints.vaults['bench-hsm'], name: 'token-wrapping' },
  },
})

function writeTenants(home: string, tenants: number): void {
  const tenantIds = Array.from({ length: tenants }, (_, index) => tenantAt(index))
  writeFileSync(join(home, 'tenants.txt'), tenantIds.join('\n'))
}

/** @param count Of grants. */
function writeGrants(home: string, scopes: number, count: number): void {
  const caller = { issuer: 'github', claims: { repository_id: repositoryId } }
  const everywhere = { application: 'events', tenant: 'any-listed' }
  const grants = [
    {
      grant: 'tokens',
      caller,
      may: [
        { ...everywhere, scopes: Array.from({ length: scopes }, (_, index) => scopeAt(index)) },
      ],
    },
    {
      grant: 'assertions',
      caller,
      may: [{ ...everywhere, assertion: { lifetimeSeconds: 300 } }],
      limits: { perMinute: 60_000 },
    },
    ...Array.from({ length: Math.max(0, count - 2) }, (_, index) => ({
      grant: `other-${index}`,
      caller: { issuer: 'github', claims: { repository_id: `other-${index}` } },
      may: [{ ...everywhere, scopes: [scope] }],
    })),
  ]
  for (const grant of grants.slice(0, count)) {
    writeFileSync(join(home, 'grants', `${grant.grant}.yaml`), stringify(grant))
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new TypeError('no port'))
        else resolve(address.port)
      })
    })
  })
}
