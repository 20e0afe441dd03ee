import { adviseOnClaims } from '../yaml/claim-advice.ts'
import { matchedClaimsForm, scopeForm } from '../yaml/forms.ts'
import { isPattern } from '../base/claim-rules.ts'
import type { Scope, TenantId } from '../base/ids.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { anyListed, grantForm, permissionForm } from './grant-form.ts'

/**
 * What grants may name. The configuration knows it; of one that is broken, what could be read. What
 * is absent is not compared with, and nothing that depends on it is allowed.
 */
export interface GrantSurroundings {
  /** The service itself: no grant may give a token for it. */
  readonly publicUrl?: string | undefined
  readonly applications: readonly KnownApplication[]
  readonly issuers: readonly KnownIssuer[]
}

export interface KnownApplication {
  readonly name: string
  readonly tenants?: readonly TenantId[] | undefined
  readonly handOut?: boolean | undefined
}

export interface KnownIssuer {
  readonly name: string
  readonly kind?: string | undefined
  /** Tokens for this audience open the service, so it is as good as `publicUrl`. */
  readonly audience?: string | undefined
}

/** The same, ready for looking up. */
export interface Known {
  readonly applications: ReadonlyMap<string, ApplicationBounds>
  readonly issuerKinds: ReadonlyMap<string, string | undefined>
  /** Resources that are the service itself, as {@link resourceOf} writes them. */
  readonly ourselves: ReadonlySet<string>
}

/** What a grant can have of an application. */
export interface ApplicationBounds {
  readonly tenants: ReadonlySet<TenantId> | undefined
  readonly handOut: boolean | undefined
}

export function knownFrom({ publicUrl, applications, issuers }: GrantSurroundings): Known {
  const ourselves = [publicUrl, ...issuers.map(({ audience }) => audience)]
  return {
    applications: new Map(
      applications.map(({ name, tenants, handOut }) => [
        name,
        { tenants: tenants && new Set(tenants), handOut },
      ]),
    ),
    issuerKinds: new Map(issuers.map(({ name, kind }) => [name, kind])),
    ourselves: new Set(ourselves.filter((url) => url !== undefined).map(comparable)),
  }
}

/** Members of `may` that are of no application. */
const rights = ['admin', 'audit'] as const

/** Reports what is wrong with a grant in view of the configuration and the time. */
export function checkGrant(root: YamlPart, known: Known, nowSeconds: number): void {
  checkCaller(root.at('caller'), known)
  for (const [, item] of root.at('may').maps()) {
    if (rights.every((right) => item.at(right).value === undefined)) checkPermission(item, known)
  }
  checkTokenTerms(root)
  const { until } = root.seen(grantForm)
  if (until !== undefined && until <= nowSeconds) {
    const message = '`until` has come, so this grant allows nothing: renew it, or remove the file.'
    root.at('until').report('ended', message, 'warning')
  }
}

function checkTokenTerms(root: YamlPart): void {
  const givesTokens = root
    .at('may')
    .maps()
    .some(([, item]) => item.at('scopes').value !== undefined)
  if (givesTokens) return
  for (const term of ['isolate', 'longLived'] as const) {
    if (root.seen(grantForm)[term] !== true) continue
    const message = `\`${term}\` is about tokens, and this grant gives none: remove it.`
    root.at(term).report('no-tokens', message, 'warning')
  }
}

function checkCaller(part: YamlPart, { issuerKinds }: Known): void {
  const { issuer } = part.seen(grantForm.shape.caller)
  if (issuer !== undefined && !issuerKinds.has(issuer)) {
    const message = `\`${part.name}.issuer\` names ${issuer}, which is not among the issuers of countersign.yaml: add it there, or name another.`
    part.at('issuer').report('unknown-issuer', message)
  }
  const kind = issuer === undefined ? undefined : issuerKinds.get(issuer)
  const claims = part.at('claims')
  adviseOnClaims(claims, kind)
  const named = claims.sound(matchedClaimsForm)
  if (named !== undefined && Object.values(named).every((anyOf) => anyOf.some(isPattern))) {
    const message = `\`${claims.name}\` names nothing exactly: name who it is by a claim that nobody else has, such as an id, and use \`like\` for what it does.`
    claims.report('patterns-alone', message, 'warning')
  }
}

function checkPermission(part: YamlPart, { applications, ourselves }: Known): void {
  const { application: name, tenant } = part.seen(permissionForm)
  const wantsAssertion = part.at('assertion').value !== undefined
  checkOneWant(part, wantsAssertion)
  for (const [, item] of part.at('scopes').parts()) {
    const scope = item.sound(scopeForm)
    if (scope !== undefined && ourselves.has(resourceOf(scope))) reportOurselves(item)
  }
  const application = name === undefined ? undefined : applications.get(name)
  if (name === undefined) return
  if (application === undefined) {
    const message = `\`${part.name}.application\` names ${name}, which is not among the applications of countersign.yaml: add it there, or name another.`
    part.at('application').report('unknown-application', message)
    return
  }
  if (tenant !== undefined && tenant !== anyListed && application.tenants?.has(tenant) === false) {
    const message = `\`${part.name}.tenant\` is not among the tenants of ${name}: add it there, or name another.`
    part.at('tenant').report('tenant-not-listed', message)
  }
  if (wantsAssertion && application.handOut === false) {
    const message = `\`${part.name}\` hands out assertions of ${name}, which has no \`handOut: true\`: grant \`scopes\` instead, or set it, knowing that an assertion is the whole application.`
    part.at('assertion').report('no-hand-out', message)
  }
}

function checkOneWant(part: YamlPart, wantsAssertion: boolean): void {
  const wantsTokens = part.at('scopes').value !== undefined
  if (wantsTokens !== wantsAssertion) return
  const remedy = wantsTokens ? 'write an item for each' : 'add one of them'
  const message = `\`${part.name}\` must have either \`scopes\` (tokens) or \`assertion\`: ${remedy}.`
  part.report('scopes-or-assertion', message)
}

/** A token for us, got from us, would let a caller come back as somebody else. */
function reportOurselves(part: YamlPart): void {
  const message = `\`${part.name}\` is the service itself, and it gives no tokens for itself: name the resource that the caller wants to reach.`
  part.report('resource-is-ours', message)
}

const resourceOf = (scope: Scope) => comparable(scope.replace(/\/\.default$/, ''))

/**
 * Hosts and GUIDs have no case, a slash at the end names nothing else, and `api://GUID` is another
 * way to ask Entra for tokens of that GUID.
 */
const comparable = (resource: string) =>
  resource
    .toLowerCase()
    .replace(/\/+$/, '')
    .replace(/^api:\/\/(?=[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$)/, '')
