// What replicas share beside the ledger, as one more part of the wiring: each in the ledger's database.
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import { settlesWithin } from './base/deadline.ts'
import type { ApplicationName } from './base/ids.ts'
import type { Config } from './config/config.ts'
import { DatabaseAccessError } from './database-access/database-access-error.ts'
import { toldFailures } from './issuance/told-failures.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import type { GenerationsKept, PolicyGenerations } from './reload/policy-generations.ts'
import { createDataKeys } from './sealing/data-keys.ts'
import { createKeyVaultWrappingKey } from './sealing/key-vault-wrapping-key.ts'
import { createPostgresDataKeyStore } from './sealing/postgres-data-key-store.ts'
import { createSealer } from './sealing/sealer.ts'
import { SealingError } from './sealing/wrapping-key.ts'
import { createFleetBudgets } from './signer/fleet-budgets.ts'
import type { Governor } from './signer/governor.ts'
import { type BudgetOf, localVaultBudget } from './signer/memory-governor.ts'
import { createPostgresUnitLender } from './signer/postgres-unit-lender.ts'
import { createBudgetTelemetry, createFleetTelemetry } from './telemetry/fleet-telemetry.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { createFleetDrops } from './token-cache/fleet-drops.ts'
import { createFleetFlights } from './token-cache/fleet-flights.ts'
import { createFleetTokenCache } from './token-cache/fleet-token-cache.ts'
import { createPostgresSharedTokens } from './token-cache/postgres-shared-tokens.ts'
import { createSealedTokens } from './token-cache/sealed-tokens.ts'
import type { TokenCache } from './token-cache/token-cache.ts'
import type { VaultAccess } from './vault-access/vault-access.ts'

/** For what others are told last; without it they wait until a lease ends. */
const sharingEndMs = 2000

/** What vaults may be asked for. */
export interface VaultBudgets {
  readonly budgetOf: BudgetOf
  /**
   * That this replica may lease units, where it has to. When the database does not answer now, it is
   * only logged.
   *
   * @throws DatabaseAccessError when its answer is wrong, which waiting would not change.
   */
  prove(): Promise<void>
  close(): Promise<void>
}

/** The process's own, where it is alone. */
export async function createVaultBudgets(deps: {
  readonly config: Config
  readonly clock: Clock
  readonly logger: Logger
}): Promise<VaultBudgets> {
  const { clock, logger } = deps
  const { ledger: place, governor } = deps.config
  const { headroom } = governor
  if (place.kind !== 'postgres') {
    return {
      budgetOf: (_vaultUrl, heldBy) => localVaultBudget(heldBy, headroom),
      prove: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }
  }
  const { createDatabaseSession } = await import('./database-access/database-session.ts')
  // Of its own: a signature does not wait for tokens that are looked up.
  const session = createDatabaseSession({ locate: () => locateLedger(place), clock })
  const events = createBudgetTelemetry(logger, () => clock.monotonicMs())
  const budgets = createFleetBudgets({
    lenderOf: (name, unitsMax, terms) => createPostgresUnitLender(session, name, unitsMax, terms),
    headroom,
    clock,
    onTrade: events.traded,
  })
  return {
    budgetOf: budgets.budgetOf,
    prove: async () => {
      try {
        await budgets.prove()
      } catch (error) {
        if (!(error instanceof DatabaseAccessError) || !error.transient) throw error
        events.traded(error)
      }
    },
    close: async () => {
      await settlesWithin(budgets.close(), sharingEndMs)
      await session.close()
    },
  }
}

/** Of the policy that replicas share. */
export interface PolicySharing {
  readonly generations: PolicyGenerations
  close(): Promise<void>
}

/** A folder of many grants is some MB. */
const policyTimeoutMs = 5000
const policyChannel = 'countersign_policy'
/** Texts for whoever asks what was allowed; hashes for years of changes, of a hundred bytes each. */
const generationsKept: GenerationsKept = { texts: 100, hashes: 10_000 }

/** Undefined for one process alone, whose policy is its own. */
export async function createPolicySharing(deps: {
  readonly config: Config
  readonly clock: Clock
}): Promise<PolicySharing | undefined> {
  const { ledger: place } = deps.config
  if (place.kind !== 'postgres') return undefined
  const [{ createDatabaseSession }, { createPostgresPolicyGenerations }] = await Promise.all([
    import('./database-access/database-session.ts'),
    import('./reload/postgres-policy-generations.ts'),
  ])
  const session = createDatabaseSession({
    locate: () => locateLedger(place),
    clock: deps.clock,
    channel: policyChannel,
    timeoutMs: policyTimeoutMs,
  })
  return {
    generations: createPostgresPolicyGenerations({
      session,
      channel: policyChannel,
      kept: generationsKept,
    }),
    close: () => session.close(),
  }
}

/** What replicas share of the tokens that they obtain. */
export interface TokenSharing {
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

interface TokenSharingDeps {
  readonly config: Config
  readonly memory: TokenCache
  /** Whether the application has the key version, by the configuration that is in force. */
  readonly hasKey: (application: ApplicationName, keyId: string) => boolean
  readonly access: VaultAccess
  /** Told what the vault of the wrapping key is asked for. */
  readonly governor: Pick<Governor, 'charge'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Whoever needs what a replica was at that was killed is served within 5 s all the same. */
const leaseMs = 4000
/** One that is late, or lost, does not end the lease. */
const renewEveryMs = 1000
const lookEveryMs = 500
const channel = 'countersign_shared'

/** Undefined where nothing is shared: one process alone, or no key to wrap what tokens are sealed with. */
export async function createTokenSharing(
  deps: TokenSharingDeps,
): Promise<TokenSharing | undefined> {
  const { config, memory, access, governor, clock, logger, metrics } = deps
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
      (asked, requests) => {
        governor.charge(asked, requests)
      },
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
    hasKey: deps.hasKey,
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
