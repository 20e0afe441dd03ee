// What one configuration makes of the service, as a part of the wiring that a reload makes anew.
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from './base/clock.ts'
import type { DependencyWatch } from './base/dependency-watch.ts'
import type { ApplicationName, CertificateName, TenantId } from './base/ids.ts'
import type { CallerProof, CallerProofs } from './caller-proof.ts'
import { type CertificateSource, keyIdsBegin } from './certificate/certificate.ts'
import type { Config } from './config/config.ts'
import { type Application, hasKey } from './issuance/application.ts'
import { createCredentials, type Credentials, type PlacedLocation } from './issuance/credentials.ts'
import type { IssuanceDeps } from './issuance/issuance-deps.ts'
import type { People } from './people.ts'
import type { CompiledGrants } from './policy/compile-grants.ts'
import { type GrantBudget, havingTaken } from './policy/grant-budget.ts'
import { decide, foresee, type Policy, stillGiven } from './policy/policy.ts'
import { createPolicyInForce, type PolicyInForce } from './policy/policy-in-force.ts'
import { createUnrevokedPolicy } from './revocation/unrevoked-policy.ts'

/** A configuration at work. It never changes but for its grants; another one is made beside it, whole. */
export interface Configured {
  readonly config: Config
  readonly policies: PolicyInForce
  /** What is allowed by it, without grants that are revoked. */
  readonly unrevokedPolicy: () => Policy
  readonly proof: CallerProof
  readonly credentials: Credentials
  readonly issuance: IssuanceDeps
  /** Undefined where nobody signs in. */
  readonly people: People | undefined
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

/** What becomes of a configuration elsewhere. */
export interface ConfigurationParts {
  readonly grants: CompiledGrants
  readonly people: People | undefined
}

/**
 * Makes a configuration work, beside the one that does. Certificates that are new in it are not proven yet.
 *
 * @param parts Made of this very configuration.
 * @param before What it takes over from; undefined for the first one of a run.
 * @throws Error of the system when the CAs of an issuer cannot be read.
 */
export function createConfigured(
  config: Config,
  { grants, people }: ConfigurationParts,
  before: Configured | undefined,
  lasting: LastingParts,
): Configured {
  const { clock, budget } = lasting
  const { ledger, revocations, signer, governor } = lasting.issuance
  const policies = createPolicyInForce(grants)
  const policy = () => policies.current().policy
  const unrevoked = createUnrevokedPolicy(policy, () => revocations.current())
  const proof = lasting.callerProofs.proofBy(config, before?.proof)
  const applications = applicationsOf(config)
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
  const configured: Configured = {
    config,
    policies,
    unrevokedPolicy: unrevoked,
    proof,
    credentials,
    issuance,
    people,
  }
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

/** What a token or an assertion is by, as far as a configuration may take it back. */
interface HeldFor {
  readonly application: ApplicationName
  readonly tenant: TenantId
  /** The key version that has signed, or will; undefined when none will. */
  readonly keyId: string | undefined
}

/**
 * Which tokens and assertions the first gives, and the second, in force behind it, gives to nobody: `right`
 * where nobody is to have one of this application and tenant any more, or Entra knows it as another one;
 * `key` where another key signs from then on. Another version of the same certificate ends nothing.
 */
export function endedBetween(
  before: Config,
  after: Config,
): (held: HeldFor) => 'right' | 'key' | undefined {
  const [was, is] = [listedIn(before), listedIn(after)]
  return ({ application, tenant, keyId }) => {
    const [old, now] = [was.get(application), is.get(application)]
    if (old?.tenants.has(tenant) !== true) return undefined
    if (now?.clientId !== old.clientId || !now.tenants.has(tenant)) return 'right'
    return keyId !== undefined && hasKey(old, keyId) && !hasKey(now, keyId) ? 'key' : undefined
  }
}

const listedIn = ({ applications, certificates }: Config) =>
  new Map(
    applications.map(({ name, clientId, certificate, tenants }) => [
      name,
      {
        clientId,
        tenants: new Set(tenants),
        keyIdsBegin: keyIdsBeginOf(certificate, certificates),
      },
    ]),
  )

const keyIdsBeginOf = (name: CertificateName, certificates: Config['certificates']) =>
  certificates
    .filter((one) => one.name === name)
    .flatMap(locationsOf)
    .map(keyIdsBegin)

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

const applicationsOf = ({ applications, certificates }: Config): readonly Application[] =>
  applications.map(({ name, clientId, certificate, profile, x5c }) => ({
    name,
    clientId,
    certificate,
    profile,
    x5c: x5c ? 'include' : 'omit',
    keyIdsBegin: keyIdsBeginOf(certificate, certificates),
  }))
