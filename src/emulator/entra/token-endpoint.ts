import { decodeJwt } from 'jose'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { SignIn } from '../entra-log/sign-in.ts'
import type { EmulatedReply, EmulatedRequest } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList, Struck } from '../faults.ts'
import type { SeededRandom } from '../random.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { ApplicationCertificates } from './application-certificates.ts'
import type { Blocks } from './blocks.ts'
import { verifyClientAssertion } from './client-assertion.ts'
import type { Dials } from './dials.ts'
import type { Directory, DirectoryClient, DirectoryTenant } from './directory.ts'
import { type FederatedIssuers, verifyFederatedAssertion } from './federated-assertion.ts'
import { sha256Hex, type ExchangeLog, type ExchangeRecord } from './exchange-log.ts'
import { passed, refused, type Checked } from './refusal.ts'
import type { ReplayMemory } from './replay-memory.ts'
import { parseDefaultScope } from './scope.ts'
import { parseTokenForm, type TokenForm } from './token-form.ts'
import { errorReply, throttledReply, tokenReply, traceFrom, type Trace } from './token-reply.ts'

export interface TokenEndpointDeps {
  readonly origin: string
  readonly clock: EmulatorClock
  readonly directory: Directory
  readonly certificates: ApplicationCertificates
  readonly accessTokens: AccessTokens
  readonly federatedIssuers: FederatedIssuers
  readonly dials: Dials
  readonly blocks: Blocks
  readonly replays: ReplayMemory
  readonly exchanges: ExchangeLog
  /** Told of each request that named a client of its tenant, granted or not. */
  readonly signedIn: (signIn: SignIn) => void
  readonly faults: FaultList
  /** Decides how long a token of a day lives. */
  readonly random: SeededRandom
}

/** `POST /{tenant}/oauth2/v2.0/token`. */
export type TokenEndpoint = (request: EmulatedRequest, tenant: string) => Promise<EmulatedReply>

/** Serves client_credentials with a client assertion and nothing else; each request leaves one record. */
export function createTokenEndpoint(deps: TokenEndpointDeps): TokenEndpoint {
  const { origin, clock, exchanges, faults } = deps
  return async (request, tenant) => {
    const trace = traceFrom(request, clock.nowSeconds())
    const fault = faults.strike('token-endpoint', `${request.method} ${request.path}`)
    const words: FaultWords = {
      throttled: () => throttledReply(trace),
      serverError: (status) => errorReply(origin, trace, transient, status),
    }
    const instead = replyInstead(fault, words)
    if (instead !== undefined) {
      exchanges.add(recordFrom({ trace, tenant, fault, outcome: { kind: 'not-served' } }))
      return instead
    }

    const { form, issued } = await exchange(request, tenant, deps)
    const outcome = outcomeFrom(issued)
    const record = recordFrom({ trace, tenant, fault, outcome, form })
    exchanges.add(record)
    tellSignIn(record, request, deps)
    const reply = issued.ok
      ? tokenReply(trace, issued.value.accessToken, issued.value)
      : errorReply(origin, trace, issued.refusal)
    return replyAfter(fault, words, reply)
  }
}

const transient = {
  code: 90033,
  text: 'A transient error has occurred. Please try again.',
} as const

/** Entra's sign-in log is about clients that a tenant has; a stranger is in nobody's. */
function tellSignIn(
  exchange: ExchangeRecord,
  { remoteAddress }: EmulatedRequest,
  { directory, certificates, signedIn }: TokenEndpointDeps,
): void {
  const tenant = directory.tenant(exchange.tenant)
  if (!tenant.ok || exchange.clientId === undefined) return
  const client = directory.client(tenant.value, exchange.clientId)
  if (!client.ok) return
  const { outcome } = exchange
  const certificate = certificates
    .registered(client.value.name)
    .find(({ x5tS256 }) => outcome.kind === 'issued' && x5tS256 === outcome.certificate)
  signedIn({ tenant: tenant.value, client: client.value, exchange, certificate, remoteAddress })
}

interface Issued {
  readonly accessToken: string
  readonly expiresInSeconds: number
  readonly refreshInSeconds?: number
  readonly proof: ClientProof
}

/** What has proven the client: base64url SHA-256 of a certificate of its own, or who else stands for it. */
type ClientProof = { readonly certificate: string } | { readonly federatedIssuer: string }

interface Exchange {
  /** Undefined where the request was refused before its form was understood. */
  readonly form?: TokenForm | undefined
  readonly issued: Checked<Issued>
}

async function exchange(
  request: EmulatedRequest,
  tenantText: string,
  deps: TokenEndpointDeps,
): Promise<Exchange> {
  if (request.method !== 'POST') {
    const text = 'The endpoint only accepts POST requests.'
    return { issued: refused(900561, `${text} Received a ${request.method} request.`) }
  }
  const tenant = deps.directory.tenant(tenantText)
  if (!tenant.ok) return { issued: tenant }
  const form = parseTokenForm(request.headers['content-type'], request.body)
  if (!form.ok) return { issued: form }
  return { form: form.value, issued: await issue(form.value, tenant.value, deps) }
}

async function issue(
  { clientId, scope, clientAssertion, isCapable }: TokenForm,
  tenant: DirectoryTenant,
  deps: TokenEndpointDeps,
): Promise<Checked<Issued>> {
  const resourceName = parseDefaultScope(scope)
  if (!resourceName.ok) return resourceName
  const client = deps.directory.client(tenant, clientId)
  if (!client.ok) return client

  const proof = authenticate(clientAssertion, client.value, tenant, deps)
  if (!proof.ok) return proof

  const resource = deps.directory.resource(tenant, resourceName.value)
  if (!resource.ok) return resource
  const held = deps.blocks.refusal(tenant, client.value)
  if (held !== undefined) return { ok: false, refusal: held }

  const subject = { tenantId: tenant.id, ...client.value }
  if (!isCapable || resource.value.continuousAccess !== true || !client.value.isLineOfBusiness) {
    const accessToken = await deps.accessTokens.issue(subject, resource.value)
    const expiresInSeconds = resource.value.tokenSeconds
    return passed({ accessToken, expiresInSeconds, proof: proof.value })
  }
  const expiresInSeconds = longLivedSeconds(deps.random)
  const refreshInSeconds = Math.floor(expiresInSeconds / 2)
  const accessToken = await deps.accessTokens.issue(subject, resource.value, expiresInSeconds)
  return passed({ accessToken, expiresInSeconds, refreshInSeconds, proof: proof.value })
}

/** 20 to 28 hours, as Microsoft documents it. */
const longLivedSeconds = (random: SeededRandom) => 20 * 3600 + random.below(8 * 3600 + 1)

/** By a token of somebody who stands for the client, or by an assertion that the client has signed. */
function authenticate(
  clientAssertion: string,
  client: DirectoryClient,
  tenant: DirectoryTenant,
  deps: TokenEndpointDeps,
): Checked<ClientProof> {
  if (client.federatedCredentials.length === 0) {
    return authenticateByCertificate(clientAssertion, client, tenant, deps)
  }
  const verified = verifyFederatedAssertion(clientAssertion, {
    credentials: client.federatedCredentials,
    issuers: deps.federatedIssuers,
    skewSeconds: deps.dials.current().skewSeconds,
    nowSeconds: deps.clock.nowSeconds(),
  })
  return verified.ok ? passed({ federatedIssuer: verified.value.issuer }) : verified
}

/** With the replay dial each assertion proves the client once. */
function authenticateByCertificate(
  clientAssertion: string,
  client: DirectoryClient,
  tenant: DirectoryTenant,
  deps: TokenEndpointDeps,
): Checked<ClientProof> {
  const { clientId, name } = client
  const dials = deps.dials.current()
  const verified = verifyClientAssertion(clientAssertion, {
    origin: deps.origin,
    tenantId: tenant.id,
    clientId,
    certificates: deps.certificates.registered(name),
    dials,
    nowMs: deps.clock.nowMs(),
  })
  if (!verified.ok) return verified
  const { certificate, jwtId, expiresAtSeconds } = verified.value
  const proof = passed({ certificate: certificate.x5tS256 })
  if (dials.replay === 'allowed') return proof

  const untilSeconds = expiresAtSeconds + dials.skewSeconds
  const isFirstUse =
    jwtId !== undefined &&
    deps.replays.firstUse(clientId, jwtId, untilSeconds, deps.clock.nowSeconds())
  if (isFirstUse) return proof
  return refused(50012, 'Authentication failed. The assertion was used before.')
}

function outcomeFrom(issued: Checked<Issued>): ExchangeRecord['outcome'] {
  if (!issued.ok) return { kind: 'refused', code: issued.refusal.code }
  const { accessToken, proof } = issued.value
  return {
    kind: 'issued',
    uti: String(decodeJwt(accessToken)['uti']),
    accessTokenSha256: sha256Hex(accessToken),
    ...proof,
  }
}

function recordFrom(facts: {
  readonly trace: Trace
  readonly tenant: string
  readonly fault: Struck | undefined
  readonly outcome: ExchangeRecord['outcome']
  readonly form?: TokenForm | undefined
}): ExchangeRecord {
  const { trace, tenant, fault, outcome, form } = facts
  const { time, traceId, correlationId, clientRequestId } = trace
  return {
    time,
    tenant,
    clientId: form?.clientId,
    scope: form?.scope,
    assertionSha256: form && sha256Hex(form.clientAssertion),
    outcome,
    fault: fault?.kind,
    traceId,
    correlationId,
    clientRequestId,
  }
}
