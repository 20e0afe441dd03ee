import { createHash } from 'node:crypto'
import { isoFrom } from '../emulator-clock.ts'
import { vaultResourceId } from '../vault/arm.ts'
import type { VaultAccess } from '../vault/authorization.ts'
import type { VaultCaller } from '../vault/bearer.ts'
import { hsmPlatformOf } from '../vault/bundles.ts'
import type { VaultOperation } from '../vault/operation.ts'
import type { VaultCertificate, VaultKey, VaultObject } from '../vault/performed.ts'
import type { Unconfirmed } from '../vault/unconfirmed.ts'

/**
 * One line of a vault's audit log, as Azure Monitor writes it into a storage account. It never holds a
 * digest or a signature: Azure's does not either, and whoever reads both must not be spoilt.
 */
export interface VaultRecord {
  /** UTC with seven decimals. */
  readonly time: string
  readonly category: 'AuditEvent'
  readonly operationName: string
  /** `Success` for refusals too: the verdict is `properties.httpStatusCode`. */
  readonly resultType: 'Success'
  readonly resultSignature: string
  readonly resultDescription: string
  /** The `x-ms-request-id` of the answer, not the id that the client sent. */
  readonly correlationId: string
  /** A number in a string. */
  readonly durationMs: string
  readonly callerIpAddress: string
  readonly resourceId: string
  /** The api-version asked for. */
  readonly operationVersion: string
  readonly identity: { readonly claim?: Readonly<Record<string, unknown>> }
  readonly properties: Readonly<Record<string, unknown>> & { readonly httpStatusCode: number }
}

/** What the vault knows of a request when it has been answered. */
export interface AnsweredRequest {
  readonly vault: string
  readonly origin: string
  readonly receivedMs: number
  readonly durationMs: number
  readonly requestId: string
  /** Path and query as sent. */
  readonly target: string
  readonly path: string
  readonly query: URLSearchParams
  readonly userAgent: string
  readonly remoteAddress: string
  readonly tlsVersion: string | undefined
  readonly operation: VaultOperation | undefined
  /** Undefined when the request did not prove who it was from. */
  readonly caller: VaultCaller | undefined
  readonly accessModel: VaultAccess['model']
  /** False, too, of what was refused before anybody came to ask. */
  readonly isAllowed: boolean
  /** Of the role assignment that allowed it. */
  readonly assignmentId: string | undefined
  /** Undefined when there is none, or the request did not get so far. */
  readonly object: VaultObject | undefined
  readonly algorithm: string | undefined
  readonly status: number
  /** Empty when it succeeded. */
  readonly errorMessage: string
}

export function recordFrom(request: AnsweredRequest, unconfirmed: Unconfirmed): VaultRecord {
  return {
    time: isoFrom(request.receivedMs / 1000).replace('Z', '0000Z'),
    category: 'AuditEvent',
    operationName: operationNameOf(request, unconfirmed),
    resultType: 'Success',
    resultSignature: signatureOf(request.status),
    resultDescription: request.errorMessage,
    correlationId: request.requestId,
    durationMs: String(Math.round(request.durationMs)),
    callerIpAddress: request.remoteAddress.replace(/^::ffff:/, ''),
    resourceId: vaultResourceId(request.vault),
    operationVersion: request.query.get('api-version') ?? '',
    identity: request.caller === undefined ? {} : { claim: claimsOf(request.caller) },
    properties: propertiesOf(request, unconfirmed),
  }
}

function operationNameOf(request: AnsweredRequest, unconfirmed: Unconfirmed): string {
  if (request.caller === undefined && unconfirmed.operationNameOf401 === 'Authentication') {
    return 'Authentication'
  }
  return request.operation?.name ?? 'Unknown'
}

const signatures: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const signatureOf = (status: number) => signatures[status] ?? String(status)

const claimsOf = (caller: VaultCaller) => ({
  appid: caller.applicationId,
  appidacr: caller.authenticationClass,
  oid: caller.objectId,
  iss: caller.issuer,
  idtyp: 'app',
  xms_az_nwperimid: [],
  ...(caller.managedIdentityResourceId === undefined
    ? {}
    : { xms_mirid: caller.managedIdentityResourceId }),
})

function propertiesOf(
  request: AnsweredRequest,
  unconfirmed: Unconfirmed,
): VaultRecord['properties'] {
  const { object, operation, assignmentId, tlsVersion } = request
  const failed = request.status >= 400
  const withId = operation !== undefined && !(failed && unconfirmed.idOnFailure === 'absent')
  return {
    ...(withId ? { id: identifierIn(request, operation) } : {}),
    ...(request.algorithm === undefined ? {} : { algorithm: request.algorithm }),
    clientInfo: clientInfoFrom(request.userAgent, unconfirmed.clientInfoCharactersMax),
    requestUri: requestUriOf(request, unconfirmed),
    httpStatusCode: request.status,
    ...(request.caller === undefined ? {} : verdictOf(request)),
    ...(assignmentId === undefined ? {} : { appliedAssignmentId: assignmentId }),
    ...(object === undefined ? {} : objectProperties(object, operation)),
    ...(tlsVersion === undefined ? {} : { tlsVersion: tlsNameFrom(tlsVersion) }),
    subnetId: '',
  }
}

/** One of the two, by the model of the vault. */
const verdictOf = ({ accessModel, isAllowed }: AnsweredRequest) =>
  accessModel === 'roles' ? { isRbacAuthorized: isAllowed } : { isAccessPolicyMatch: isAllowed }

/** `TLS1_3` of Node's `TLSv1.3`. */
const tlsNameFrom = (version: string) => version.replace('v', '').replace('.', '_')

/** With the version even when the request named none, as soon as it is known which one was meant. */
function identifierIn({ origin, object }: AnsweredRequest, operation: VaultOperation): string {
  const name = object?.stored.name ?? operation.object
  const version =
    operation.object === undefined ? undefined : (object?.version.version ?? operation.version)
  return [origin, operation.collection, name, version]
    .filter((part) => part !== undefined)
    .join('/')
}

const clientInfoFrom = (userAgent: string, charactersMax: number) =>
  charactersMax === 0 ? userAgent : userAgent.slice(0, charactersMax)

/** Real records show the port of an inner server, not the one that the client connected to. */
const innerPort = 8443

function requestUriOf(request: AnsweredRequest, unconfirmed: Unconfirmed): string {
  const host = new URL(request.origin).hostname
  if (unconfirmed.requestUriQuery === 'as-sent') {
    return `https://${host}:${innerPort}${request.target}`
  }
  const query = [...request.query].map(([name, value]) => `${name}=${value}`).join('&')
  return `https://${host}:${innerPort}${request.path}${query === '' ? '' : `?${query}`}`
}

function objectProperties(object: VaultObject, operation: VaultOperation | undefined) {
  if (object.kind === 'key') return { keyProperties: keyProperties(object) }
  if (object.kind === 'secret') return {}
  // The secret of a certificate is another object, of which records show nothing.
  if (operation?.collection !== 'certificates') return {}
  return { certificateProperties: certificateProperties(object) }
}

const keyProperties = ({ stored, version }: VaultKey) => ({
  type: stored.definition.keyType,
  size: stored.definition.keySize,
  operations: stored.definition.keyOps,
  attributes: { enabled: version.enabled, hsmPlatform: hsmPlatformOf(stored) },
})

const certificateProperties = ({ stored, version }: VaultCertificate) => ({
  subject: stored.definition.subject,
  sha1: createHash('sha1').update(version.der).digest('hex').toUpperCase(),
  sha256: createHash('sha256').update(version.der).digest('hex').toUpperCase(),
  nbf: isoFrom(version.notBeforeSeconds),
  exp: isoFrom(version.notAfterSeconds),
  attributes: { enabled: version.enabled },
})
