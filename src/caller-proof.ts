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
import { createJwtCallerIdentifier, type KeySources } from './caller/jwt-caller.ts'
import { createCallerIdentifier } from './caller/presented-caller.ts'
import { createMemoryUsedIds } from './caller/used-ids.ts'
import type { CloudConfig, Config, MtlsIssuerConfig, TokenIssuerConfig } from './config/config.ts'

/** What proves callers, by one configuration. */
export interface CallerProof {
  readonly callers: CallerIdentifier
  readonly keySources: KeySources
}

/** Proves callers by one configuration after another, with its own connections to the issuers. */
export interface CallerProofs {
  /**
   * Whoever was proven before is proven anew; only the keys of issuers that are where they were are known.
   *
   * @param before Undefined for the first one of a run.
   * @throws Error of the system when the CAs of an issuer cannot be read.
   */
  proofBy(config: Config, before: CallerProof | undefined): CallerProof
  close(): Promise<void>
}

/** What tells whose a token is, whoever sends it, with its own connections to the issuers. */
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

export function createCallerProofs(options: CallerProofOptions): CallerProofs {
  const { clock } = options
  const fetcher = createJsonFetcher()
  // What was used under one configuration is used under the next.
  const usedIds = createMemoryUsedIds(clock, usedProofsMax)
  return {
    proofBy: (config, before) => {
      const tokens = createJwtCallerIdentifier({
        ...options,
        ...jwtCallersOf(config),
        fetchJson: fetcher.fetchJson,
        ...(before === undefined ? {} : { known: before.keySources }),
      })
      const certificates = createCertificateProof(config, clock)
      const { publicUrl } = config
      const boundTokens = boundTokensOf(config)
      const deps = { tokens, certificates, boundTokens, publicUrl, clock, usedIds }
      return { callers: createCallerIdentifier(deps), keySources: tokens.keySources }
    },
    close: () => fetcher.close(),
  }
}

/** Apart from the other parts, so that `explain` proves a token just as the service does. */
export function createTokenProof(config: Config, options: CallerProofOptions): TokenProof {
  const fetcher = createJsonFetcher()
  const { fetchJson } = fetcher
  const tokens = createJwtCallerIdentifier({ ...options, ...jwtCallersOf(config), fetchJson })
  return { tokens, close: () => fetcher.close() }
}

/** Likewise. @throws Error of the system when the CAs of an issuer cannot be read. */
export function createCertificateProof(config: Config, clock: Clock): CertificateIdentifier {
  const issuers = config.issuers.filter((issuer) => issuer.kind === 'mtls')
  return createCertificateCallerIdentifier({ issuers: issuers.map(mtlsSettings), clock })
}

const jwtCallersOf = (config: Config) => ({
  issuers: tokenIssuersOf(config).flatMap((issuer) => issuerSettings(issuer, config.cloud)),
  ownClientIds: config.applications.map(({ clientId }) => clientId),
})

const boundTokensOf = (config: Config) =>
  new Map(
    tokenIssuersOf(config).flatMap(({ name, boundTokens }) =>
      boundTokens === undefined ? [] : [[name, boundTokens] as const],
    ),
  )

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
