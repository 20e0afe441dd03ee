// What changes while the service runs, as one more part of the wiring: its grants and its configuration.
import type { Logger } from 'pino'
import type { Clock } from './base/clock.ts'
import { withDeadline } from './base/deadline.ts'
import { createTurns } from './base/turns.ts'
import type { Config } from './config/config.ts'
import { loadConfig } from './config/load-config.ts'
import {
  type Configured,
  type ConfiguredInForce,
  createConfigured,
  endedBetween,
  type LastingParts,
  proveNewCertificates,
} from './configured.ts'
import { type OwnCertificate, readOwnCertificate } from './http/listener.ts'
import type { Entry } from './ledger/entry.ts'
import type { Ledger } from './ledger/ledger.ts'
import { peopleBy } from './people.ts'
import { compileGrants } from './policy/compile-grants.ts'
import { changesBetween, type PolicyInForce } from './policy/policy-in-force.ts'
import {
  type ConfigurationReload,
  type ConfigurationSwitch,
  createConfigurationReload,
} from './reload/configuration-reload.ts'
import { createFleetGrants, type PolicyStanding } from './reload/fleet-grants.ts'
import { createGrantsReload, type GrantsReload } from './reload/grants-reload.ts'
import { policyLoaded } from './reload/policy-loaded.ts'
import type { PolicySharing } from './sharing.ts'
import { createReloadTelemetry } from './telemetry/reload-telemetry.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Reloading {
  readonly grants: GrantsReload
  readonly configuration: ConfigurationReload
  /** Of the policy that replicas share; undefined where none do. */
  readonly policyStanding: PolicyStanding | undefined
  /** Whether everything that grants say is in force. */
  grantsAreWell(): boolean
  /** What a run begins with. */
  first(): Promise<readonly Entry[]>
  /** Tells of each certificate of the service's own that is to be shown from then on. */
  onOwnCertificate(show: (certificate: OwnCertificate) => void): void
}

export interface ReloadingOptions {
  /** `countersign.yaml` first, and those that it names; absolute. */
  readonly configFiles: readonly string[]
  readonly inForce: ConfiguredInForce
  readonly lasting: LastingParts
  readonly policySharing: PolicySharing | undefined
  readonly ledger: Ledger
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A vault that hangs keeps nothing that can be put into force from being so for longer. */
const provingMs = 20_000

export function createReloading(options: ReloadingOptions): Reloading {
  const { configFiles, inForce, policySharing, ledger, clock } = options
  const { config } = inForce.current()
  const telemetry = createReloadTelemetry(options)
  const turns = createTurns()
  const policies = policiesOf(inForce)
  const grantsDeps = {
    folder: config.grants.folder,
    surroundings: () => inForce.current().config,
    inForce: policies,
    turns,
    ledger,
    clock,
    onLoaded: telemetry.loaded,
  }
  const fleetGrants =
    policySharing &&
    createFleetGrants({
      ...grantsDeps,
      generations: policySharing.generations,
      onFolder: telemetry.folder,
    })
  const grants = fleetGrants ?? createGrantsReload(grantsDeps)
  const showings: ((certificate: OwnCertificate) => void)[] = []

  /** Not in force: what its certificates have been proven to be holds for the next one that is tried. */
  let tried: Configured | undefined

  const prepare = async (next: Config) => {
    const certificate = ownCertificateOf(next)
    const before = inForce.current()
    const parts = {
      grants: compileGrants(policies.current().files, next, clock.nowSeconds()),
      people: await peopleBy(next, before.people, clock),
    }
    const made = createConfigured(next, parts, before, options.lasting)
    if (tried !== undefined) made.credentials.know(tried.credentials.proven)
    tried = made
    await withDeadline(provingMs, () => proveNewCertificates(made, before))
    return () => {
      tried = undefined
      const show = () => {
        if (certificate !== undefined) for (const showing of showings) showing(certificate)
      }
      return switchTo(made, show, fleetGrants?.standing.generation, options)
    }
  }
  const configuration = createConfigurationReload({
    files: configFiles,
    config,
    load: (file) => loadConfig(file, clock.nowSeconds(), 'must-be-here'),
    prepare,
    turns,
    ledger,
    clock,
    onLoaded: telemetry.configurationLoaded,
    onRefused: telemetry.configurationRefused,
    onReturned: telemetry.configurationReturned,
  })
  return {
    grants,
    configuration,
    get policyStanding() {
      return fleetGrants?.standing
    },
    grantsAreWell: () => {
      const { state, folder } = fleetGrants?.standing ?? aloneStanding
      return policies.current().broken === 0 && state === 'newest' && folder === 'in-force'
    },
    first: async () => [await configuration.first(), await grants.first()],
    onOwnCertificate: (show) => {
      showings.push(show)
    },
  }
}

/** Of one process alone, which has in force what its own folder says. */
const aloneStanding = { generation: 0, state: 'newest', folder: 'in-force' } as const

/** Those of the configuration that is in force. */
export const policiesOf = (inForce: ConfiguredInForce): PolicyInForce => ({
  current: () => inForce.current().policies.current(),
  replace: (next) => {
    inForce.current().policies.replace(next)
  },
})

const ownCertificateOf = ({ listen: { transport } }: Config): OwnCertificate | undefined =>
  transport.kind === 'tls' ? readOwnCertificate(transport) : undefined

/**
 * Has the turn, so neither grants nor configuration change until it is done. Grants are read by the new
 * configuration: what one of them named may have come or gone.
 */
function switchTo(
  made: Configured,
  show: () => void,
  generation: number | undefined,
  { inForce, lasting, clock }: ReloadingOptions,
): ConfigurationSwitch {
  const before = inForce.current()
  const grants = before.policies.current()
  const next = compileGrants(grants.files, made.config, clock.nowSeconds())
  const changes = changesBetween(grants, next)
  const isOther =
    next.broken !== grants.broken || Object.values(changes).some(({ length }) => length > 0)
  return {
    entries: isOther ? [policyLoaded(next, clock.nowMs(), { changes, generation })] : [],
    putIntoForce: () => {
      made.policies.replace(next)
      made.credentials.know(before.credentials.proven)
      inForce.replace(made)
      dropEnded(before.config, made.config, lasting.issuance)
      show()
    },
  }
}

/**
 * Replicas that are to reload yet have the key that has ended here, and their tokens with it; one that has
 * reloaded may have obtained another token by the new key already.
 */
function dropEnded(
  before: Config,
  after: Config,
  { cache, assertions }: LastingParts['issuance'],
): void {
  const endedBy = endedBetween(before, after)
  cache.drop(({ key, keyId }) => endedBy({ ...key, keyId }) === 'right')
  cache.dropHere(({ key, keyId }) => endedBy({ ...key, keyId }) === 'key')
  assertions.drop((held) => endedBy(held) !== undefined)
}
