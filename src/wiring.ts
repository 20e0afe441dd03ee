import { readFileSync } from 'node:fs'
import { Agent } from 'undici'
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import { type ClockWatch, createClockWatch } from './base/clock-watch.ts'
import { createDependencyWatch } from './base/dependency-watch.ts'
import { type Cloud, type GrantName, parseCloud } from './base/ids.ts'
import { createUnderWay, type UnderWay } from './base/under-way.ts'
import { createKeyVaultCertificateSource } from './certificate/key-vault-certificate.ts'
import type { Config, LedgerConfig } from './config/config.ts'
import { createApp, createMachinesApp, createRevocationsApp } from './http/app.ts'
import type { AuthorizationServer } from './http/oauth-metadata.ts'
import type { Readiness } from './http/readiness.ts'
import { createCallerProof } from './caller-proof.ts'
import type { Application } from './issuance/application.ts'
import { createCallerSlots } from './issuance/caller-slots.ts'
import { createCertificateDuty } from './issuance/certificate-duty.ts'
import { createCredentials, type Credentials, type PlacedLocation } from './issuance/credentials.ts'
import { createEntraRefusals } from './issuance/entra-refusals.ts'
import { createFailureLines } from './issuance/failure-lines.ts'
import { createInternalAssertions } from './issuance/internal-assertions.ts'
import type { IssuanceDeps } from './issuance/issuance-deps.ts'
import { createKnownUses } from './issuance/known-uses.ts'
import { createTokenRefresher, type TokenRefresher } from './issuance/refresh-tokens.ts'
import { createSignatureProofs, type SignatureProofs } from './issuance/signature-proofs.ts'
import { createTurnedAway, type TurnedAway } from './issuance/turned-away.ts'
import type { Entry, RevokedOnRecord } from './ledger/entry.ts'
import type { FirstEntries, Ledger, OnRevocations } from './ledger/ledger.ts'
import { ledgerInDatabase, ledgerInFile, type LedgerSource } from './ledger/ledger-source.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { createSqliteLedger } from './ledger/sqlite-ledger.ts'
import { createMemoryGrantBudget, havingTaken } from './policy/grant-budget.ts'
import { type CompiledGrants, compileGrants } from './policy/compile-grants.ts'
import { decide, foresee, stillGiven } from './policy/policy.ts'
import { createPolicyInForce, type PolicyInForce } from './policy/policy-in-force.ts'
import { createFleetGrants } from './reload/fleet-grants.ts'
import { createGrantsReload, type GrantsReload } from './reload/grants-reload.ts'
import { findOutstanding } from './revocation/outstanding.ts'
import { isRevoked, stopping } from './revocation/revocation.ts'
import {
  createRevocationsInForce,
  type RevocationsInForce,
} from './revocation/revocations-in-force.ts'
import { createUnrevokedPolicy } from './revocation/unrevoked-policy.ts'
import { createKeyVaultSigner } from './signer/key-vault-signer.ts'
import {
  createPolicySharing,
  createTokenSharing,
  createVaultBudgets,
  type TokenSharing,
  type VaultBudgets,
} from './sharing.ts'
import { createMemoryGovernor } from './signer/memory-governor.ts'
import { createIssuanceTelemetry } from './telemetry/issuance-telemetry.ts'
import { createReloadTelemetry } from './telemetry/reload-telemetry.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { createMemoryTokenCache } from './token-cache/memory-token-cache.ts'
import { createEntraTokenEndpoint } from './token-endpoint/entra-token-endpoint.ts'
import { createVaultAccess, type VaultAccess } from './vault-access/vault-access.ts'

/** The parts that the life of the process is about; everything else is inside them. */
export interface Service {
  readonly app: ReturnType<typeof createApp>
  /** For the listener of machines, where there is one. */
  readonly machinesApp: ReturnType<typeof createMachinesApp>
  /** For the local socket, where there is one. */
  readonly revocationsApp: ReturnType<typeof createRevocationsApp>
  readonly credentials: Credentials
  readonly ledger: Ledger
  /**
   * Opens the ledger, where that is not done yet, and writes the first entries of this run before any
   * other: those that are given, and by which policy is decided from now on. May be tried again when it
   * fails.
   *
   * @throws DatabaseAccessError | LedgerDatabaseError | LedgerError | PolicyGenerationError
   */
  begin(first: readonly Entry[]): Promise<void>
  readonly proofs: SignatureProofs
  readonly turnedAway: TurnedAway
  readonly refresher: TokenRefresher
  readonly underWay: UnderWay
  readonly clockWatch: ClockWatch
  readonly inForce: Pick<PolicyInForce, 'current'>
  readonly grantsReload: GrantsReload
  readonly budgets: VaultBudgets
  /** Undefined where replicas share none. */
  readonly tokenSharing: TokenSharing | undefined
  /** Hears of what other replicas have revoked, while there is nothing to append. */
  lookForRevocations(): Promise<void>
  /** From now on `/readyz` says no. */
  stopping(): void
  /** Closes connections to the world; after the ledger. */
  close(): Promise<void>
}

export interface WiringOptions {
  readonly config: Config
  /** What the folder of grants says: in force from the start, unless replicas share what is. */
  readonly policy: CompiledGrants
  /** SDKs read the client id of a user-assigned identity from the environment; absent for the other kind. */
  readonly identityClientId: string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly version: string
  /** The text of `openapi.yaml`. */
  readonly contractFile: string
}

/** Of one process alone, which has in force what its own folder says. */
const aloneStanding = { generation: 0, state: 'newest', folder: 'in-force' } as const

/** A few dozen connections to one authority carry more exchanges than a vault can sign for. */
const entraConnectionsMax = 64

/** Constructs every part of the service, once: all of them, or none is left open. */
export async function createService(options: WiringOptions): Promise<Service> {
  const { config, clock } = options
  const revocations = createRevocationsInForce()
  // Together: a thread opens the ledger while this one loads an SDK, which is the slowest of the start.
  // The thread first, because it starts while the SDK keeps this one from anything else.
  const [opening, accessing] = await Promise.allSettled([
    createLedger(config.ledger, clock, (standing) => {
      revocations.heard(standing)
    }),
    createVaultAccess({
      kind: config.credential,
      clientId: options.identityClientId,
      loopbackVaults: config.cloud.loopbackVaults,
    }),
  ])
  if (opening.status === 'rejected') throw opening.reason
  try {
    if (accessing.status === 'rejected') throw accessing.reason
    return await createAround(opening.value, accessing.value, revocations, options)
  } catch (error) {
    await opening.value.ledger.close()
    throw error
  }
}

/** Everything else. */
async function createAround(
  { ledger, begin }: OpeningLedger,
  access: VaultAccess,
  revocations: RevocationsInForce,
  options: WiringOptions,
): Promise<Service> {
  const { config, clock, logger } = options
  const policySharing = await createPolicySharing({ config, clock })
  // Where replicas share it nothing is allowed before it is known, and nothing is decided before the
  // ledger is open.
  const inForce = createPolicyInForce(
    policySharing === undefined ? options.policy : compileGrants([], config, clock.nowSeconds()),
  )
  const policy = () => inForce.current().policy
  const unrevoked = createUnrevokedPolicy(policy, () => revocations.current())

  const contract = readFileSync(options.contractFile, 'utf8')
  const vault = createDependencyWatch(clock)
  const entra = createDependencyWatch(clock)
  const entraAgent = new Agent({ connections: entraConnectionsMax, keepAliveTimeout: 60_000 })

  const signer = createKeyVaultSigner(access, `countersign/${options.version}`, clock)
  // Whole milliseconds, as budgets count them.
  const pacing = { nowMs: () => Math.floor(clock.monotonicMs()), random: Math.random }
  const budgets = await createVaultBudgets({ config, clock, logger })
  const governor = createMemoryGovernor({
    ...pacing,
    onCircuit: (change) => {
      events.circuitChanged(change)
    },
    budgetOf: budgets.budgetOf,
  })
  const entraRefusals = createEntraRefusals(pacing)
  const tokenEndpoint = createEntraTokenEndpoint(config.cloud.authority, entraAgent)
  const callerProof = createCallerProof(config, {
    clock,
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
  const grantsAreWell = () => {
    const { state, folder } = fleetGrants?.standing ?? aloneStanding
    return inForce.current().broken === 0 && state === 'newest' && folder === 'in-force'
  }
  const readiness: Readiness = {
    ready: () => certificatesProven() && ledger.healthy() && !isStopping,
    report: () => ({
      certificates: certificatesProven() ? 'proven' : 'proving',
      ledger: ledger.healthy() ? 'ok' : 'failing',
      grants: grantsAreWell() ? 'ok' : 'degraded',
      ...(fleetGrants === undefined ? {} : { policy: fleetGrants.standing }),
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
    brokenGrants: () => inForce.current().broken,
    policyGeneration: () => (fleetGrants?.standing ?? aloneStanding).generation,
    folderInForce: () => (fleetGrants?.standing ?? aloneStanding).folder === 'in-force',
    rememberedCallerTokens: () => ledger.tokensRemembered(),
    rememberedRefusals: () => entraRefusals.size,
    certificates: () =>
      credentials.proven.map((one) => ({ ...one, ...governor.standing(one.key) })),
  })
  const events = createIssuanceTelemetry({ logger, metrics, clock, vault, entra })
  const reloadEvents = createReloadTelemetry({ logger, metrics })
  const reloadDeps = {
    folder: config.grants.folder,
    surroundings: config,
    inForce,
    ledger,
    clock,
    onLoaded: reloadEvents.loaded,
  }
  const fleetGrants =
    policySharing &&
    createFleetGrants({
      ...reloadDeps,
      generations: policySharing.generations,
      onFolder: reloadEvents.folder,
    })
  const grantsReload = fleetGrants ?? createGrantsReload(reloadDeps)
  const tokenSharing = await createTokenSharing({
    config,
    memory,
    access,
    governor,
    clock,
    logger,
    metrics,
  })
  const clockWatch = createClockWatch(clock, (jumpMs) => {
    metrics.clockJumps.inc()
    logger.error({ jumpMs }, 'the clock of the machine was set, or the machine slept')
  })

  const budget = createMemoryGrantBudget(clock)
  const issuance: IssuanceDeps = {
    clock,
    cloud: cloudOf(config),
    callers: callerProof.callers,
    decide: (caller, ask, charged) => {
      const left = charged === undefined ? budget : havingTaken(charged, budget)
      return decide(unrevoked(), caller, ask, clock.nowSeconds(), left)
    },
    foresee: (caller, ask) => foresee(unrevoked(), caller, ask, clock.nowSeconds()),
    foreseeUnrevoked: (caller, ask) => foresee(policy(), caller, ask, clock.nowSeconds()),
    stillGiven: (grant, ask) => stillGiven(unrevoked(), grant, ask, clock.nowSeconds()),
    revocations,
    applications: new Map(applications.map((application) => [application.name, application])),
    sharedAudienceIssuers: new Set(
      config.issuers
        .filter((issuer) => issuer.kind !== 'mtls' && issuer.acceptSharedAudience)
        .map(({ name }) => name),
    ),
    onceIssuers: new Set(
      config.issuers
        .filter((issuer) => issuer.kind !== 'mtls' && issuer.replay === 'once')
        .map(({ name }) => name),
    ),
    knownUses: createKnownUses(),
    callerSlots: createCallerSlots(config.listen.requestsPerCallerMax),
    credentials,
    duty: createCertificateDuty({ ...pacing, epochMs: () => clock.nowMs() }),
    governor,
    signer,
    tokenEndpoint,
    entraRefusals,
    cache: tokenSharing?.cache ?? memory,
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
  const { cache, assertions } = issuance
  revocations.watch((made) => {
    const stands = stopping(made.map(({ revoked }) => revoked))
    const issuerOf = (grant: GrantName) => policy().named.get(grant)?.issuer
    cache.drop(({ key: { application, tenant }, grant, keyId }) =>
      isRevoked(stands, { application, tenant, keyId, grant, issuer: issuerOf(grant) }),
    )
    assertions.drop((held) => isRevoked(stands, held))
  })
  const told = {
    issuance,
    readiness,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  }
  const machines = config.machines.at === 'callers-listener' ? 'here' : 'elsewhere'
  const revoking = {
    ...issuance,
    policy,
    callerSlots: createCallerSlots(config.listen.requestsPerCallerMax),
    outstanding: async (revoked: RevokedOnRecord) =>
      findOutstanding(revoked, await ledgerSource(config.ledger), clock),
  }

  return {
    app: createApp({
      ...told,
      revocations: revoking,
      authorizationServer: authorizationServerFrom(config),
      contract,
      machines,
    }),
    machinesApp: createMachinesApp(told),
    revocationsApp: createRevocationsApp({ issuance, revocations: revoking }),
    credentials,
    ledger,
    begin: (first) => begin(async () => [...first, await grantsReload.first()]),
    proofs,
    turnedAway,
    refresher: createTokenRefresher(issuance),
    underWay: issuance.underWay,
    clockWatch,
    inForce,
    grantsReload,
    budgets,
    tokenSharing,
    lookForRevocations: async () => {
      if (ledger.healthy()) await ledger.append([])
    },
    stopping: () => {
      isStopping = true
    },
    close: async () => {
      await Promise.all([budgets.close(), tokenSharing?.close(), policySharing?.close()])
      await Promise.all([access.close(), entraAgent.close(), callerProof.close()])
    },
  }
}

interface OpeningLedger {
  readonly ledger: Ledger
  readonly begin: (first: FirstEntries) => Promise<void>
}

/** A file is opened here: it is there or it is not. A database may be away, and is opened when it begins. */
async function createLedger(
  config: LedgerConfig,
  clock: Clock,
  onRevocations: OnRevocations,
): Promise<OpeningLedger> {
  if (config.kind === 'sqlite') {
    const ledger = await createSqliteLedger({ file: config.file, clock, onRevocations })
    return { ledger, begin: async (first) => ledger.append(await first()) }
  }
  // Most ledgers are files: whoever has one does not wait at the start for the driver of a database.
  const { createPostgresLedger } = await import('./ledger/postgres-ledger.ts')
  const ledger = createPostgresLedger({ locate: () => locateLedger(config), onRevocations })
  return { ledger, begin: (first) => ledger.open(first) }
}

async function ledgerSource(config: LedgerConfig): Promise<LedgerSource> {
  return config.kind === 'sqlite'
    ? ledgerInFile(config.file)
    : ledgerInDatabase(await locateLedger(config))
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

function authorizationServerFrom({ publicUrl, issuers }: Config): AuthorizationServer {
  const algorithms = issuers.flatMap((issuer) => (issuer.kind === 'mtls' ? [] : issuer.algorithms))
  return {
    publicUrl,
    algorithms: [...new Set(algorithms)].toSorted(),
    clientCertificates: issuers.some(({ kind }) => kind === 'mtls') ? 'proof' : 'no-proof',
  }
}

function cloudOf({ cloud }: Config): Cloud {
  const parsed = parseCloud(cloud.authority)
  if (parsed === undefined)
    throw new TypeError('the authority of a checked configuration is an origin')
  return parsed
}
