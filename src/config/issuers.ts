import type { z } from 'zod'
import { adviseOnClaims } from '../yaml/claim-advice.ts'
import { claimRulesFrom, entriesOf } from '../yaml/forms.ts'
import type { IssuerName } from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig, IssuerConfig, TokenIssuerConfig } from './config.ts'
import {
  azureDevOpsForm,
  entraB2cForm,
  entraForm,
  githubForm,
  gitlabForm,
  kubernetesForm,
  mtlsForm,
  oidcForm,
  spiffeForm,
  type IssuerForm,
  type IssuersForm,
} from './issuer-forms.ts'
import type { AskedOfClients } from './listen.ts'
import { checkAddressOfKeys, privateAddressAt } from './issuer-address.ts'
import { ownerClaimsAt } from './public-issuers.ts'
import { checkMtlsIssuer, mtlsIssuerFrom } from './mtls-issuers.ts'
import { isSharedAudience } from './shared-audience.ts'

/**
 * @param cloud Undefined when the file's own is broken: then no issuer can be compared with it.
 * @param listen Where callers would show certificates.
 */
export function checkIssuers(
  part: YamlPart,
  cloud: CloudConfig | undefined,
  listen: YamlPart,
): void {
  const takenBy = new Map<string, string>()
  for (const [name, issuer] of part.maps()) {
    const seen = seenIssuer(issuer)
    if (seen === undefined) continue
    checkName(issuer, name)
    checkCertificatesReach(issuer, seen, listen)
    if (isMtls(seen)) checkMtlsIssuer(issuer, seen)
    checkTaken(issuer, issuersNamedBy(seen, cloud), takenBy, name)
    checkAudience(issuer, seen)
    checkRequire(issuer, seen)
    checkAddressOfKeys(issuer, seen, cloud)
    if (cloud !== undefined) checkAuthority(issuer, seen, cloud)
  }
}

/**
 * A proxy ends TLS and with it what a certificate proves; what it says of one in a header is as good as
 * whoever reaches us past it.
 */
function checkCertificatesReach(issuer: YamlPart, seen: SeenIssuer, listen: YamlPart): void {
  if (!isMtls(seen) && seen.boundTokens !== 'certificate') return
  const needed = isMtls(seen) ? 'kind' : 'boundTokens'
  if (listen.at('tls').value !== undefined && listen.at('behindProxy').value === undefined) return
  issuer
    .at(needed)
    .report(
      'certificates-need-tls',
      `\`${issuer.name}.${needed}\` needs certificates of clients, which they show only where the service ends TLS itself, never through a proxy: add \`listen.tls\` in place of \`listen.behindProxy\` or plain http.`,
    )
}

/** The caller of what the service does by itself is written down under its own name. */
function checkName(part: YamlPart, name: string): void {
  if (name !== 'countersign') return
  part.report(
    'reserved-name',
    `\`${part.name}\` is what the ledger calls the service itself: give the issuer another name.`,
  )
}

/**
 * @param publicUrl The audience of issuers that name none.
 * @param folder Where relative paths start.
 */
export function issuersFrom(
  issuers: IssuersForm,
  publicUrl: string,
  folder: string,
  cloud: CloudConfig,
): readonly IssuerConfig[] {
  return entriesOf(issuers).map(([name, form]) =>
    form.kind === 'mtls'
      ? mtlsIssuerFrom(name, form, folder)
      : issuerFrom(name, form, publicUrl, cloud),
  )
}

function issuerFrom(
  name: IssuerName,
  form: Exclude<IssuerForm, { kind: 'mtls' }>,
  publicUrl: string,
  cloud: CloudConfig,
): TokenIssuerConfig {
  const common = {
    name,
    audience: form.audience ?? publicUrl,
    acceptSharedAudience: form.acceptSharedAudience,
    require: claimRulesFrom(form.require ?? {}),
    replay: form.replay,
    algorithms: [...new Set(form.algorithms)],
    maxTokenSeconds: form.maxTokenSeconds,
    ...(form.boundTokens === undefined ? {} : { boundTokens: form.boundTokens }),
    privateAddress: form.privateAddress ?? privateAddressAt(form.kind, cloud),
  }
  if (form.kind === 'entra') {
    return { ...common, kind: form.kind, tenants: [...new Set(form.tenants)].toSorted() }
  }
  if (form.kind === 'entra-b2c') {
    const { kind, issuer, policies } = form
    const named = new Set(policies.map((policy) => policy.toLowerCase()))
    return { ...common, kind, issuer, policies: [...named].toSorted() }
  }
  if (form.kind === 'azure-devops') {
    const { kind, organization, connectedTenant, issuer } = form
    return {
      ...common,
      kind,
      organization,
      issuer: issuer ?? azureDevOpsIssuer(organization),
      ...(connectedTenant === undefined ? {} : { connectedTenant }),
    }
  }
  if (form.kind === 'spiffe') {
    const { kind, trustDomain, bundleUrl } = form
    return { ...common, kind, trustDomain, bundleUrl }
  }
  const { kind, issuer, jwksUri } = form
  return { ...common, kind, issuer, ...(jwksUri === undefined ? {} : { jwksUri }) }
}

/** A certificate, if some issuer looks at one. Others need not be bothered for it. */
export function askedOfClients(issuers: readonly IssuerConfig[]): AskedOfClients {
  const isAsked = issuers.some((issuer) =>
    issuer.kind === 'mtls' ? true : ['certificate', 'either'].includes(issuer.boundTokens ?? ''),
  )
  return isAsked ? { clientCertificates: 'asked-for' } : {}
}

const forms = {
  github: githubForm,
  gitlab: gitlabForm,
  kubernetes: kubernetesForm,
  'azure-devops': azureDevOpsForm,
  spiffe: spiffeForm,
  oidc: oidcForm,
  entra: entraForm,
  'entra-b2c': entraB2cForm,
  mtls: mtlsForm,
} satisfies Record<IssuerForm['kind'], z.ZodObject>

const isKind = (kind: unknown): kind is keyof typeof forms =>
  typeof kind === 'string' && Object.hasOwn(forms, kind)

export type SeenIssuer = Partial<IssuerForm>

const isMtls = (seen: SeenIssuer): seen is Partial<z.output<typeof mtlsForm>> =>
  seen.kind === 'mtls'

/** Undefined when its kind is none. */
export function seenIssuer(part: YamlPart): SeenIssuer | undefined {
  const kind = part.at('kind').value
  return isKind(kind) ? part.seen(forms[kind]) : undefined
}

const urlOf = (seen: SeenIssuer) => ('issuer' in seen ? seen.issuer : undefined)

/** Every `iss` that an issuer answers to, as far as that can be told. */
function issuersNamedBy(seen: SeenIssuer, cloud: CloudConfig | undefined): readonly string[] {
  if (seen.kind === 'azure-devops') return azureDevOpsIssuers(seen, cloud)
  if (isMtls(seen)) return []
  if (seen.kind === 'spiffe') return seen.trustDomain === undefined ? [] : [seen.trustDomain]
  const url = urlOf(seen)
  if (url !== undefined) return [url]
  if (!('tenants' in seen) || cloud === undefined) return []
  const { authority, authorityV1 } = cloud
  return [...new Set(seen.tenants)].flatMap((tenant) => [
    `${authority}/${tenant}/v2.0`,
    `${authorityV1}/${tenant}/`,
  ])
}

/** Of one tenant others have tokens too, so the organisation belongs to that name. */
function azureDevOpsIssuers(
  { organization, issuer, connectedTenant }: Partial<z.output<typeof azureDevOpsForm>>,
  cloud: CloudConfig | undefined,
): readonly string[] {
  if (organization === undefined) return []
  const own = issuer ?? azureDevOpsIssuer(organization)
  if (connectedTenant === undefined || cloud === undefined) return [own]
  return [own, `${cloud.authority}/${connectedTenant}/v2.0 ${organization}`]
}

const azureDevOpsIssuer = (organization: string) => `https://vstoken.dev.azure.com/${organization}`

/** A token says by `iss` whose it is: two issuers that answer to it would be one too many. */
function checkTaken(
  part: YamlPart,
  answersTo: readonly string[],
  takenBy: Map<string, string>,
  name: string,
): void {
  const others = new Set(answersTo.map((iss) => takenBy.get(iss)))
  for (const iss of answersTo) if (!takenBy.has(iss)) takenBy.set(iss, name)
  for (const other of others) {
    if (other === undefined) continue
    const message = `\`${part.name}\` has tokens of issuer ${other} too: keep them under one name.`
    part.report('same-issuer', message)
  }
}

function checkAudience(part: YamlPart, seen: SeenIssuer): void {
  if (isMtls(seen)) return
  const { audience, acceptSharedAudience } = seen
  if (audience === undefined || acceptSharedAudience !== false) return
  if (!isSharedAudience(audience, urlOf(seen))) return
  const message =
    seen.kind === 'azure-devops'
      ? `\`${part.name}\` has tokens for ${audience} alone, which other services take too: set acceptSharedAudience: true, and name its service connections exactly.`
      : `\`${part.name}.audience\` is in tokens for other services too: leave it out and ask for tokens for \`publicUrl\`, or set acceptSharedAudience: true.`
  part.at('audience').report('shared-audience', message)
}

function checkRequire(part: YamlPart, seen: SeenIssuer): void {
  const at = part.at('require')
  adviseOnClaims(at, seen.kind)

  const owners = ownerClaimsAt(urlOf(seen) ?? '')
  if (owners === undefined || at.parts().some(([claim]) => owners.includes(claim))) return
  const claim = owners[0] ?? ''
  at.report(
    'require-owner',
    `Everybody can have tokens of \`${part.name}\`: add \`require: { ${claim}: ["…"] }\` with the owners whose tokens count.`,
  )
}

/** Kind `entra` refuses users' tokens and looks at tenants; `oidc` would take anything signed. */
function checkAuthority(part: YamlPart, seen: SeenIssuer, cloud: CloudConfig): void {
  const url = urlOf(seen)
  if ((seen.kind !== 'oidc' && seen.kind !== 'azure-devops') || url === undefined) return
  const { origin } = new URL(url)
  if (origin !== cloud.authority && origin !== cloud.authorityV1) return
  if (seen.kind === 'azure-devops') {
    const message = `\`${part.name}.issuer\` is Entra, which has other tokens too: leave it out, and name the tenant as \`connectedTenant\`.`
    part.at('issuer').report('entra-as-azure-devops', message)
    return
  }
  part
    .at('issuer')
    .report(
      'entra-as-oidc',
      `\`${part.name}\` is Entra, whose users have such tokens too: use kind: entra with \`tenants\`, or \`require\` what no user's token has.`,
      'warning',
    )
}
