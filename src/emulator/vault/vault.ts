import { randomUUID } from 'node:crypto'
import type { AccessTokens } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { replyAfter } from '../fault-replies.ts'
import type { Fault, FaultList } from '../faults.ts'
import { recordFrom, type VaultRecord } from '../vault-log/record.ts'
import type { WorldVault } from '../world.ts'
import { assignmentFor, denialFor, type RoleAssignment } from './authorization.ts'
import { authenticate, challengeOf, type Authentication, type VaultCaller } from './bearer.ts'
import { certificateItem, keyItem } from './bundles.ts'
import { getCertificate, getCertificatePolicy } from './certificate-operations.ts'
import { getKey, getKeyAttestation, sign, verify } from './key-operations.ts'
import { page } from './listings.ts'
import { operationFrom, type VaultOperation } from './operation.ts'
import { refused, type Performed, type VaultContent, type VaultObject } from './performed.ts'
import { replyFrom } from './reply.ts'
import { getSecret } from './secret-operations.ts'
import type { Throttle, ThrottleCost } from './throttle.ts'
import {
  apiVersionMissing,
  apiVersionUnknown,
  objectNotFound,
  routeUnknown,
  serverError,
  throttled,
} from './vault-error.ts'
import { versionOf, type StoredCertificate } from './vault-store.ts'

export interface VaultDeps extends VaultContent {
  readonly definition: WorldVault
  /** The vault's own tenant, which its challenge names. */
  readonly tenantId: string
  /** Of the emulated Entra that the challenge points at. */
  readonly authorityOrigin: string
  readonly roleAssignments: readonly RoleAssignment[]
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly throttle: Throttle
  readonly faults: FaultList
  /** Takes the audit record of each request before its answer is written. */
  readonly record: (record: VaultRecord) => void
}

/**
 * One emulated Key Vault. Nothing of a request but its token is looked at before the token is proven;
 * faults, too, strike only authenticated requests, so that a client's challenge probe spends none.
 */
export function createVault(deps: VaultDeps): EmulatedService {
  return async (request) => {
    const receivedMs = deps.clock.nowMs()
    const started = performance.now()
    const requestId = randomUUID()
    const operation = operationFrom(request.method, request.path)
    const authentication = await authenticate(
      request.headers.authorization,
      deps.tenantId,
      deps.accessTokens,
    )
    const fault = authentication.ok
      ? deps.faults.strike('vault', `${request.method} ${request.path}`)
      : undefined
    // Nothing is done, and nothing recorded: as if the request had never arrived.
    if (fault?.kind === 'drop-before') return { kind: 'drop' }
    const conclusion = conclude(deps, request, operation, authentication, fault)
    deps.record(
      recordFrom(
        {
          vault: deps.definition.name,
          origin: deps.origin,
          receivedMs,
          durationMs: performance.now() - started,
          requestId,
          target: request.target,
          path: request.path,
          query: request.query,
          userAgent: request.headers['user-agent'] ?? '',
          remoteAddress: request.remoteAddress,
          tlsVersion: request.tlsVersion,
          operation,
          caller: authentication.ok ? authentication.caller : undefined,
          ...factsOf(conclusion),
        },
        deps.unconfirmed,
      ),
    )
    return reply(deps, request, requestId, conclusion.performed, fault)
  }
}

/** How a request ended, and how far it came. */
interface Conclusion {
  readonly performed: Performed
  readonly assignmentId?: string
  readonly object?: VaultObject
}

function factsOf({ performed, assignmentId, object }: Conclusion) {
  return {
    assignmentId,
    object,
    algorithm: performed.ok ? performed.algorithm : undefined,
    status: performed.ok ? 200 : performed.error.status,
    errorMessage: performed.ok ? '' : performed.error.message,
  }
}

function conclude(
  deps: VaultDeps,
  request: EmulatedRequest,
  operation: VaultOperation | undefined,
  authentication: Authentication,
  fault: Fault | undefined,
): Conclusion {
  if (!authentication.ok) return { performed: refused(authentication.error) }
  if (fault?.kind === 'server-error') return { performed: refused(serverError(fault.status)) }
  if (fault?.kind === 'throttle') return { performed: refused(throttled) }
  const unversioned = apiVersionError(request.query)
  if (unversioned !== undefined) return { performed: refused(unversioned) }
  if (operation === undefined) {
    return { performed: refused(routeUnknown(request.method, request.path)) }
  }
  const certificate = operation.object === undefined ? undefined : deps.store.find(operation.object)
  if (!deps.throttle.admit(costOf(operation, certificate))) {
    return { performed: refused(throttled) }
  }
  return performIfAuthorized(deps, request, operation, certificate, authentication.caller)
}

/** Who may not use an object does not learn whether it exists. */
function performIfAuthorized(
  deps: VaultDeps,
  request: EmulatedRequest,
  operation: VaultOperation,
  certificate: StoredCertificate | undefined,
  caller: VaultCaller,
): Conclusion {
  const assignment = assignmentFor(deps.roleAssignments, caller, operation)
  if (assignment === undefined) {
    return { performed: refused(denialFor(deps.definition, caller, operation)) }
  }
  const assignmentId = assignment.id
  if (operation.object === undefined) {
    return { performed: listAll(deps, request, operation), assignmentId }
  }
  const version = certificate === undefined ? undefined : versionOf(certificate, operation.version)
  if (certificate === undefined || version === undefined) {
    return {
      performed: refused(objectNotFound(operation.collection, operation.object)),
      assignmentId,
    }
  }
  const object = { certificate, version }
  return { performed: perform(deps, request, operation, object), assignmentId, object }
}

function perform(
  deps: VaultDeps,
  request: EmulatedRequest,
  operation: VaultOperation,
  object: VaultObject,
): Performed {
  switch (operation.kind) {
    case 'key':
      return getKey(deps, object)
    case 'key-attestation':
      return getKeyAttestation(deps, object)
    case 'sign':
      return sign(deps, object, request.body)
    case 'verify':
      return verify(deps, object, request.body)
    case 'certificate':
      return getCertificate(deps, object)
    case 'certificate-policy':
      return getCertificatePolicy(deps, object)
    case 'secret':
      return getSecret(deps, object)
    case 'key-versions':
      return page(deps, versionsOf(object.certificate), keyItem, request.path, request.query)
    case 'certificate-versions':
      return page(
        deps,
        versionsOf(object.certificate),
        certificateItem,
        request.path,
        request.query,
      )
    case 'keys':
    case 'certificates':
    case 'ungrantable':
      return refused(routeUnknown(request.method, request.path))
  }
}

const versionsOf = (certificate: StoredCertificate) =>
  certificate.versions.map((version) => ({ certificate, version }))

/** The current version of every object that the vault keeps. */
function listAll(deps: VaultDeps, request: EmulatedRequest, operation: VaultOperation): Performed {
  const current = deps.store.list().flatMap((certificate) => versionsOf(certificate).slice(-1))
  const itemOf = operation.kind === 'keys' ? keyItem : certificateItem
  return page(deps, current, itemOf, request.path, request.query)
}

const apiVersions = [
  '2015-06-01',
  '2016-10-01',
  '7.0',
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  '7.5',
  '7.6',
  '2025-07-01',
  '2026-04-01',
]

function apiVersionError(query: URLSearchParams) {
  const given = query.get('api-version')
  if (given === null || given === '') return apiVersionMissing
  return apiVersions.includes(given)
    ? undefined
    : apiVersionUnknown(given, apiVersions.at(-1) ?? '')
}

function costOf(
  operation: VaultOperation,
  certificate: StoredCertificate | undefined,
): ThrottleCost {
  if (operation.collection !== 'keys' || certificate === undefined) return { kind: 'other' }
  const { keyType, keySize } = certificate.definition
  return { kind: 'key', keyType, keySize }
}

function reply(
  deps: VaultDeps,
  request: EmulatedRequest,
  requestId: string,
  performed: Performed,
  fault: Fault | undefined,
): EmulatedReply {
  const context = {
    request,
    requestId,
    region: deps.definition.location,
    challenge: challengeOf(deps.authorityOrigin, deps.tenantId),
    fault,
  }
  const words = {
    // With the id of the record, which says that it was done.
    serverError: (status: number) => replyFrom(refused(serverError(status)), context),
  }
  return replyAfter(fault, words, replyFrom(performed, context))
}
