import { randomUUID } from 'node:crypto'
import type { AccessTokens } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { replyAfter } from '../fault-replies.ts'
import type { FaultList, Struck } from '../faults.ts'
import { recordFrom, type VaultRecord } from '../vault-log/record.ts'
import type { WorldVault } from '../world.ts'
import {
  type Allowance,
  allowanceFor,
  denialFor,
  networkDenialFor,
  type VaultAccess,
} from './authorization.ts'
import { authenticate, challengeOf, type Authentication, type VaultCaller } from './bearer.ts'
import { certificateItem, keyItem } from './bundles.ts'
import { getCertificate, getCertificatePolicy } from './certificate-operations.ts'
import { decrypt, encrypt, unwrapKey, wrapKey } from './key-encryption.ts'
import { getKey, getKeyAttestation, sign, verify } from './key-operations.ts'
import { page } from './listings.ts'
import type { NetworkAccess } from './network-access.ts'
import { operationFrom, type OperationKind, type VaultOperation } from './operation.ts'
import {
  refused,
  type Performed,
  type VaultCertificate,
  type VaultContent,
  type VaultKey,
  type VaultObject,
  type VaultSecret,
} from './performed.ts'
import { replyFrom } from './reply.ts'
import { getCertificateSecret, getOwnSecret } from './secret-operations.ts'
import type { Throttle, ThrottleCost } from './throttle.ts'
import {
  apiVersionMissing,
  apiVersionUnknown,
  objectNotFound,
  routeUnknown,
  serverError,
  throttled,
} from './vault-error.ts'
import {
  certificateIn,
  currentCertificates,
  currentKeys,
  keyIn,
  secretIn,
  storedKeyIn,
  versionsOfCertificate,
  versionsOfKey,
} from './vault-objects.ts'
import type { VaultStore } from './vault-store.ts'

export interface VaultDeps extends VaultContent {
  readonly definition: WorldVault
  /** The vault's own tenant, which its challenge names. */
  readonly tenantId: string
  /** Of the emulated Entra that the challenge points at. */
  readonly authorityOrigin: string
  readonly access: VaultAccess
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly throttle: Throttle
  readonly network: NetworkAccess
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
          accessModel: deps.access.model,
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
  /** Absent where nothing allowed it, or nobody came to ask. */
  readonly allowance?: Allowance
  readonly object?: VaultObject
}

function factsOf({ performed, allowance, object }: Conclusion) {
  return {
    isAllowed: allowance !== undefined,
    assignmentId: allowance?.assignmentId,
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
  fault: Struck | undefined,
): Conclusion {
  if (!authentication.ok) return { performed: refused(authentication.error) }
  if (fault?.kind === 'server-error') return { performed: refused(serverError(fault.status)) }
  if (fault?.kind === 'throttle') return { performed: refused(throttled) }
  const { caller } = authentication
  const address = request.remoteAddress
  const outside = networkDenialFor(deps.definition, caller, deps.network, address)
  if (outside !== undefined) return { performed: refused(outside) }
  const unversioned = apiVersionError(request.query)
  if (unversioned !== undefined) return { performed: refused(unversioned) }
  if (operation === undefined) return { performed: unknown(request) }
  if (!deps.throttle.admit(costOf(operation, deps.store))) {
    return { performed: refused(throttled) }
  }
  return performIfAuthorized(deps, request, operation, caller)
}

/** Who may not use an object does not learn whether it exists. */
function performIfAuthorized(
  deps: VaultDeps,
  request: EmulatedRequest,
  operation: VaultOperation,
  caller: VaultCaller,
): Conclusion {
  const { access, definition } = deps
  const allowance = allowanceFor(access, caller, operation)
  if (allowance === undefined) {
    return { performed: refused(denialFor(access, definition, caller, operation)) }
  }
  const { collection, object: name, version } = operation
  if (name === undefined) return { performed: list(deps, request, operation), allowance }
  if (collection === 'keys') {
    const object = keyIn(deps.store, name, version)
    if (object === undefined) return { performed: notFound(operation, name), allowance }
    return {
      performed: performOn(object, keyOperations, deps, request, operation),
      allowance,
      object,
    }
  }
  const secret = collection === 'secrets' ? secretIn(deps.store, name, version) : undefined
  if (secret !== undefined) {
    return {
      performed: performOn(secret, secretOperations, deps, request, operation),
      allowance,
      object: secret,
    }
  }
  const object = certificateIn(deps.store, name, version)
  if (object === undefined) return { performed: notFound(operation, name), allowance }
  return {
    performed: performOn(object, certificateOperations, deps, request, operation),
    allowance,
    object,
  }
}

const notFound = ({ collection }: VaultOperation, name: string): Performed =>
  refused(objectNotFound(collection, name))

type Act<Object> = (content: VaultContent, object: Object, request: EmulatedRequest) => Performed
type Acts<Object> = Readonly<Partial<Record<OperationKind, Act<Object>>>>

const keyOperations: Acts<VaultKey> = {
  key: getKey,
  'key-attestation': getKeyAttestation,
  'key-versions': (content, { stored }, { path, query }) =>
    page(content, versionsOfKey(content.store, stored), keyItem, path, query),
  sign: (content, key, { body }) => sign(content, key, body),
  verify: (content, key, { body }) => verify(content, key, body),
  encrypt: (content, key, { body }) => encrypt(content, key, body),
  decrypt: (content, key, { body }) => decrypt(content, key, body),
  wrap: (content, key, { body }) => wrapKey(content, key, body),
  unwrap: (content, key, { body }) => unwrapKey(content, key, body),
}

const certificateOperations: Acts<VaultCertificate> = {
  certificate: getCertificate,
  'certificate-policy': getCertificatePolicy,
  'certificate-versions': (content, { stored }, { path, query }) =>
    page(content, versionsOfCertificate(stored), certificateItem, path, query),
  secret: getCertificateSecret,
}

const secretOperations: Acts<VaultSecret> = { secret: getOwnSecret }

function performOn<Object>(
  object: Object,
  acts: Acts<Object>,
  deps: VaultDeps,
  request: EmulatedRequest,
  { kind }: VaultOperation,
): Performed {
  return acts[kind]?.(deps, object, request) ?? unknown(request)
}

/** The current version of every object that the vault keeps. */
function list(deps: VaultDeps, request: EmulatedRequest, { kind }: VaultOperation): Performed {
  const { path, query } = request
  if (kind === 'keys') return page(deps, currentKeys(deps.store), keyItem, path, query)
  if (kind !== 'certificates') return unknown(request)
  return page(deps, currentCertificates(deps.store), certificateItem, path, query)
}

const unknown = ({ method, path }: EmulatedRequest): Performed =>
  refused(routeUnknown(method, path))

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

function costOf({ collection, object }: VaultOperation, store: VaultStore): ThrottleCost {
  const key = collection === 'keys' && object !== undefined ? storedKeyIn(store, object) : undefined
  if (key === undefined) return { kind: 'other' }
  const { keyType, keySize } = key.definition
  return { kind: 'key', keyType, keySize }
}

function reply(
  deps: VaultDeps,
  request: EmulatedRequest,
  requestId: string,
  performed: Performed,
  fault: Struck | undefined,
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
