import type { Clock } from './base/clock.ts'
import type { CallerError, CallerIdentifier } from './caller/caller.ts'
import type { IssuerSettings } from './caller/issuer-settings.ts'
import { createJsonFetcher } from './caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from './caller/jwt-caller.ts'
import type { CloudConfig, Config, IssuerConfig } from './config/config.ts'

/** What proves callers, with its own connections to the issuers. */
export interface CallerProof {
  readonly callers: CallerIdentifier
  close(): Promise<void>
}

export interface CallerProofOptions {
  readonly clock: Clock
  /** Told each time an issuer could not be asked, also when older keys keep callers served. */
  readonly onIssuerAway: (failure: CallerError) => void
}

/** Apart from the other parts, so that `explain` proves a caller just as the service does. */
export function createCallerProof(
  config: Config,
  { clock, onIssuerAway }: CallerProofOptions,
): CallerProof {
  const fetcher = createJsonFetcher()
  const callers = createJwtCallerIdentifier({
    issuers: config.issuers.flatMap((issuer) => issuerSettings(issuer, config.cloud)),
    ownClientIds: config.applications.map(({ clientId }) => clientId),
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway,
  })
  return { callers, close: () => fetcher.close() }
}

/** Tokens of one organisation of Azure DevOps come from two places. */
function issuerSettings(
  issuer: IssuerConfig,
  { authority, authorityV1 }: CloudConfig,
): readonly IssuerSettings[] {
  if (issuer.kind === 'entra') return [{ ...issuer, authority, authorityV1 }]
  if (issuer.kind !== 'azure-devops' || issuer.connectedTenant === undefined) return [issuer]
  const kind = 'azure-devops-in-entra'
  return [issuer, { ...issuer, kind, authority, tenant: issuer.connectedTenant }]
}
