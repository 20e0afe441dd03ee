// What one configuration makes of the service, as a part of the wiring that a reload makes anew.
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from './base/clock.ts'
import type { DependencyWatch } from './base/dependency-watch.ts'
import type { ApplicationName, TenantId } from './base/ids.ts'
import type { CallerProof, CallerProofs } from './caller-proof.ts'
import type { CertificateSource } from './certificate/certificate.ts'
import type { Config } from './config/config.ts'
import type { Application } from './issuance/application.ts'
import { createCredentials, type Credentials, type PlacedLocation } from './issuance/credentials.ts'
import type { IssuanceDeps } from './issuance/issuance-deps.ts'
import type { CompiledGrants } from './policy/compile-grants.ts'
import { type GrantBudget, havingTaken } from './policy/grant-budget.ts'
import { decide, foresee, stillGiven } from './policy/policy.ts'
import { createPolicyInForce, type PolicyInForce } from './policy/policy-in-force.ts'
import { createUnrevokedPolicy } from './revocation/unrevoked-policy.ts'

/** A configuration at work. It never changes but for its grants; another one is made beside it, whole. */
export interface Configured {
  readonly config: Config
  readonly policies: PolicyInForce
  readonly proof: CallerProof
  readonly credentials: Credentials
  readonly issuance: IssuanceDeps
}

/** The one that is in force: whoever asks once for each request sees one, whole. */
export interface ConfiguredInForce {
  current(): Configured
  /** From now on, at once and for everybody. */
  replace(next: Configured): void
}

/** Nothing is in force until the first one is made. */
export function createConfiguredInForce(): ConfiguredInForce {
  let current: Configured | undefined
  return {
    current: () => {
      if (current === undefined) throw new TypeError('no configuration is made yet')
      return current
    },
    replace: (next) => {
      current = next
    },
  }
}

/** Of what issuing needs, that which follows from the configuration. */
type MadeByConfiguration =
  | 'isInForce'
  | 'callers'
  | 'decide'
  | 'foresee'
  | 'foreseeUnrevoked'
  | 'stillGiven'
  | 'applications'
  | 'sharedAudienceIssuers'
  | 'onceIssuers'
  | 'credentials'

/** What outlives each configuration. */
export interface LastingParts {
  readonly issuance: Omit<IssuanceDeps, MadeByConfiguration>
  readonly callerProofs: CallerProofs
  readonly certificates: CertificateSource
  readonly budget: GrantBudget
  readonly clock: Clock
  readonly vault: DependencyWatch
  readonly inForce: Pick<ConfiguredInForce, 'current'>
}

/**
 * Makes a configuration work, beside the one that does. Certificates that are new in it are not proven yet.
 *
 * @param grants Compiled with this very configuration.
 * @param before What it takes over from; undefined for the first one of a run.
 * @throws Error of the system when the CAs of an issuer cannot be read.
 */
export function createConfigured(
  config: Config,
  grants: CompiledGrants,
  before: Configured | undefined,
  lasting: LastingParts,
): Configured {
  const { clock, budget } = lasting
  const { ledger, revocations, signer, governor } = lasting.issuance
  const policies = createPolicyInForce(grants)
  const policy = () => policies.current().policy
  const unrevoked = createUnrevokedPolicy(policy, () => revocations.current())
  const proof = lasting.callerProofs.proofBy(config, before?.proof)
  const applications = config.applications.map(applicationFrom)
  const credentials = createCredentials({
    applications,
    locations: config.certificates.flatMap(locationsOf),
    source: lasting.certificates,
    signer,
    governor,
    ledger,
    clock,
    vault: lasting.vault,
  })
  if (before !== undefined) credentials.know(before.credentials.proven)
  const issuance: IssuanceDeps = {
    ...lasting.issuance,
    isInForce: () => lasting.inForce.current() === configured,
    callers: proof.callers,
    decide: (caller, ask, charged) => {
      const left = charged === undefined ? budget : havingTaken(charged, budget)
      return decide(unrevoked(), caller, ask, clock.nowSeconds(), left)
    },
    foresee: (caller, ask) => foresee(unrevoked(), caller, ask, clock.nowSeconds()),
    foreseeUnrevoked: (caller, ask) => foresee(policy(), caller, ask, clock.nowSeconds()),
    stillGiven: (grant, ask) => stillGiven(unrevoked(), grant, ask, clock.nowSeconds()),
    applications: new Map(applications.map((application) => [application.name, application])),
    sharedAudienceIssuers: tokenIssuersWhere(config, (issuer) => issuer.acceptSharedAudience),
    onceIssuers: tokenIssuersWhere(config, (issuer) => issuer.replay === 'once'),
    credentials,
  }
  const configured: Configured = { config, policies, proof, credentials, issuance }
  return configured
}

/**
 * Proves the certificates that a configuration has and the one before it does not have. Those that neither
 * has proven are tried again and again, whichever of the two is in force.
 *
 * @throws CertificateError | SignerError | LedgerError
 */
export async function proveNewCertificates(next: Configured, before: Configured): Promise<void> {
  const had = before.config.certificates.flatMap(locationsOf)
  await next.credentials.prove((location) => !had.some((one) => isDeepStrictEqual(one, location)))
}

type TokenIssuer = Exclude<Config['issuers'][number], { readonly kind: 'mtls' }>

const tokenIssuersWhere = ({ issuers }: Config, holds: (issuer: TokenIssuer) => boolean) =>
  new Set(
    issuers.flatMap((issuer) => (issuer.kind !== 'mtls' && holds(issuer) ? [issuer.name] : [])),
  )

/** Which tokens and assertions the first gives, and the second, in force behind it, gives to nobody. */
export function endedBetween(
  before: Config,
  after: Config,
): (held: { readonly application: ApplicationName; readonly tenant: TenantId }) => boolean {
  const [was, is] = [listedIn(before), listedIn(after)]
  return ({ application, tenant }) => {
    const [old, now] = [was.get(application), is.get(application)]
    if (old?.tenants.has(tenant) !== true) return false
    return now?.clientId !== old.clientId || !now.tenants.has(tenant)
  }
}

const listedIn = ({ applications }: Config) =>
  new Map(
    applications.map(({ name, clientId, tenants }) => [
      name,
      { clientId, tenants: new Set(tenants) },
    ]),
  )

function locationsOf(certificate: Config['certificates'][number]): readonly PlacedLocation[] {
  const { name, vault, nameInVault, requireHsm, standby } = certificate
  const primary: PlacedLocation = {
    place: 'primary',
    name,
    vaultUrl: vault,
    vaultCertificateName: nameInVault,
    requireHsm,
  }
  if (standby === undefined) return [primary]
  const { vault: vaultUrl, nameInVault: vaultCertificateName } = standby
  return [primary, { ...primary, place: 'standby', vaultUrl, vaultCertificateName }]
}

const applicationFrom = (application: Config['applications'][number]): Application => ({
  name: application.name,
  clientId: application.clientId,
  certificate: application.certificate,
  profile: application.profile,
  x5c: application.x5c ? 'include' : 'omit',
})
