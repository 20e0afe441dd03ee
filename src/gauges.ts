// What is read of the service's parts when its metrics are asked for, as one more part of the wiring.
import type { Exporting } from './exporting.ts'
import type { Credentials } from './issuance/credentials.ts'
import type { EntraRefusals } from './issuance/entra-refusals.ts'
import type { SignatureProofs } from './issuance/signature-proofs.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { PolicyInForce } from './policy/policy-in-force.ts'
import type { ServiceReadiness } from './readiness.ts'
import type { Reloading } from './reloading.ts'
import type { Governor } from './signer/governor.ts'
import type { Gauges } from './telemetry/gauges.ts'
import type { TokenCache } from './token-cache/token-cache.ts'

/** Functions where the part is made later, some of them with the very metrics that these gauges are among. */
export interface GaugedParts {
  readonly memory: Pick<TokenCache, 'bytes' | 'entries'>
  readonly proofs: Pick<SignatureProofs, 'unproved'>
  readonly ledger: Pick<Ledger, 'tokensRemembered'>
  readonly entraRefusals: Pick<EntraRefusals, 'size'>
  readonly governor: Pick<Governor, 'standing'>
  readonly readiness: Pick<ServiceReadiness, 'ready'>
  readonly policies: { current(): Pick<ReturnType<PolicyInForce['current']>, 'broken'> }
  readonly credentials: () => Pick<Credentials, 'proven'>
  readonly reloading: () => Pick<Reloading, 'policyStanding'> & {
    readonly configuration: Pick<Reloading['configuration'], 'standing'>
  }
  /** Undefined where nothing is exported. */
  readonly exporting: () => Pick<Exporting, 'telemetry'> | undefined
}

export function gaugesFrom(parts: GaugedParts): Gauges {
  const { memory, proofs, ledger, entraRefusals, governor, readiness } = parts
  const { policies, credentials, reloading, exporting } = parts
  return {
    cacheBytes: () => memory.bytes,
    cacheEntries: () => memory.entries,
    unprovedSignatures: () => proofs.unproved,
    ready: () => readiness.ready(),
    configurationInForce: () => reloading().configuration.standing === 'in-force',
    brokenGrants: () => policies.current().broken,
    policyGeneration: () => reloading().policyStanding?.generation ?? 0,
    folderInForce: () => (reloading().policyStanding?.folder ?? 'in-force') === 'in-force',
    exportBehindSeconds: () => exporting()?.telemetry.behindSeconds() ?? 0,
    rememberedCallerTokens: () => ledger.tokensRemembered(),
    rememberedRefusals: () => entraRefusals.size,
    certificates: () =>
      credentials().proven.map((one) => ({ ...one, ...governor.standing(one.key) })),
  }
}
