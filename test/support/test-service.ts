import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, type Dispatcher } from 'undici'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { Clock } from '../../src/base/clock.ts'
import { loadAll } from '../../src/cli/load-all.ts'
import { contractFile, productVersion } from '../../src/cli/product.ts'
import type { Config } from '../../src/config/config.ts'
import type { configForm } from '../../src/config/config-form.ts'
import { readSecrets } from '../../src/config/environment.ts'
import type { ExchangeRecord } from '../../src/emulator/entra/exchange-log.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'
import { defaultWorldFile, readWorld, type World } from '../../src/emulator/world.ts'
import { listen } from '../../src/http/listener.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { grantForm } from '../../src/policy/grant-form.ts'
import { createProtectedLog } from '../../src/telemetry/protected-log.ts'
import { createService, type Service } from '../../src/wiring.ts'
import { contractFaults } from './contract.ts'
import { trustByDefault } from './default-trust.ts'
import { startTestEmulator, type TestEmulator, type TestEmulatorOptions } from './emulator.ts'
import { verifiedEntries } from './ledger-store.ts'
import { required } from './required.ts'
import { worldClock } from './world-clock.ts'

/** `countersign.yaml` as a program would write it. */
export type ConfigurationFile = z.input<typeof configForm>
/** A grant file, likewise. */
export type GrantFile = z.input<typeof grantForm>

/** Names and numbers of the emulator's default world, and of the default configuration. */
export const cast = {
  publicUrl: 'https://countersign.contoso.example',
  contoso: 'c0c0c0c0-0000-4000-8000-000000000001',
  fabrikam: 'fab00000-0000-4000-8000-000000000002',
  northwind: '0a0a0a0a-0000-4000-8000-000000000003',
  /** Listed for the applications, and in no directory. */
  nowhere: 'dead0000-0000-4000-8000-000000000004',
  eventsClientId: '11111111-0000-4000-8000-000000000001',
  deployClientId: '22222222-0000-4000-8000-000000000002',
  /** Object id of the service's own identity: the `oid` of its vault records. */
  serviceObjectId: '51000000-0000-4000-8000-000000000001',
  /** Object id of the workload `fabrikam-orders`. */
  workloadObjectId: '51000000-0000-4000-8000-000000000004',
  orders: 'https://orders.example/.default',
  eventHubs: 'https://eventhubs.azure.net/.default',
  /** Granted, and present in no tenant. */
  absentResource: 'https://absent.example/.default',
} as const

/** What a workload of fabrikam asks for when nothing is wrong. */
export const ordersAsk = {
  application: 'events',
  tenant: cast.fabrikam,
  scope: cast.orders,
} as const

/** What a CI job asks for when nothing is wrong. */
export const deployAsk = { application: 'deploy', tenant: cast.fabrikam } as const

/** Nothing is left over from the exchange before: each signs for itself. */
export const eachExchangeSigns = (file: ConfigurationFile): ConfigurationFile => ({
  ...file,
  tokenCache: { assertionReuseSeconds: 0 },
})

/** `fabrikam-orders` is a managed identity; the others mint what they are told to. */
export type CallerName = 'fabrikam-orders' | 'github' | 'gitlab' | 'cluster'

export interface AskOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>
  /** Sent as it is, with the headers that are given. */
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Connections with a certificate of their own; absent: the service's, which show none. */
  readonly dispatcher?: Dispatcher
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Parsed where it is JSON, otherwise the text. */
  readonly body: unknown
  /** As received. */
  readonly text: string
}

/** The real service in this process, its emulated world, and what both of them wrote. */
export interface TestService {
  readonly emulator: TestEmulator
  readonly service: Service
  readonly config: Config
  readonly clock: Clock
  /** `http://127.0.0.1:41234`. */
  readonly origin: string
  /** Holds `countersign.yaml`, `grants/` and `countersign.db`. */
  readonly folder: string
  readonly ledgerFile: string
  /**
   * `POST /v1/token`, over a socket. Every exchange is held against `openapi.yaml`.
   *
   * @throws Error when the exchange is not what the contract says.
   */
  ask(request: string, options?: AskOptions): Promise<Answer>
  /**
   * The same on the listener of machines.
   *
   * @throws Error when the configuration gives them none of their own.
   */
  askAsMachine(request: string): Promise<Answer>
  /** A token that proves the caller; `order` is what the issuer's mint is told. */
  callerToken(caller: CallerName, order?: z.input<typeof mintOrderSchema>): Promise<string>
  /** Every entry, from a chain that verifies. */
  entries(): readonly Entry[]
  /** Entries since the last call, or since the service began to serve. */
  newEntries(): readonly Entry[]
  /** What the vaults recorded since the service began to serve, in order. */
  vaultRecords(): readonly VaultRecord[]
  /** What the token endpoints were asked since then. */
  exchanges(): readonly ExchangeRecord[]
  /** Lines of the protected log. */
  log(): readonly string[]
  /** Ends the service as its own `serve` would, without the drain; and the emulator, if it was started for this. */
  stop(): Promise<void>
}

export interface TestServiceOptions {
  /** Shared with other services of the test file; absent: one of its own. */
  readonly emulator?: TestEmulator
  /** Of the emulator that is started; absent: {@link serviceWorld}. */
  readonly world?: World
  /** Sections put in place of the default ones. */
  readonly configuration?: (file: ConfigurationFile) => ConfigurationFile
  /** Instead of the default ones; each becomes a file. */
  readonly grants?: readonly GrantFile[]
  /** Absent: the emulator's, so that shifting it moves the whole world. */
  readonly clock?: Clock
  /** Whether certificates are proven before the first request; `later` leaves it to the test. */
  readonly certificates?: 'proven' | 'later'
}

const defaultWorld = readWorld(defaultWorldFile)

/** The default world without its second vault, whose keys take seconds to make. */
export const serviceWorld: World = {
  ...defaultWorld,
  vaults: defaultWorld.vaults.filter(({ name }) => name === 'contoso-hsm'),
}

/** The same for tests that let hours pass: the SDK tells by the machine's clock when it needs a vault token. */
export const longLivedWorld: World = {
  ...serviceWorld,
  resources: serviceWorld.resources.map((resource) =>
    resource.uris.includes('https://vault.azure.net')
      ? { ...resource, tokenSeconds: 30 * 86_400 }
      : resource,
  ),
}

/**
 * An emulator for the services of one test file, set up as the platform would: this process trusts
 * its CA and has the service's managed identity, both until the process ends. MSAL keeps the identity
 * that it finds first, so a file has one emulator.
 */
export async function startServiceEmulator(
  world: World = serviceWorld,
  options: Pick<TestEmulatorOptions, 'throttleScale' | 'vaultLog'> = {},
): Promise<TestEmulator> {
  const emulator = await startTestEmulator({ world, ...options })
  const { endpoint, header } = required(emulator.endpoints.managedIdentities['countersign'])
  process.env['IDENTITY_ENDPOINT'] = endpoint
  process.env['IDENTITY_HEADER'] = header
  trustByDefault(emulator.ca)
  return { ...emulator, stop: () => stopWithoutSecrets(emulator) }
}

/**
 * Whatever a test was about: the service has asked no vault for a secret.
 *
 * @throws Error when it has.
 */
async function stopWithoutSecrets(emulator: TestEmulator): Promise<void> {
  const asked = emulator.vaultLog
    .records()
    .filter(({ identity }) => identity.claim?.['oid'] === cast.serviceObjectId)
    .map(({ operationName }) => operationName)
    .filter((operation) => operation.startsWith('Secret'))
  await emulator.stop()
  if (asked.length > 0) throw new Error(`the service has used secrets: ${asked.join(', ')}`)
}

/** Starts the service as `serve` does, from files on disk, on a free port of loopback. */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const emulator = options.emulator ?? (await startServiceEmulator(options.world))
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
  const clock = options.clock ?? worldClock(emulator.clock)
  const file = writeConfiguration(folder, emulator, options)
  const loaded = await loadAll(file, clock.nowSeconds())
  if (!loaded.ok || loaded.problems.some(({ severity }) => severity === 'error')) {
    throw new Error(`the configuration of this test is broken: ${JSON.stringify(loaded.problems)}`)
  }
  const { config, policy } = loaded
  const log: string[] = []
  const service = await createService({
    configFiles: loaded.configFiles,
    config,
    policy,
    identityClientId: undefined,
    clock,
    logger: createProtectedLog(
      { level: 'trace', secrets: readSecrets() },
      { write: (line) => void log.push(line) },
    ),
    version: productVersion(),
    contractFile,
  })
  const listener = await listen(service.app.answer, config.listen)
  const machines =
    config.machines.at === 'own-listener'
      ? await listen(service.machinesApp, config.machines.listen)
      : undefined
  const agent = new Agent({ pipelining: 1 })
  const stop = async () => {
    await agent.close()
    await listener.drain(0)
    await machines?.drain(0)
    await service.ledger.close()
    await service.close()
    rmSync(folder, { recursive: true, force: true })
    if (options.emulator === undefined) await emulator.stop()
  }
  if (options.certificates !== 'later') await proveOr(stop, service)

  const ledgerFile = required(config.ledger.kind === 'sqlite' ? config.ledger.file : undefined)
  const [recordsBefore, exchangesBefore] = [
    emulator.vaultLog.records().length,
    emulator.entra.exchanges.records().length,
  ]
  let entriesSeen = verifiedEntries(ledgerFile).length
  return {
    emulator,
    service,
    config,
    clock,
    origin: listener.origin,
    folder,
    ledgerFile,
    ask: (request, askOptions = {}) => ask(agent, listener.origin, request, askOptions),
    askAsMachine: (request) => ask(agent, required(machines).origin, request, {}),
    callerToken: (caller, order) => callerToken(emulator, caller, order),
    entries: () => verifiedEntries(ledgerFile),
    newEntries: () => {
      const entries = verifiedEntries(ledgerFile).slice(entriesSeen)
      entriesSeen += entries.length
      return entries
    },
    vaultRecords: () => emulator.vaultLog.records().slice(recordsBefore),
    exchanges: () => emulator.entra.exchanges.records().slice(exchangesBefore),
    log: () => log,
    stop,
  }
}

/** What cannot start leaves nothing running. */
async function proveOr(stop: () => Promise<void>, service: Service): Promise<void> {
  try {
    await service.credentials.prove()
  } catch (error) {
    await stop()
    throw error
  }
}

/** Writes `countersign.yaml` and its grants into a folder, and returns the path of the former. */
export function writeConfiguration(
  folder: string,
  emulator: TestEmulator,
  options: Pick<TestServiceOptions, 'configuration' | 'grants'> = {},
): string {
  const written = defaultConfiguration(emulator)
  const configuration = options.configuration?.(written) ?? written
  const file = join(folder, 'countersign.yaml')
  mkdirSync(join(folder, 'grants'))
  writeFileSync(file, stringify(configuration))
  for (const grant of options.grants ?? defaultGrants) {
    writeFileSync(join(folder, 'grants', `${grant.grant}.yaml`), stringify(grant))
  }
  return file
}

/** One workload and one pipeline, every kind of issuer, and applications that may and may not be handed out. */
export function defaultConfiguration({ endpoints }: TestEmulator): ConfigurationFile {
  const vault = required(endpoints.vaults['contoso-hsm'])
  const issuer = (name: string) => required(endpoints.issuers[name])
  return {
    publicUrl: cast.publicUrl,
    listen: { host: '127.0.0.1', port: 0 },
    cloud: { authority: endpoints.authority, vaultSuffix: '127.0.0.1' },
    credential: 'managed-identity',
    certificates: {
      partners: { vault, name: 'partner-signing' },
      deploy: { vault, name: 'deploy-signing' },
    },
    applications: {
      events: {
        clientId: cast.eventsClientId,
        certificate: 'partners',
        tenants: [cast.fabrikam, cast.northwind, cast.nowhere],
      },
      deploy: {
        clientId: cast.deployClientId,
        certificate: 'deploy',
        tenants: [cast.fabrikam, cast.northwind],
        handOut: true,
      },
    },
    issuers: {
      fabrikam: { kind: 'entra', tenants: [cast.fabrikam] },
      github: { kind: 'github', issuer: issuer('github'), require: { repository_owner_id: '987' } },
      gitlab: { kind: 'gitlab', issuer: issuer('gitlab') },
      cluster: { kind: 'kubernetes', issuer: issuer('cluster') },
    },
    ledger: { sqlite: './countersign.db' },
  }
}

export const defaultGrants: readonly GrantFile[] = [
  {
    grant: 'fabrikam-orders',
    caller: { issuer: 'fabrikam', claims: { tid: cast.fabrikam, oid: cast.workloadObjectId } },
    may: [
      {
        application: 'events',
        tenant: 'any-listed',
        scopes: [cast.orders, cast.eventHubs, cast.absentResource],
      },
      { application: 'deploy', tenant: cast.northwind, scopes: [cast.eventHubs] },
    ],
  },
  {
    grant: 'deploy-pipeline',
    caller: { issuer: 'github', claims: { repository_id: '123456', ref: 'refs/heads/main' } },
    may: [
      { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
      { application: 'deploy', tenant: cast.fabrikam, assertion: { lifetimeSeconds: 300 } },
    ],
    limits: { perMinute: 60_000 },
  },
]

async function callerToken(
  emulator: TestEmulator,
  caller: CallerName,
  order: z.input<typeof mintOrderSchema> = {},
): Promise<string> {
  if (caller === 'fabrikam-orders') return emulator.token(caller, cast.publicUrl)
  const issuer = required(emulator.issuers.find(caller))
  return issuer.mint(mintOrderSchema.parse({ audience: cast.publicUrl, ...order }))
}

async function ask(
  agent: Dispatcher,
  origin: string,
  request: string,
  { token, json, form, body, headers = {}, dispatcher = agent }: AskOptions,
): Promise<Answer> {
  const [method = '', path = ''] = request.split(' ')
  const sent = json === undefined ? body : JSON.stringify(json)
  const type = form === undefined ? 'application/json' : 'application/x-www-form-urlencoded'
  const response = await dispatcher.request({
    origin,
    path,
    method,
    headers: {
      ...((form ?? json) === undefined ? {} : { 'content-type': type }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: form === undefined ? (sent ?? null) : new URLSearchParams(form).toString(),
  })
  const text = await response.body.text()
  const answer = {
    status: response.statusCode,
    headers: response.headers,
    body: parsedBody(response.headers, text),
    text,
  }
  const faults = contractFaults({ ...answer, method, path, requestBody: form ?? json })
  if (faults.length === 0) return answer
  throw new Error(`${request} is not what openapi.yaml says:\n${faults.join('\n')}\n${text}`)
}

function parsedBody(headers: IncomingHttpHeaders, text: string): unknown {
  const isJson = text !== '' && /[/+]json(;|$)/.test(headers['content-type'] ?? '')
  return isJson ? JSON.parse(text) : text
}
