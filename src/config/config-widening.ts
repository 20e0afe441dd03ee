import { isDeepStrictEqual } from 'node:util'
import { claimWidenings, type ClaimWidening } from '../base/claim-widening.ts'
import type { TenantId } from '../base/ids.ts'
import type {
  ApplicationConfig,
  AuditConfig,
  Config,
  IssuerConfig,
  TokenIssuerConfig,
} from './config.ts'

/** What of `countersign.yaml` lets more callers count, or lets grants reach further. */
export interface ConfigWidening {
  /** `application events`, `issuer github`, `certificate partners`, `audit`, or `countersign.yaml` for what concerns all of them. */
  readonly part: string
  /** At least one. */
  readonly steps: readonly ConfigStep[]
}

export type ConfigStep =
  | { readonly step: 'new' }
  | { readonly step: 'tenants'; readonly added: readonly TenantId[] }
  | { readonly step: 'hand-out' }
  /** Of what an issuer requires of everybody. */
  | ClaimWidening
  | { readonly step: 'shared-audience' }
  | { readonly step: 'audience'; readonly from: string; readonly to: string }
  | { readonly step: 'algorithms'; readonly added: readonly string[] }
  | { readonly step: 'max-token-seconds'; readonly from: number; readonly to: number }
  /** Where it cannot be told which way a change goes, it counts as widening. */
  | { readonly step: 'changed'; readonly members: readonly string[] }

/**
 * In which ways the applications, the issuers, the certificates and what stands for all of them go further than before.
 * What is not known to narrow or to decide nothing counts as widening, settings of the future too.
 * What grants say is not looked at.
 */
export function configWidenings(before: Config, after: Config): readonly ConfigWidening[] {
  return [
    ...named('application', before.applications, after.applications, applicationSteps),
    ...named('issuer', before.issuers, after.issuers, issuerSteps),
    ...named('certificate', before.certificates, after.certificates, changed),
    ...partOf('audit', auditSteps(before.audit, after.audit)),
    ...partOf('countersign.yaml', changed(decidingIn(before), decidingIn(after))),
  ]
}

/**
 * Compared above, or one by one as grants are; or where things are kept and how fast, which lets nobody
 * have anything.
 */
const decidesNothing: ReadonlySet<string> = new Set<keyof Config>([
  'applications',
  'issuers',
  'certificates',
  'audit',
  'grants',
  'ledger',
  'machines',
  'heads',
  'tokenCache',
  'governor',
  'export',
])

const decidingIn = (config: Config): object =>
  Object.fromEntries(Object.entries(config).filter(([name]) => !decidesNothing.has(name)))

const partOf = (part: string, steps: readonly ConfigStep[]): readonly ConfigWidening[] =>
  steps.length === 0 ? [] : [{ part, steps }]

function named<Part extends { readonly name: string }>(
  noun: string,
  before: readonly Part[],
  after: readonly Part[],
  stepsOf: (before: Part, after: Part) => readonly ConfigStep[],
): readonly ConfigWidening[] {
  const known = new Map(before.map((part) => [part.name, part]))
  return after.flatMap((part) => {
    const was = known.get(part.name)
    const steps = was === undefined ? [{ step: 'new' } as const] : stepsOf(was, part)
    return partOf(`${noun} ${part.name}`, steps)
  })
}

function applicationSteps(
  before: ApplicationConfig,
  after: ApplicationConfig,
): readonly ConfigStep[] {
  const { tenants: tenantsBefore, handOut: handOutBefore, ...othersBefore } = before
  const { tenants, handOut, ...others } = after
  return [
    ...tenantSteps(tenantsBefore, tenants),
    ...(handOut && !handOutBefore ? [{ step: 'hand-out' } as const] : []),
    ...changed(othersBefore, others),
  ]
}

function issuerSteps(before: IssuerConfig, after: IssuerConfig): readonly ConfigStep[] {
  if (before.kind !== 'mtls' && after.kind !== 'mtls') return tokenIssuerSteps(before, after)
  const { require: required, ...othersBefore } = before
  const { require, ...others } = after
  return [...claimWidenings(required, require), ...changed(othersBefore, others)]
}

function tokenIssuerSteps(
  before: TokenIssuerConfig,
  after: TokenIssuerConfig,
): readonly ConfigStep[] {
  const was = splitIssuer(before)
  const is = splitIssuer(after)
  const algorithms = is.algorithms.filter((one) => !was.algorithms.includes(one))
  return [
    ...claimWidenings(was.require, is.require),
    ...(is.acceptSharedAudience && !was.acceptSharedAudience
      ? [{ step: 'shared-audience' } as const]
      : []),
    ...(is.audience === was.audience
      ? []
      : [{ step: 'audience', from: was.audience, to: is.audience } as const]),
    ...(algorithms.length === 0 ? [] : [{ step: 'algorithms', added: algorithms } as const]),
    ...(is.maxTokenSeconds > was.maxTokenSeconds
      ? [{ step: 'max-token-seconds', from: was.maxTokenSeconds, to: is.maxTokenSeconds } as const]
      : []),
    ...tenantSteps(was.tenants, is.tenants),
    ...changed(was.others, is.others),
  ]
}

/** Who may sign in and look. */
function auditSteps(
  before: AuditConfig | undefined,
  after: AuditConfig | undefined,
): readonly ConfigStep[] {
  if (after === undefined) return []
  if (before === undefined) return [{ step: 'new' }]
  const { rules: required, ...othersBefore } = before.oidc
  const { rules, ...others } = after.oidc
  return [...claimWidenings(required, rules), ...changed(othersBefore, others)]
}

/** What is known of every issuer of tokens, and the rest of it. */
function splitIssuer(issuer: TokenIssuerConfig) {
  const { require, acceptSharedAudience, audience, algorithms, maxTokenSeconds, ...rest } = issuer
  const known = { require, acceptSharedAudience, audience, algorithms, maxTokenSeconds }
  if (rest.kind !== 'entra') return { ...known, tenants: [], others: rest }
  const { tenants, ...others } = rest
  return { ...known, tenants, others }
}

function tenantSteps(
  before: readonly TenantId[],
  after: readonly TenantId[],
): readonly ConfigStep[] {
  const known = new Set(before)
  const added = after.filter((tenant) => !known.has(tenant))
  return added.length === 0 ? [] : [{ step: 'tenants', added }]
}

function changed(before: object, after: object): readonly ConfigStep[] {
  const was = new Map(Object.entries(before))
  const is = new Map(Object.entries(after))
  const members = [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => !isDeepStrictEqual(was.get(name), is.get(name)))
    .toSorted()
  return members.length === 0 ? [] : [{ step: 'changed', members }]
}
