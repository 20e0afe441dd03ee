import type { ClientAuthority } from './clients/client-authority.ts'
import { clientRoutes } from './clients/client-routes.ts'
import {
  clockRoutes,
  faultRoutes,
  stateRoute,
  vaultLogRoutes,
  vaultRoutes,
} from './control-routes.ts'
import { type Control, type ControlRoute, startControl } from './control.ts'
import type { DiagnosticLogs } from './diagnostic-logs.ts'
import type { EmulatorClock } from './emulator-clock.ts'
import { credentialsNote } from './entra-log/credentials-note.ts'
import { tableRoutes } from './entra-log/table-routes.ts'
import { entraRoutes } from './entra/entra-routes.ts'
import type { Entra } from './entra/entra.ts'
import type { FaultList } from './faults.ts'
import type { CallerIssuers } from './issuers/caller-issuers.ts'
import { issuerRoutes } from './issuers/issuer-routes.ts'
import { principalRoutes } from './managed-identity/principal-routes.ts'
import type { IssuePrincipalToken } from './managed-identity/principal-tokens.ts'
import { monitorRoutes, workspaceRoutes } from './monitor/monitor-routes.ts'
import type { Monitor } from './monitor/monitor.ts'
import type { RunningVault } from './vaults.ts'
import type { World } from './world.ts'

/** The parts that can be steered. */
export interface ControlledParts {
  readonly world: World
  readonly clock: EmulatorClock
  readonly faults: FaultList
  readonly logs: DiagnosticLogs
  readonly vaults: readonly RunningVault[]
  readonly entra: Entra
  readonly issuers: CallerIssuers
  readonly clients: ClientAuthority
  readonly issueToken: IssuePrincipalToken
  readonly monitor: Monitor
}

export interface ControlInterfaceDeps extends ControlledParts {
  /** 0 lets the system choose. */
  readonly port: number
  /** Closes it. */
  readonly started: AsyncDisposableStack
}

/** Lets people and tests steer each part by the routes that it brings along. */
export async function startControlInterface(deps: ControlInterfaceDeps): Promise<Control> {
  return deps.started.adopt(await startControl(routesOf(deps), deps.port), (control) =>
    control.close(),
  )
}

/** In the order in which `GET /` lists them. */
function routesOf(parts: ControlledParts): readonly ControlRoute[] {
  const { world, clock, faults, vaults, entra, issuers, clients, issueToken } = parts
  const { vaultLog, entraLog, workspaceTables, credentialsChanged } = parts.logs
  const { logsIngestion, logsQuery } = parts.monitor
  const { directory } = entra
  const noteChange = credentialsNote({ world, directory, clock, credentialsChanged })
  return [
    stateRoute(clock, vaults),
    ...faultRoutes(faults),
    ...clockRoutes(clock, [vaultLog, entraLog, workspaceTables]),
    ...vaultLogRoutes(vaultLog),
    ...tableRoutes(vaultLog, entraLog),
    ...vaultRoutes(vaults),
    ...entraRoutes(entra, world, noteChange),
    ...issuerRoutes(issuers),
    ...clientRoutes(clients),
    ...principalRoutes(world, issueToken),
    ...monitorRoutes(world, logsIngestion),
    ...workspaceRoutes(world, logsQuery, workspaceTables),
  ]
}
