// What callers, machines and the local socket can ask for, as one more part of the wiring.
import type { Auditing } from './auditing.ts'
import type { Clock } from './base/clock.ts'
import { createCallerSlots } from './caller/caller-slots.ts'
import type { Config, LedgerConfig } from './config/config.ts'
import type { ConfiguredInForce } from './configured.ts'
import { type AppDeps, createApp, createMachinesApp, createRevocationsApp } from './http/app.ts'
import type { AuditPageDeps } from './http/audit-page.ts'
import type { AuthorizationServer } from './http/oauth-metadata.ts'
import type { RevocationRoutesDeps } from './http/v1-revocations.ts'
import { callerOnRecord } from './issuance/on-record.ts'
import { ledgerInDatabase, ledgerInFile, type LedgerSource } from './ledger/ledger-source.ts'
import { locateLedger } from './ledger/locate-ledger.ts'
import { findOutstanding } from './revocation/outstanding.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** One for each listener. */
export interface Surfaces {
  readonly app: ReturnType<typeof createApp>
  /** For the listener of machines, where there is one. */
  readonly machinesApp: ReturnType<typeof createMachinesApp>
  /** For the local socket, where there is one. */
  readonly revocationsApp: ReturnType<typeof createRevocationsApp>
}

export interface SurfacesParts {
  /** What it says at the start. */
  readonly config: Config
  readonly inForce: Pick<ConfiguredInForce, 'current'>
  readonly readiness: AppDeps['readiness']
  readonly metrics: Pick<Metrics, 'registry'>
  readonly auditing: Omit<Auditing, 'close'>
  readonly requestsPerCallerMax: () => number
  /** The text of `openapi.yaml`. */
  readonly contract: string
  readonly clock: Clock
}

/** A route is given what is in force when a request comes, once for each: it sees one configuration, whole. */
export function createSurfaces(parts: SurfacesParts): Surfaces {
  const { config, inForce, readiness, metrics, contract } = parts
  const told = {
    issuance: () => inForce.current().issuance,
    readiness,
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
  }
  const revocations = revoking(parts)
  return {
    app: createApp({
      ...told,
      revocations,
      audit: audit(parts),
      authorizationServer: () => authorizationServerFrom(inForce.current().config),
      contract,
      machines: config.machines.at === 'callers-listener' ? 'here' : 'elsewhere',
    }),
    machinesApp: createMachinesApp(told),
    revocationsApp: createRevocationsApp({ issuance: told.issuance, revocations }),
  }
}

/** Its slots outlive every configuration: they count what is under way. */
function revoking(parts: SurfacesParts): () => RevocationRoutesDeps {
  const { config, inForce, requestsPerCallerMax, clock } = parts
  const callerSlots = createCallerSlots(requestsPerCallerMax)
  return () => {
    const { issuance, policies } = inForce.current()
    return {
      ...issuance,
      policy: () => policies.current().policy,
      callerSlots,
      outstanding: async (revoked) =>
        findOutstanding(revoked, await ledgerSource(config.ledger), clock),
    }
  }
}

/** Its slots do too. */
function audit({ inForce, auditing, requestsPerCallerMax }: SurfacesParts): () => AuditPageDeps {
  const callerSlots = createCallerSlots(requestsPerCallerMax)
  return () => {
    const { issuance, policies, unrevokedPolicy, people } = inForce.current()
    return {
      ...issuance,
      policy: () => policies.current().policy,
      unrevokedPolicy,
      onRecord: (caller) => callerOnRecord(caller, issuance),
      callerSlots,
      people,
      ...auditing,
    }
  }
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
