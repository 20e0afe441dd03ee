import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { createCertificateAuthority } from './certificate-authority.ts'
import { clientRoutes } from './clients/client-routes.ts'
import { createClientAuthority, type ClientAuthority } from './clients/client-authority.ts'
import {
  clockRoutes,
  faultRoutes,
  stateRoute,
  vaultLogRoutes,
  vaultRoutes,
} from './control-routes.ts'
import { startControl } from './control.ts'
import { createEmulatorClock, isoFrom, type EmulatorClock } from './emulator-clock.ts'
import { openEntraLog, type EntraLog } from './entra-log/entra-log.ts'
import { tableRoutes } from './entra-log/table-routes.ts'
import { generateEntraKey } from './entra/entra-keys.ts'
import { entraRoutes, type NoteChange } from './entra/entra-routes.ts'
import { createEntra, type Entra } from './entra/entra.ts'
import { createFaultList, type FaultList } from './faults.ts'
import { createCallerIssuers, type CallerIssuers } from './issuers/caller-issuers.ts'
import { issuerRoutes } from './issuers/issuer-routes.ts'
import { type Listener, listenHttp, listenHttps } from './listener.ts'
import { createAppService, type AppServiceIdentity } from './managed-identity/app-service.ts'
import {
  startIdentitySources,
  type SourceEnvironments,
} from './managed-identity/identity-sources.ts'
import { principalRoutes } from './managed-identity/principal-routes.ts'
import { createPrincipalTokens } from './managed-identity/principal-tokens.ts'
import { createLogsIngestion, type LogsIngestion } from './monitor/logs-ingestion.ts'
import {
  answerLimitsSchema,
  type AnswerLimits,
  createLogsQuery,
  type LogsQuery,
} from './monitor/logs-query.ts'
import { monitorRoutes, workspaceRoutes } from './monitor/monitor-routes.ts'
import { createWorkspaceTables, type WorkspaceTables } from './monitor/workspace-tables.ts'
import { createSeededRandom } from './random.ts'
import { createResourceManager } from './resource-manager/resource-manager.ts'
import { createAuthorityKeys } from './sample-resource/authority-keys.ts'
import { createEventHubs, eventHubsAudience } from './sample-resource/event-hubs.ts'
import { createSampleResource, sampleAudience } from './sample-resource/sample-resource.ts'
import { createSigningKeys } from './signing-keys.ts'
import { deliverySchema, type DeliveryDials } from './vault-log/delivery.ts'
import type { BlobShape } from './vault-log/storage-account.ts'
import { openVaultLog, type VaultLog } from './vault-log/vault-log.ts'
import { unconfirmedSchema, type Unconfirmed } from './vault/unconfirmed.ts'
import { startVaults, type RunningVault } from './vaults.ts'
import type { World } from './world.ts'

export interface EmulatorOptions {
  readonly world: World
  /** Gets `ca.pem`, `client-ca.pem` and the storage account with the vaults' logs; made where it does not exist. */
  readonly stateFolder: string
  /** Decides lateness, disorder, duplicates and the lottery of faults; never keys. */
  readonly randomSeed?: number
  readonly vaultLog?: Partial<DeliveryDials> & { readonly shape?: BlobShape }
  /** Of queries of Log Analytics; what is absent is as Azure documents it. */
  readonly answers?: Partial<AnswerLimits>
  /** Multiplies the request budgets of all vaults; 1 is what Azure documents. */
  readonly throttleScale?: number
  readonly unconfirmed?: Partial<Unconfirmed>
  /** 0 lets the system choose. */
  readonly controlPort?: number
}

/** Where everything is: what goes into the ready file. */
export interface EmulatorEndpoints {
  /** Origin of the emulated Entra, as `https://127.0.0.1:41234`. */
  readonly authority: string
  /** Vault URLs by name. */
  readonly vaults: Readonly<Record<string, string>>
  /** `iss` of each issuer of caller tokens, by name. */
  readonly issuers: Readonly<Record<string, string>>
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of each managed identity, by principal. */
  readonly managedIdentities: Readonly<Record<string, AppServiceIdentity>>
  /** What the environment of a program is, by principal and by where it runs. */
  readonly environments: SourceEnvironments
  /** `GET` it with an access token for `https://orders.example`. */
  readonly sampleResource: string
  /** Where events are sent to the namespace of each tenant that has Event Hubs, by tenant. */
  readonly eventHubs: Readonly<Record<string, string>>
  /** Origin of Azure Resource Manager. */
  readonly resourceManager: string
  /** Logs ingestion endpoint of all data collection rules. */
  readonly logsIngestion: string
  /** Where the workspaces of Log Analytics are queried. */
  readonly logsQuery: string
  readonly control: { readonly origin: string; readonly token: string }
  /** PEM that clients must trust; gone again when the emulator has ended. */
  readonly caFile: string
  /** PEM of the CA that signs certificates of clients; gone likewise. */
  readonly clientCaFile: string
  /** The storage account: holds `insights-logs-auditevent`. */
  readonly vaultLogFolder: string
  /** Another storage account: holds the containers of sign-ins of service principals and of directory audits. */
  readonly entraLogFolder: string
}

export interface Emulator {
  readonly endpoints: EmulatorEndpoints
  readonly clock: EmulatorClock
  readonly faults: FaultList
  readonly entra: Entra
  readonly issuers: CallerIssuers
  readonly clients: ClientAuthority
  readonly vaults: readonly RunningVault[]
  readonly vaultLog: VaultLog
  readonly logsIngestion: LogsIngestion & Pick<Listener, 'leave' | 'comeBack'>
  readonly logsQuery: LogsQuery & Pick<Listener, 'leave' | 'comeBack'>
  readonly workspaceTables: WorkspaceTables
  readonly entraLog: EntraLog
  /** Ends every connection, frees every port and closes every file; nothing of it goes on. */
  close(): Promise<void>
}

/** More than a call may have, so that the service itself refuses it. */
const ingestionBytesMax = 4 * 1024 * 1024

/** Builds the small cloud of a world and waits until all of it answers. Reads like its parts list. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { world, stateFolder, randomSeed = 1 } = options
  // Owns what has been started, so that a start that fails half-way leaves nothing running.
  await using starting = new AsyncDisposableStack()
  const unconfirmed = parseOption('unconfirmed', unconfirmedSchema, options.unconfirmed)
  const clock = createEmulatorClock()
  const faults = createFaultList(createSeededRandom(randomSeed))
  const certificateAuthority = await createCertificateAuthority(clock)
  const tls = await certificateAuthority.issueServerCertificate()

  mkdirSync(stateFolder, { recursive: true })
  const caFile = join(stateFolder, 'ca.pem')
  writeFileSync(caFile, certificateAuthority.certificatePem)
  const clients = await createClientAuthority(clock)
  const clientCaFile = join(stateFolder, 'client-ca.pem')
  writeFileSync(clientCaFile, clients.certificatePem)
  starting.defer(() => {
    for (const file of [caFile, clientCaFile]) rmSync(file, { force: true })
  })

  const { shape = 'json-lines', ...dials } = options.vaultLog ?? {}
  const vaultLogFolder = join(stateFolder, 'storage-account')
  const vaultLog = openVaultLog({
    folder: vaultLogFolder,
    shape,
    dials: parseOption('vaultLog', deliverySchema, dials),
    clock,
    // A sequence of its own: how often faults are drawn must not change what the log does.
    random: createSeededRandom(randomSeed + 1),
    unconfirmed,
  })
  starting.defer(() => {
    vaultLog.close()
  })
  const entraLogFolder = join(stateFolder, 'entra-storage-account')
  const entraLog = openEntraLog({
    folder: entraLogFolder,
    shape,
    dials: parseOption('vaultLog', deliverySchema, dials),
    clock,
    random: createSeededRandom(randomSeed + 3),
  })
  starting.defer(() => {
    entraLog.close()
  })
  const tables = createWorkspaceTables({
    dials: parseOption('vaultLog', deliverySchema, dials),
    clock,
    random: createSeededRandom(randomSeed + 4),
  })
  starting.defer(() => {
    tables.close()
  })

  const issuersListener = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  const issuers = await createCallerIssuers({
    origin: issuersListener.origin,
    issuers: world.issuers,
    clock,
    faults,
  })
  issuersListener.serve(issuers.service)

  const authority = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  const entra = createEntra({
    origin: authority.origin,
    world,
    clock,
    keys: await createSigningKeys(() => generateEntraKey(clock)),
    faults,
    random: createSeededRandom(randomSeed + 2),
    federatedIssuers: (name) => issuers.find(name),
    signedIn: (signIn) => {
      entraLog.signIn(signIn)
      tables.signIn(signIn)
    },
  })
  authority.serve(entra.service)

  const vaults = await startVaults({
    world,
    authorityOrigin: authority.origin,
    accessTokens: entra.accessTokens,
    tls,
    clock,
    faults,
    log: {
      ...vaultLog,
      record: (record) => {
        vaultLog.record(record)
        tables.vaultRecord(record)
      },
    },
    throttleScale: options.throttleScale ?? 1,
    unconfirmed,
    started: starting,
  })
  registerCertificates(world, vaults, entra)

  const appServiceListener = starting.adopt(await listenHttp(), (part) => part.close())
  const issuePrincipalToken = createPrincipalTokens(entra.accessTokens, entra.directory)
  const appService = createAppService({
    origin: appServiceListener.origin,
    principals: world.principals,
    issueToken: issuePrincipalToken,
    clock,
    faults,
  })
  appServiceListener.serve(appService.service)
  const environments = await startIdentitySources({
    world,
    appService,
    issuers,
    authorityOrigin: authority.origin,
    issueToken: issuePrincipalToken,
    clock,
    faults,
    stateFolder,
    started: starting,
  })

  const keysUrl = new URL('/common/discovery/v2.0/keys', authority.origin)
  const authorityKeys = starting.adopt(
    createAuthorityKeys(keysUrl, certificateAuthority.certificatePem),
    (part) => part.close(),
  )
  const sampleListener = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  sampleListener.serve(
    createSampleResource({
      authorityOrigin: authority.origin,
      authorityKeys,
      audience: sampleAudience,
      tenantIds: tenantsOf(sampleAudience, world).map(({ id }) => id),
      clock,
    }),
  )

  const eventHubsListener = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  const namespaces = new Map(
    tenantsOf(eventHubsAudience, world).map(({ name, id }) => [name, id] as const),
  )
  eventHubsListener.serve(
    createEventHubs({ authorityOrigin: authority.origin, authorityKeys, namespaces, clock }),
  )

  const resourceManager = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  resourceManager.serve(
    createResourceManager({
      origin: resourceManager.origin,
      authorityOrigin: authority.origin,
      accessTokens: entra.accessTokens,
      world,
    }),
  )
  const ingestionListener = starting.adopt(
    await listenHttps({ tls, bodyBytesMax: ingestionBytesMax }),
    (part) => part.close(),
  )
  const { accessTokens } = entra
  const ingestion = createLogsIngestion({ world, accessTokens, tables, clock, faults })
  ingestionListener.serve(ingestion.service)
  const queryListener = starting.adopt(await listenHttps({ tls }), (part) => part.close())
  const logsQuery = createLogsQuery({
    world,
    accessTokens,
    tables,
    limits: parseOption('answers', answerLimitsSchema, options.answers),
    clock,
    faults,
    unconfirmed,
  })
  queryListener.serve(logsQuery.service)

  const control = await startControl(
    [
      stateRoute(clock, vaults),
      ...faultRoutes(faults),
      ...clockRoutes(clock, [vaultLog, entraLog, tables]),
      ...vaultLogRoutes(vaultLog),
      ...tableRoutes(vaultLog, entraLog),
      ...vaultRoutes(vaults),
      ...entraRoutes(entra, world, credentialsNote(world, entra, [entraLog, tables], clock)),
      ...issuerRoutes(issuers),
      ...clientRoutes(clients),
      ...principalRoutes(world, issuePrincipalToken),
      ...monitorRoutes(world, ingestion),
      ...workspaceRoutes(world, logsQuery, tables),
    ],
    options.controlPort ?? 0,
  )
  starting.defer(() => control.close())

  const running = starting.move()
  return {
    endpoints: {
      authority: authority.origin,
      vaults: Object.fromEntries(vaults.map(({ name, url }) => [name, url])),
      issuers: Object.fromEntries(issuers.list().map(({ name, url }) => [name, url])),
      managedIdentities: appService.identities,
      environments,
      sampleResource: `${sampleListener.origin}/orders`,
      eventHubs: Object.fromEntries(
        [...namespaces.keys()].map((name) => [
          name,
          `${eventHubsListener.origin}/${name}/orders/messages`,
        ]),
      ),
      resourceManager: resourceManager.origin,
      logsIngestion: ingestionListener.origin,
      logsQuery: queryListener.origin,
      control: { origin: control.origin, token: control.token },
      caFile,
      clientCaFile,
      vaultLogFolder,
      entraLogFolder,
    },
    clock,
    faults,
    entra,
    issuers,
    clients,
    vaults,
    vaultLog,
    logsIngestion: {
      ...ingestion,
      leave: () => ingestionListener.leave(),
      comeBack: () => ingestionListener.comeBack(),
    },
    logsQuery: {
      ...logsQuery,
      leave: () => queryListener.leave(),
      comeBack: () => queryListener.comeBack(),
    },
    workspaceTables: tables,
    entraLog,
    close: () => running.disposeAsync(),
  }
}

/** @throws RangeError that names the option, what is wrong with it, and what it may be. */
function parseOption<Schema extends z.ZodType>(name: string, schema: Schema, value: unknown = {}) {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new RangeError(`${name}: ${z.prettifyError(result.error)}`)
}

/** Of the tenants that have a resource; none where the world has no such resource. */
const tenantsOf = (uri: string, { resources, tenants }: World): World['tenants'] => {
  const resource = resources.find(({ uris }) => uris.includes(uri))
  return tenants.filter(({ name }) => resource?.tenants.includes(name))
}

/** For the directory audits of the tenant where an application is registered; others have none here. */
function credentialsNote(
  world: World,
  { directory }: Entra,
  logs: readonly Pick<EntraLog, 'credentialsChanged'>[],
  clock: EmulatorClock,
): NoteChange {
  return (name, before, after) => {
    const application = world.applications.find((one) => one.name === name)
    if (application === undefined) return
    const tenant = directory.tenantNamed(application.homeTenant)
    const time = isoFrom(clock.nowSeconds())
    const change = { id: randomUUID(), time, tenant, application, before, after }
    for (const log of logs) log.credentialsChanged(change)
  }
}

/** @throws Error when an application names a certificate that no vault has. */
function registerCertificates(
  world: World,
  vaults: readonly RunningVault[],
  { certificates }: Entra,
): void {
  for (const application of world.applications) {
    for (const reference of application.certificates) {
      const [vaultName, name = ''] = reference.split('/')
      const vault = vaults.find((one) => one.name === vaultName)
      const current = vault?.store.find(name)?.versions.at(-1)
      if (current === undefined) {
        throw new Error(`application ${application.name}: no vault has certificate '${reference}'`)
      }
      certificates.register(application.name, current.der)
    }
  }
}
