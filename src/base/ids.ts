import { randomUUID, randomUUIDv7 } from 'node:crypto'

/**
 * Identifiers that cannot be taken for one another: a tenant never passes for a client. A value is
 * made only by the `parse` or `new` function of its kind.
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** A cloud, by the origin of its authority: `https://login.microsoftonline.com`. */
export type Cloud = Branded<'Cloud'>
/** GUID of an Entra tenant, lower case. */
export type TenantId = Branded<'TenantId'>
/** GUID of an app registration (`client_id`), lower case. */
export type ClientId = Branded<'ClientId'>
/** Name of an application in `countersign.yaml`. */
export type ApplicationName = Branded<'ApplicationName'>
/** Name of a certificate in `countersign.yaml`. */
export type CertificateName = Branded<'CertificateName'>
/** Name of an issuer in `countersign.yaml`. */
export type IssuerName = Branded<'IssuerName'>
/** Name of a grant: its file says it, and the ledger repeats it. */
export type GrantName = Branded<'GrantName'>
/** Name of a probe in the operator's file of them. */
export type ProbeName = Branded<'ProbeName'>
/** `{resource}/.default`, normalised: what is keyed, recorded and sent. */
export type Scope = Branded<'Scope'>
/** One request's life; told to the caller. UUIDv7, so that ids sort by time. */
export type AttemptId = Branded<'AttemptId'>
/** One POST to a token endpoint; sent as `client-request-id`. UUIDv7. */
export type ExchangeId = Branded<'ExchangeId'>
/** One call of the vault's sign operation. UUIDv7. */
export type SignatureId = Branded<'SignatureId'>
/** One revocation, from when it is made until it is lifted. UUIDv7. */
export type RevocationId = Branded<'RevocationId'>

const guidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const nameForm = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** What {@link parseApplicationName} and its siblings accept, in words for a message. */
export const nameRule = 'lower-case letters, digits and inner hyphens, 1 to 63 characters'

const parseGuid = (text: string) => (guidForm.test(text) ? text.toLowerCase() : undefined)
const parseName = (text: string) => (nameForm.test(text) ? text : undefined)

export const parseCloud = (authority: string) =>
  (URL.parse(authority)?.origin === authority ? authority : undefined) as Cloud | undefined
export const parseTenantId = (text: string) => parseGuid(text) as TenantId | undefined
export const parseClientId = (text: string) => parseGuid(text) as ClientId | undefined
/** An organisation of Azure DevOps, lower case. */
export const parseOrganization = parseGuid
/** What a client of Entra calls its request, lower case. */
export const parseClientRequestId = parseGuid
export const parseAttemptId = (text: string) => parseGuid(text) as AttemptId | undefined
export const parseRevocationId = (text: string) => parseGuid(text) as RevocationId | undefined
export const parseApplicationName = (text: string) => parseName(text) as ApplicationName | undefined
export const parseCertificateName = (text: string) => parseName(text) as CertificateName | undefined
export const parseIssuerName = (text: string) => parseName(text) as IssuerName | undefined
export const parseGrantName = (text: string) => parseName(text) as GrantName | undefined
export const parseProbeName = (text: string) => parseName(text) as ProbeName | undefined

/** Nearly every resource: names of letters first, so neither addresses nor encoded names. Any of these is a URL. */
const plainUri = /^(?:https|api):\/\/[a-z][a-z0-9]*(?:[.-][a-z][a-z0-9]*)*$/

/** The plain ones are told without a parser, which takes ten times as long. */
const isUri = (text: string) => plainUri.test(text) || URL.canParse(text)

/**
 * One resource and `/.default`, as the v2 token endpoint wants it of applications; undefined for
 * anything else. A resource is a GUID or a URI of visible ASCII; slashes at its end are folded,
 * because some clients send `https://monitor.azure.com//.default`.
 */
export function parseScope(text: string): Scope | undefined {
  const match = /^([!-~]{1,512}?)\/+\.default$/.exec(text)
  const resource = match?.[1]
  if (resource === undefined || resource.includes('/.default')) return undefined
  if (parseGuid(resource) !== undefined) return `${resource.toLowerCase()}/.default` as Scope
  return isUri(resource) ? (`${resource}/.default` as Scope) : undefined
}

export const newAttemptId = () => randomUUIDv7() as AttemptId
export const newExchangeId = () => randomUUIDv7() as ExchangeId
export const newSignatureId = () => randomUUIDv7() as SignatureId
export const newRevocationId = () => randomUUIDv7() as RevocationId
/** `jti` of an assertion: random, tells nothing (RFC 7519 §4.1.7). */
export const newJwtId = (): string => randomUUID()
