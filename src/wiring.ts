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
import type { AuditPageDeps } from './http/audit-page.ts'
import type { RevocationRoutesDeps } from './http/v1-revocations.ts'
import { createCallerProofs } from './caller-proof.ts'
import { createConfigured, createConfiguredInForce, type LastingParts } from './configured.ts'
import { createHeadSigning, type HeadSigning } from './heads.ts'
import { createAuditing } from './auditing.ts'
import { createExporting, type Exporting } from './exporting.ts'
import { createCallerSlots } from './caller/caller-slots.ts'
import { hasKey } from './issuance/application.ts'
import { createCertificateDuty } from './issuance/certificate-duty.ts'
import type { Credentials } from './issuance/credentials.ts'
import { callerOnRecord } from './issuance/on-record.ts'
import { createEntraRefusals } from './issuance/entra-refusals.ts'
import { createFailureLines } from './issuance/failure-lines.ts'
import { createInternalAssertions } from './issuance/internal-assertions.ts'
import { createKnownUses } from './issuance/known-uses.ts'
import { createTokenRefresher, type TokenRefresher } from './issuance/refresh-tokens.ts'
import { createSignatureProofs, type SignatureProofs } from './issuance/signature-proofs.ts'
import { createTurnedAway, type TurnedAway } from './issuance/turned-away.ts'
import type { AuditReads } from './audit/audit-reads.ts'
import type { Entry } from './ledger/entry.ts'
import type { FirstEntries, Ledger, OnCommit, OnRevocations } from './ledger/ledger.ts'
import { ledgerInDatabase, ledgerInFile, type LedgerSource } from './ledger/ledger-source.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { createSqliteLedger } from './ledger/sqlite-ledger.ts'
import { createMemoryGrantBudget } from './policy/grant-budget.ts'
import { type CompiledGrants, compileGrants } from './policy/compile-grants.ts'
import { peopleBy } from './people.ts'
import type { PolicyInForce } from './policy/policy-in-force.ts'
import { createReloading, policiesOf, type Reloading } from './reloading.ts'
import { findOutstanding } from './revocation/outstanding.ts'
import { isRevoked, stopping } from './revocation/revocation.ts'
import {
  createRevocationsInForce,
  type RevocationsInForce,
} from './revocation/revocations-in-force.ts'
import { createKeyVaultSigner } from './signer/key-vault-signer.ts'
import {
  createPolicySharing,
  createTokenSharing,
  createVaultBudgets,
  type TokenSharing,
  type VaultBudgets,
} from './sharing.ts'
import { createMemoryGovernor } from './signer/memory-governor.ts'
import type { Gauges } from './telemetry/gauges.ts'
import { createIssuanceTelemetry } from './telemetry/issuance-telemetry.ts'
import { createCommitSeconds, createMetrics } from './telemetry/metrics.ts'
import type { CommitSeconds } from './telemetry/metrics.ts'
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
  /** Of the configuration that is in force. */
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
  readonly auditReads: AuditReads
  readonly refresher: TokenRefresher
  readonly underWay: UnderWay
  readonly clockWatch: ClockWatch
  readonly policies: Pick<PolicyInForce, 'current'>
  readonly reloading: Reloading
  readonly budgets: VaultBudgets
  /** Undefined where replicas share none. */
  readonly tokenSharing: TokenSharing | undefined
  /** Undefined where no heads are signed. */
  readonly heads: HeadSigning | undefined
  /** Undefined where nothing is exported. */
  readonly exporting: Exporting | undefined
  /** Hears of what other replicas have revoked, while there is nothing to append. */
  lookForRevocations(): Promise<void>
  /** From now on `/readyz` says no. */
  stopping(): void
  /** Closes connections to the world; after the ledger. */
  close(): Promise<void>
}

export interface WiringOptions {
  /** `countersign.yaml` first, and those that it names; absolute. They are read again while the service runs. */
  readonly configFiles: readonly string[]
  /** What it says at the start. */
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

/** A few dozen connections to one authority carry more exchanges than a vault can sign for. */
const entraConnectionsMax = 64

/** Constructs every part of the service, once: all of them, or none is left open. */
export async function createService(options: WiringOptions): Promise<Service> {
  const { config, clock } = options
  const revocations = createRevocationsInForce()
  const commitSeconds = createCommitSeconds()
  // The thread first, because it starts while the SDK keeps this one from anything else.
  const [opening, accessing] = await Promise.allSettled([
    createLedger(config.ledger, clock, {
      onRevocations: (standing) => {
        revocations.heard(standing)
      },
      onCommit: (seconds) => {
        commitSeconds.observe(seconds)
      },
    }),
    createVaultAccess({
      kind: config.credential,
      clientId: options.identityClientId,
      loopbackVaults: config.cloud.loopbackVaults,
      authority: config.cloud.name === 'custom' ? 'private' : 'of-microsoft',
    }),
  ])
  await using opened = new AsyncDisposableStack()
  if (accessing.status === 'fulfilled') opened.defer(() => accessing.value.close())
  if (opening.status === 'fulfilled') opened.defer(() => opening.value.ledger.close())
  if (opening.status === 'rejected') throw opening.reason
  if (accessing.status === 'rejected') throw accessing.reason
  const foundation = { ...opening.value, access: accessing.value, revocations, commitSeconds }
  const service = await createAround(foundation, options)
  opened.move()
  return service
}

/** What was opened first, and what hears of it. */
interface Foundation extends OpeningLedger {
  readonly access: VaultAccess
  readonly revocations: RevocationsInForce
  readonly commitSeconds: CommitSeconds
}

/** Everything else. */
async function createAround(
  { ledger, begin, access, revocations, commitSeconds }: Foundation,
  options: WiringOptions,
): Promise<Service> {
  const { config, clock, logger } = options
  const policySharing = await createPolicySharing({ config, clock })
  const inForce = createConfiguredInForce()
  const policies = policiesOf(inForce)

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
  const callerProofs = createCallerProofs({
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
  let isStopping = false
  const certificatesProven = () => {
    const { applications, credentials } = inForce.current().issuance
    return [...applications.keys()].every((name) => credentials.current(name).length > 0)
  }
  const ledgerState = () => {
    if (!ledger.healthy()) return 'failing'
    return ledger.isFull() ? 'full' : 'ok'
  }
  const readiness: Readiness = {
    ready: () => certificatesProven() && ledgerState() === 'ok' && !isStopping,
    report: () => ({
      certificates: certificatesProven() ? 'proven' : 'proving',
      ledger: ledgerState(),
      configuration: reloading.configuration.standing === 'in-force' ? 'ok' : 'degraded',
      grants: reloading.grantsAreWell() ? 'ok' : 'degraded',
      ...(reloading.policyStanding === undefined ? {} : { policy: reloading.policyStanding }),
      ...(heads === undefined
        ? {}
        : { heads: heads.telemetry.heads, anchors: heads.telemetry.anchors }),
      ...(exporting === undefined ? {} : { export: exporting.telemetry.state }),
      stopping: isStopping,
      vault: vault.state,
      entra: entra.state,
    }),
  }
  const gauges: Gauges = {
    cacheBytes: () => memory.bytes,
    cacheEntries: () => memory.entries,
    unprovedSignatures: () => proofs.unproved,
    ready: () => readiness.ready(),
    configurationInForce: () => reloading.configuration.standing === 'in-force',
    brokenGrants: () => policies.current().broken,
    policyGeneration: () => reloading.policyStanding?.generation ?? 0,
    folderInForce: () => (reloading.policyStanding?.folder ?? 'in-force') === 'in-force',
    exportBehindSeconds: () => exporting?.telemetry.behindSeconds() ?? 0,
    rememberedCallerTokens: () => ledger.tokensRemembered(),
    rememberedRefusals: () => entraRefusals.size,
    certificates: () =>
      inForce
        .current()
        .credentials.proven.map((one) => ({ ...one, ...governor.standing(one.key) })),
  }
  const metrics = createMetrics(gauges, commitSeconds)
  const events = createIssuanceTelemetry({ logger, metrics, clock, vault, entra })
  const tokenSharing = await createTokenSharing({
    config,
    memory,
    hasKey: (name, keyId) => {
      const application = inForce.current().issuance.applications.get(name)
      return application !== undefined && hasKey(application, keyId)
    },
    access,
    governor,
    clock,
    logger,
    metrics,
  })
  const heads = await createHeadSigning({
    config,
    access,
    ledger,
    governor,
    signer,
    clock,
    logger,
    metrics,
  })
  const exporting = await createExporting({ config, access, clock, logger, metrics })
  const { close: closeAuditing, ...auditing } = await createAuditing({
    config,
    ledger,
    identityClientId: options.identityClientId,
    clock,
    inForce: () => inForce.current().config,
  })
  const clockWatch = createClockWatch(clock, (jumpMs) => {
    metrics.clockJumps.inc()
    logger.error({ jumpMs }, 'the clock of the machine was set, or the machine slept')
  })

  const requestsPerCallerMax = () => inForce.current().config.listen.requestsPerCallerMax
  const issuance: LastingParts['issuance'] = {
    clock,
    cloud: cloudOf(config),
    revocations,
    knownUses: createKnownUses(),
    callerSlots: createCallerSlots(requestsPerCallerMax),
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
  const lasting: LastingParts = {
    issuance,
    callerProofs,
    certificates: createKeyVaultCertificateSource(access, clock),
    budget: createMemoryGrantBudget(clock),
    clock,
    vault,
    inForce,
  }
  // Where replicas share it nothing is allowed before it is known, and nothing is decided before the
  // ledger is open.
  const grants =
    policySharing === undefined ? options.policy : compileGrants([], config, clock.nowSeconds())
  const people = await peopleBy(config, undefined, clock)
  inForce.replace(createConfigured(config, { grants, people }, undefined, lasting))
  const reloading = createReloading({
    configFiles: options.configFiles,
    inForce,
    lasting,
    policySharing,
    ledger,
    clock,
    logger,
    metrics,
  })
  const { cache, assertions } = issuance
  revocations.watch((made) => {
    const stands = stopping(made.map(({ revoked }) => revoked))
    const issuerOf = (grant: GrantName) => policies.current().policy.named.get(grant)?.issuer
    cache.drop(({ key: { application, tenant }, grant, keyId }) =>
      isRevoked(stands, { application, tenant, keyId, grant, issuer: issuerOf(grant) }),
    )
    assertions.drop((held) => isRevoked(stands, held))
  })
  const told = {
    issuance: () => inForce.current().issuance,
    readiness,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  }
  const machines = config.machines.at === 'callers-listener' ? 'here' : 'elsewhere'
  const slotsForRevoking = createCallerSlots(requestsPerCallerMax)
  const revoking = (): RevocationRoutesDeps => {
    const configured = inForce.current()
    return {
      ...configured.issuance,
      policy: () => configured.policies.current().policy,
      callerSlots: slotsForRevoking,
      outstanding: async (revoked) =>
        findOutstanding(revoked, await ledgerSource(config.ledger), clock),
    }
  }
  const slotsForAuditing = createCallerSlots(requestsPerCallerMax)
  const audit = (): AuditPageDeps => {
    const { issuance: inForceNow, policies: grantsNow, unrevokedPolicy, people } = inForce.current()
    return {
      ...inForceNow,
      policy: () => grantsNow.current().policy,
      unrevokedPolicy,
      onRecord: (caller) => callerOnRecord(caller, inForceNow),
      callerSlots: slotsForAuditing,
      people,
      ...auditing,
    }
  }

  return {
    app: createApp({
      ...told,
      revocations: revoking,
      audit,
      authorizationServer: () => authorizationServerFrom(inForce.current().config),
      contract,
      machines,
    }),
    machinesApp: createMachinesApp(told),
    revocationsApp: createRevocationsApp({ issuance: told.issuance, revocations: revoking }),
    get credentials() {
      return inForce.current().credentials
    },
    ledger,
    begin: (first) => begin(async () => [...first, ...(await reloading.first())]),
    proofs,
    turnedAway,
    auditReads: auditing.reads,
    refresher: createTokenRefresher(told.issuance),
    underWay: issuance.underWay,
    clockWatch,
    policies,
    reloading,
    budgets,
    tokenSharing,
    heads,
    exporting,
    lookForRevocations: async () => {
      if (ledger.healthy()) await ledger.append([])
    },
    stopping: () => {
      isStopping = true
      // What a vault was asked for has the time of the drain to end; the last head stands for all.
      heads?.leaveOff()
    },
    close: async () => {
      await Promise.all([
        budgets.close(),
        tokenSharing?.close(),
        policySharing?.close(),
        exporting?.close(),
        closeAuditing(),
        inForce.current().people?.close(),
      ])
      await heads?.close()
      await Promise.all([access.close(), entraAgent.close(), callerProofs.close()])
    },
  }
}

interface OpeningLedger {
  readonly ledger: Ledger
  readonly begin: (first: FirstEntries) => Promise<void>
}

interface LedgerEvents {
  readonly onRevocations: OnRevocations
  readonly onCommit: OnCommit
}

/** A file is opened here: it is there or it is not. A database may be away, and is opened when it begins. */
async function createLedger(
  config: LedgerConfig,
  clock: Clock,
  on: LedgerEvents,
): Promise<OpeningLedger> {
  if (config.kind === 'sqlite') {
    const { file, keptBytes } = config
    const ledger = await createSqliteLedger({ file, keptBytes, clock, ...on })
    return { ledger, begin: async (first) => ledger.append(await first()) }
  }
  // Most ledgers are files: whoever has one does not wait at the start for the driver of a database.
  const { createPostgresLedger } = await import('./ledger/postgres-ledger.ts')
  const ledger = createPostgresLedger({ locate: () => locateLedger(config), ...on })
  return { ledger, begin: (first) => ledger.open(first) }
}

async function ledgerSource(config: LedgerConfig): Promise<LedgerSource> {
  return config.kind === 'sqlite'
    ? ledgerInFile(config.file)
    : ledgerInDatabase(await locateLedger(config))
}

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
