// What the service knows of itself, as one more part of the wiring.
import type { DependencyWatch } from './base/dependency-watch.ts'
import type { Exporting } from './exporting.ts'
import type { HeadSigning } from './heads.ts'
import type { Readiness } from './http/readiness.ts'
import type { IssuanceDeps } from './issuance/issuance-deps.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Reloading } from './reloading.ts'

export interface ServiceReadiness extends Readiness {
  /** From now on it says no. */
  stop(): void
}

/** Functions where the part is made later, or is another one after a reload: they are called when somebody asks. */
export interface ReadinessParts {
  readonly issuance: () => {
    readonly applications: Pick<IssuanceDeps['applications'], 'keys'>
    readonly credentials: Pick<IssuanceDeps['credentials'], 'current'>
  }
  readonly ledger: Pick<Ledger, 'healthy' | 'isFull'>
  readonly reloading: () => Pick<Reloading, 'grantsAreWell' | 'policyStanding'> & {
    readonly configuration: Pick<Reloading['configuration'], 'standing'>
  }
  /** Undefined where no heads are signed. */
  readonly heads: () => Pick<HeadSigning, 'telemetry'> | undefined
  /** Undefined where nothing is exported. */
  readonly exporting: () => Pick<Exporting, 'telemetry'> | undefined
  readonly vault: Pick<DependencyWatch, 'state'>
  readonly entra: Pick<DependencyWatch, 'state'>
}

export function createReadiness(parts: ReadinessParts): ServiceReadiness {
  let isStopping = false
  return {
    ready: () => certificatesAreProven(parts) && ledgerState(parts) === 'ok' && !isStopping,
    report: () => {
      const reloading = parts.reloading()
      return {
        certificates: certificatesAreProven(parts) ? 'proven' : 'proving',
        ledger: ledgerState(parts),
        configuration: reloading.configuration.standing === 'in-force' ? 'ok' : 'degraded',
        grants: reloading.grantsAreWell() ? 'ok' : 'degraded',
        ...(reloading.policyStanding === undefined ? {} : { policy: reloading.policyStanding }),
        ...whatLeaves(parts),
        stopping: isStopping,
        vault: parts.vault.state,
        entra: parts.entra.state,
      }
    },
    stop: () => {
      isStopping = true
    },
  }
}

/** One of each pair is enough. */
function certificatesAreProven({ issuance }: ReadinessParts): boolean {
  const { applications, credentials } = issuance()
  return [...applications.keys()].every((name) => credentials.current(name).length > 0)
}

function ledgerState({ ledger }: ReadinessParts): 'ok' | 'full' | 'failing' {
  if (!ledger.healthy()) return 'failing'
  return ledger.isFull() ? 'full' : 'ok'
}

/** Of what is signed and sent for whoever watches the ledger, as far as it is configured. */
function whatLeaves(
  parts: ReadinessParts,
): Pick<ReturnType<Readiness['report']>, 'heads' | 'anchors' | 'export'> {
  const heads = parts.heads()?.telemetry
  const exporting = parts.exporting()?.telemetry
  return {
    ...(heads === undefined ? {} : { heads: heads.heads, anchors: heads.anchors }),
    ...(exporting === undefined ? {} : { export: exporting.state }),
  }
}
