import { readFileSync } from 'node:fs'
import { Agent } from 'undici'
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import { type ClockWatch, createClockWatch } from './base/clock-watch.ts'
import { createDependencyWatch } from './base/dependency-watch.ts'
import { type Cloud, parseCloud } from './base/ids.ts'
import { createUnderWay, type UnderWay } from './base/under-way.ts'
import { createKeyVaultCertificateSource } from './certificate/key-vault-certificate.ts'
import type { Config, LedgerConfig } from './config/config.ts'
import { createCallerProofs } from './caller-proof.ts'
import { createConfigured, createConfiguredInForce, type LastingParts } from './configured.ts'
import { createHeadSigning, type HeadSigning } from './heads.ts'
import { createAuditing } from './auditing.ts'
import { createExporting, type Exporting } from './exporting.ts'
import { createCallerSlots } from './caller/caller-slots.ts'
import { gaugesFrom } from './gauges.ts'
import { hasKey } from './issuance/application.ts'
import { createCertificateDuty } from './issuance/certificate-duty.ts'
import type { Credentials } from './issuance/credentials.ts'
import { dropRevoked } from './issuance/drop-revoked.ts'
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
import { locateLedger } from './ledger/locate-ledger.ts'
import { createSqliteLedger } from './ledger/sqlite-ledger.ts'
import { createMemoryGrantBudget } from './policy/grant-budget.ts'
import { type CompiledGrants, compileGrants } from './policy/compile-grants.ts'
import { peopleBy } from './people.ts'
import type { PolicyInForce } from './policy/policy-in-force.ts'
import { createReadiness } from './readiness.ts'
import { createReloading, policiesOf, type Reloading } from './reloading.ts'
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
import { createSurfaces, type Surfaces } from './surfaces.ts'
import { createIssuanceTelemetry } from './telemetry/issuance-telemetry.ts'
import { createCommitSeconds, createMetrics } from './telemetry/metrics.ts'
import type { CommitSeconds } from './telemetry/metrics.ts'
import { createMemoryTokenCache } from './token-cache/memory-token-cache.ts'
import { createEntraTokenEndpoint } from './token-endpoint/entra-token-endpoint.ts'
import { createVaultAccess, type VaultAccess } from './vault-access/vault-access.ts'

/** The parts that the life of the process is about; everything else is inside them. */
export interface Service extends Surfaces {
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
  const issuanceInForce = () => inForce.current().issuance
  const readiness = createReadiness({
    issuance: issuanceInForce,
    ledger,
    reloading: () => reloading,
    heads: () => heads,
    exporting: () => exporting,
    vault,
    entra,
  })
  const gauges = gaugesFrom({
    memory,
    proofs,
    ledger,
    entraRefusals,
    governor,
    readiness,
    policies,
    credentials: () => issuanceInForce().credentials,
    reloading: () => reloading,
    exporting: () => exporting,
  })
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
  dropRevoked({
    revocations,
    cache: issuance.cache,
    assertions: issuance.assertions,
    issuerOf: (grant) => policies.current().policy.named.get(grant)?.issuer,
  })
  const surfaces = createSurfaces({
    config,
    inForce,
    readiness,
    metrics,
    auditing,
    requestsPerCallerMax,
    contract,
    clock,
  })

  return {
    ...surfaces,
    get credentials() {
      return inForce.current().credentials
    },
    ledger,
    begin: (first) => begin(async () => [...first, ...(await reloading.first())]),
    proofs,
    turnedAway,
    auditReads: auditing.reads,
    refresher: createTokenRefresher(issuanceInForce),
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
      readiness.stop()
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

function cloudOf({ cloud }: Config): Cloud {
  const parsed = parseCloud(cloud.authority)
  if (parsed === undefined)
    throw new TypeError('the authority of a checked configuration is an origin')
  return parsed
}
