import { readFileSync } from 'node:fs'
import type { Clock } from './base/clock.ts'
import { certificatesIn } from './base/pem-certificates.ts'
import type {
  CallerError,
  CallerIdentifier,
  CertificateIdentifier,
  TokenIdentifier,
} from './caller/caller.ts'
import { createCertificateCallerIdentifier } from './caller/certificate-caller.ts'
import type { IssuerSettings, MtlsIssuerSettings } from './caller/issuer-settings.ts'
import { createJsonFetcher } from './caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from './caller/jwt-caller.ts'
import { createCallerIdentifier } from './caller/presented-caller.ts'
import { createMemoryUsedIds } from './caller/used-ids.ts'
import type { CloudConfig, Config, MtlsIssuerConfig, TokenIssuerConfig } from './config/config.ts'

/** What proves callers, with its own connections to the issuers. */
export interface CallerProof {
  readonly callers: CallerIdentifier
  close(): Promise<void>
}

/** What tells whose a token is, whoever sends it. */
export interface TokenProof {
  readonly tokens: TokenIdentifier
  close(): Promise<void>
}

export interface CallerProofOptions {
  readonly clock: Clock
  /** Told each time an issuer could not be asked, also when older keys keep callers served. */
  readonly onIssuerAway: (failure: CallerError) => void
}

/**
 * Of DPoP proofs: some 200 bytes each, and 3000 a second, since each is remembered for a minute, or two where its
 * client's clock is ahead. One key alone has half of it.
 */
const usedProofsMax = 200_000

/** @throws Error of the system when the CAs of an issuer cannot be read. */
export function createCallerProof(config: Config, options: CallerProofOptions): CallerProof {
  const tokenProof = createTokenProof(config, options)
  const { clock } = options
  const callers = createCallerIdentifier({
    tokens: tokenProof.tokens,
    certificates: createCertificateProof(config, clock),
    boundTokens: new Map(
      tokenIssuersOf(config).flatMap(({ name, boundTokens }) =>
        boundTokens === undefined ? [] : [[name, boundTokens] as const],
      ),
    ),
    publicUrl: config.publicUrl,
    clock,
    usedIds: createMemoryUsedIds(clock, usedProofsMax),
  })
  return { callers, close: () => tokenProof.close() }
}

/** Apart from the other parts, so that `explain` proves a token just as the service does. */
export function createTokenProof(
  config: Config,
  { clock, onIssuerAway }: CallerProofOptions,
): TokenProof {
  const fetcher = createJsonFetcher()
  const tokens = createJwtCallerIdentifier({
    issuers: tokenIssuersOf(config).flatMap((issuer) => issuerSettings(issuer, config.cloud)),
    ownClientIds: config.applications.map(({ clientId }) => clientId),
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway,
  })
  return { tokens, close: () => fetcher.close() }
}

/** Likewise. @throws Error of the system when the CAs of an issuer cannot be read. */
export function createCertificateProof(config: Config, clock: Clock): CertificateIdentifier {
  const issuers = config.issuers.filter((issuer) => issuer.kind === 'mtls')
  return createCertificateCallerIdentifier({ issuers: issuers.map(mtlsSettings), clock })
}

const tokenIssuersOf = ({ issuers }: Config) => issuers.filter((issuer) => issuer.kind !== 'mtls')

/** Tokens of one organisation of Azure DevOps come from two places, and each policy of B2C has its own keys. */
function issuerSettings(
  issuer: TokenIssuerConfig,
  { authority, authorityV1 }: CloudConfig,
): readonly IssuerSettings[] {
  if (issuer.kind === 'entra') return [{ ...issuer, authority, authorityV1 }]
  if (issuer.kind === 'entra-b2c') {
    const { policies, ...common } = issuer
    return policies.map((policy) => ({ ...common, policy }))
  }
  if (issuer.kind !== 'azure-devops' || issuer.connectedTenant === undefined) return [issuer]
  const kind = 'azure-devops-in-entra'
  return [issuer, { ...issuer, kind, authority, tenant: issuer.connectedTenant }]
}

function mtlsSettings({ caFile, ...issuer }: MtlsIssuerConfig): MtlsIssuerSettings {
  return { ...issuer, anchors: certificatesIn(readFileSync(caFile, 'utf8')) }
}
