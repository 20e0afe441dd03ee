import { readFileSync } from 'node:fs'
import { Agent } from 'undici'
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import { type ClockWatch, createClockWatch } from './base/clock-watch.ts'
import { settlesWithin } from './base/deadline.ts'
import { createDependencyWatch } from './base/dependency-watch.ts'
import { type Cloud, parseCloud } from './base/ids.ts'
import { createUnderWay, type UnderWay } from './base/under-way.ts'
import { createJsonFetcher } from './caller/json-fetcher.ts'
import type { IssuerSettings } from './caller/issuer-settings.ts'
import { createJwtCallerIdentifier } from './caller/jwt-caller.ts'
import { createKeyVaultCertificateSource } from './certificate/key-vault-certificate.ts'
import type { Config, IssuerConfig, LedgerConfig } from './config/config.ts'
import { DatabaseAccessError } from './database-access/database-access-error.ts'
import { createApp, createMachinesApp } from './http/app.ts'
import type { Readiness } from './http/readiness.ts'
import type { Application } from './issuance/application.ts'
import { createCertificateDuty } from './issuance/certificate-duty.ts'
import { createCredentials, type Credentials, type PlacedLocation } from './issuance/credentials.ts'
import { createEntraRefusals } from './issuance/entra-refusals.ts'
import { createFailureLines } from './issuance/failure-lines.ts'
import { createInternalAssertions } from './issuance/internal-assertions.ts'
import type { IssuanceDeps } from './issuance/issuance-deps.ts'
import { createTokenRefresher, type TokenRefresher } from './issuance/refresh-tokens.ts'
import { createSignatureProofs, type SignatureProofs } from './issuance/signature-proofs.ts'
import { toldFailures } from './issuance/told-failures.ts'
import { createTurnedAway, type TurnedAway } from './issuance/turned-away.ts'
import type { Ledger } from './ledger/ledger.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { createSqliteLedger } from './ledger/sqlite-ledger.ts'
import { createMemoryGrantBudget } from './policy/grant-budget.ts'
import { decide, type Policy, stillGiven } from './policy/policy.ts'
import { createDataKeys } from './sealing/data-keys.ts'
import { createKeyVaultWrappingKey } from './sealing/key-vault-wrapping-key.ts'
import { createPostgresDataKeyStore } from './sealing/postgres-data-key-store.ts'
import { createSealer } from './sealing/sealer.ts'
import { SealingError } from './sealing/wrapping-key.ts'
import { createKeyVaultSigner } from './signer/key-vault-signer.ts'
import { createMemoryGovernor, localVaultBudget } from './signer/memory-governor.ts'
import { createFleetTelemetry } from './telemetry/fleet-telemetry.ts'
import { createIssuanceTelemetry } from './telemetry/issuance-telemetry.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { createFleetDrops } from './token-cache/fleet-drops.ts'
import { createFleetFlights } from './token-cache/fleet-flights.ts'
import { createFleetTokenCache } from './token-cache/fleet-token-cache.ts'
import { createMemoryTokenCache } from './token-cache/memory-token-cache.ts'
import { createPostgresSharedTokens } from './token-cache/postgres-shared-tokens.ts'
import { createSealedTokens } from './token-cache/sealed-tokens.ts'
import type { TokenCache } from './token-cache/token-cache.ts'
import { createEntraTokenEndpoint } from './token-endpoint/entra-token-endpoint.ts'
import { createVaultAccess, type VaultAccess } from './vault-access/vault-access.ts'

/** The parts that the life of the process is about; everything else is inside them. */
export interface Service {
  readonly app: ReturnType<typeof createApp>
  /** For the listener of machines, where there is one. */
  readonly machinesApp: ReturnType<typeof createMachinesApp>
  readonly credentials: Credentials
  readonly ledger: Ledger
  readonly proofs: SignatureProofs
  readonly turnedAway: TurnedAway
  readonly refresher: TokenRefresher
  readonly underWay: UnderWay
  readonly clockWatch: ClockWatch
  /** Undefined where nothing is shared. */
  readonly sharing: Sharing | undefined
  /** From now on `/readyz` says no. */
  stopping(): void
  /** Closes connections to the world; after the ledger. */
  close(): Promise<void>
}

export interface WiringOptions {
  readonly config: Config
  readonly policy: Policy
  /** SDKs read the client id of a user-assigned identity from the environment; absent for the other kind. */
  readonly identityClientId: string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  /** The text of `openapi.yaml`. */
  readonly contractFile: string
}

/** A few dozen connections to one authority carry more exchanges than a vault can sign for. */
const entraConnectionsMax = 64

/** Constructs every part of the service, once. */
export async function createService(options: WiringOptions): Promise<Service> {
  const { config, policy, clock, logger } = options

  const contract = readFileSync(options.contractFile, 'utf8')
  const vault = createDependencyWatch(clock)
  const entra = createDependencyWatch(clock)

  // Together: a thread opens the ledger while this one loads an SDK, which is the slowest of the start.
  const [access, ledger] = await Promise.all([
    createVaultAccess({
      kind: config.credential,
      clientId: options.identityClientId,
      loopbackVaults: config.cloud.loopbackVaults,
    }),
    createLedger(config.ledger),
  ])
  const fetcher = createJsonFetcher()
  const entraAgent = new Agent({ connections: entraConnectionsMax, keepAliveTimeout: 60_000 })

  const signer = createKeyVaultSigner(access, `countersign/${options.version}`, clock)
  // Whole milliseconds, as budgets count them.
  const pacing = { nowMs: () => Math.floor(clock.monotonicMs()), random: Math.random }
  const governor = createMemoryGovernor({
    ...pacing,
    onCircuit: (change) => {
      events.circuitChanged(change)
    },
    budgetOf: (_vaultUrl, heldBy) => localVaultBudget(heldBy, config.governor.headroom),
  })
  const entraRefusals = createEntraRefusals(pacing)
  const tokenEndpoint = createEntraTokenEndpoint(config.cloud.authority, entraAgent)
  const callers = createJwtCallerIdentifier({
    issuers: config.issuers.map((issuer) => issuerSettings(issuer, config)),
    ownClientIds: config.applications.map(({ clientId }) => clientId),
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => {
      logger.warn({ issuer: failure.issuer, code: failure.code, err: failure }, 'issuer is away')
    },
  })

  const memory = createMemoryTokenCache({
    clock,
    ...config.tokenCache,
    onEvicted: () => {
      events.tokenEvicted()
    },
  })
  const proofs = createSignatureProofs({ ledger, clock })
  const turnedAway = createTurnedAway({ ledger, clock })
  const applications = config.applications.map(applicationFrom)
  const credentials = createCredentials({
    applications,
    locations: config.certificates.flatMap(locationsOf),
    source: createKeyVaultCertificateSource(access, clock),
    signer,
    governor,
    ledger,
    clock,
    vault,
  })

  let isStopping = false
  const certificatesProven = () =>
    applications.every(({ name }) => credentials.current(name).length > 0)
  const readiness: Readiness = {
    ready: () => certificatesProven() && ledger.healthy() && !isStopping,
    report: () => ({
      certificates: certificatesProven() ? 'proven' : 'proving',
      ledger: ledger.healthy() ? 'ok' : 'failing',
      stopping: isStopping,
      vault: vault.state,
      entra: entra.state,
    }),
  }
  const metrics = createMetrics({
    cacheBytes: () => memory.bytes,
    cacheEntries: () => memory.entries,
    unprovedSignatures: () => proofs.unproved,
    ready: () => readiness.ready(),
    rememberedRefusals: () => entraRefusals.size,
    certificates: () =>
      credentials.proven.map((one) => ({ ...one, ...governor.standing(one.key) })),
  })
  const events = createIssuanceTelemetry({ logger, metrics, clock, vault, entra })
  const sharing = await createSharing({ config, memory, access, clock, logger, metrics })
  const clockWatch = createClockWatch(clock, (jumpMs) => {
    metrics.clockJumps.inc()
    logger.error({ jumpMs }, 'the clock of the machine was set, or the machine slept')
  })

  const budget = createMemoryGrantBudget(clock)
  const issuance: IssuanceDeps = {
    clock,
    cloud: cloudOf(config),
    callers,
    decide: (caller, ask) => decide(policy, caller, ask, clock.nowSeconds(), budget),
    stillGiven: (grant, ask) => stillGiven(policy, grant, ask, clock.nowSeconds()),
    applications: new Map(applications.map((application) => [application.name, application])),
    sharedAudienceIssuers: new Set(
      config.issuers.filter((issuer) => issuer.acceptSharedAudience).map(({ name }) => name),
    ),
    credentials,
    duty: createCertificateDuty({ ...pacing, epochMs: () => clock.nowMs() }),
    governor,
    signer,
    tokenEndpoint,
    entraRefusals,
    cache: sharing?.cache ?? memory,
    assertions: createInternalAssertions({
      clock,
      youngSeconds: config.tokenCache.assertionReuseSeconds,
    }),
    ledger,
    proofs,
    turnedAway,
    failureLines: createFailureLines(clock),
    events,
    underWay: createUnderWay(),
  }
  const told = {
    issuance,
    readiness,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  }
  const machines = config.machines.at === 'callers-listener' ? 'here' : 'elsewhere'

  return {
    app: createApp({ ...told, contract, machines }),
    machinesApp: createMachinesApp(told),
    credentials,
    ledger,
    proofs,
    turnedAway,
    refresher: createTokenRefresher(issuance),
    underWay: issuance.underWay,
    clockWatch,
    sharing,
    stopping: () => {
      isStopping = true
    },
    close: async () => {
      await sharing?.close()
      await Promise.all([access.close(), entraAgent.close(), fetcher.close()])
    },
  }
}

/** What replicas share beside the ledger. */
export interface Sharing {
  readonly cache: TokenCache
  /**
   * That this replica can share. When that takes others who do not answer now, it is only logged: to
   * share is worth signatures, and not an outage.
   *
   * @throws SealingError | DatabaseAccessError when an answer is wrong, which waiting would not change.
   */
  prove(): Promise<void>
  /** Drops what other replicas have dropped, and tells them what was dropped here. */
  lookForDrops(): Promise<void>
  /** Removes what is of no use to any replica any more. */
  tidy(): Promise<void>
  close(): Promise<void>
}

interface SharingDeps {
  readonly config: Config
  readonly memory: TokenCache
  readonly access: VaultAccess
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Callers wait for 25 s, and a replica that was killed must leave them enough of it to be served. */
const leaseMs = 8000
/** One that is late, or lost, does not end the lease. */
const renewEveryMs = 2000
const lookEveryMs = 500
const channel = 'countersign_shared'

/** Undefined where nothing is shared: one process alone, or no key to wrap what tokens are sealed with. */
async function createSharing(deps: SharingDeps): Promise<Sharing | undefined> {
  const { config, memory, access, clock, logger, metrics } = deps
  const { ledger: place, tokenCache } = config
  const { wrappingKey: key } = tokenCache
  if (place.kind !== 'postgres') return undefined
  if (key === undefined) {
    logger.info('replicas do not share tokens: there is no tokenCache.wrappingKey')
    return undefined
  }
  const [{ createDatabaseSession }, { createPostgresExchanges }] = await Promise.all([
    import('./database-access/database-session.ts'),
    import('./ledger/postgres-exchanges.ts'),
  ])
  const session = createDatabaseSession({ locate: () => locateLedger(place), clock, channel })
  const events = createFleetTelemetry({ logger, metrics, monotonicMs: () => clock.monotonicMs() })
  const dataKeys = createDataKeys({
    store: createPostgresDataKeyStore(session),
    wrappingKey: createKeyVaultWrappingKey(
      { vaultUrl: key.vault, vaultKeyName: key.nameInVault, requireHsm: key.requireHsm },
      access,
      clock,
    ),
    clock,
    onUnusable: (generation, err) => {
      logger.error(
        { generation, code: err.code, err },
        'a data key is of no use: a new one is made',
      )
    },
  })
  const store = createPostgresSharedTokens({ session, channel, leaseMs })
  const tokens = createSealedTokens({
    sealer: createSealer(dataKeys),
    exchangesOf: createPostgresExchanges(session),
    clock,
    minRemainingSeconds: tokenCache.minRemainingSeconds,
    onRefused: (reason, refused) => {
      events.rowRefused(reason, refused)
    },
  })
  const drops = createFleetDrops(memory, store, (error) => {
    events.notShared(error)
  })
  const flights = createFleetFlights({
    store,
    drops,
    tokens,
    failures: toldFailures,
    events,
    clock,
    renewEveryMs,
    lookEveryMs,
  })
  return {
    cache: createFleetTokenCache({ memory, flights, drops, clock, ...tokenCache }),
    prove: async () => {
      try {
        await store.prove()
        await drops.look()
        await dataKeys.forSealing()
      } catch (error) {
        const known = error instanceof SealingError || error instanceof DatabaseAccessError
        if (!known || !error.transient) throw error
        events.notShared(error)
      }
    },
    lookForDrops: () => drops.look(),
    tidy: () => store.tidy(),
    close: async () => {
      await settlesWithin(flights.settled(), sharingEndMs)
      await session.close()
    },
  }
}

/** For what others are told last; without it they wait until a lease ends. */
const sharingEndMs = 2000

async function createLedger(config: LedgerConfig): Promise<Ledger> {
  if (config.kind === 'sqlite') return createSqliteLedger({ file: config.file })
  // Most ledgers are files: whoever has one does not wait at the start for the driver of a database.
  const { createPostgresLedger } = await import('./ledger/postgres-ledger.ts')
  return createPostgresLedger({ locate: () => locateLedger(config) })
}

function locationsOf(certificate: Config['certificates'][number]): readonly PlacedLocation[] {
  const { name, vault, nameInVault, requireHsm, standby } = certificate
  const primary: PlacedLocation = {
    place: 'primary',
    name,
    vaultUrl: vault,
    vaultCertificateName: nameInVault,
    requireHsm,
  }
  if (standby === undefined) return [primary]
  const { vault: vaultUrl, nameInVault: vaultCertificateName } = standby
  return [primary, { ...primary, place: 'standby', vaultUrl, vaultCertificateName }]
}

const applicationFrom = (application: Config['applications'][number]): Application => ({
  name: application.name,
  clientId: application.clientId,
  certificate: application.certificate,
  profile: application.profile,
  x5c: application.x5c ? 'include' : 'omit',
})

function cloudOf({ cloud }: Config): Cloud {
  const parsed = parseCloud(cloud.authority)
  if (parsed === undefined)
    throw new TypeError('the authority of a checked configuration is an origin')
  return parsed
}

function issuerSettings(issuer: IssuerConfig, config: Config): IssuerSettings {
  if (issuer.kind !== 'entra') return issuer
  const { authority, authorityV1 } = config.cloud
  return { ...issuer, authority, authorityV1 }
}
