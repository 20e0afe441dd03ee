import { z } from 'zod'
import {
  type ApplicationName,
  type ClientId,
  parseApplicationName,
  parseClientId,
  parseTenantId,
  type TenantId,
} from '../base/ids.ts'
import { issueToken, type TokenAsk, type TokenClaims } from '../issuance/issuance.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { jsonAnswer } from './answer.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { tokenClaimsFrom } from './claims.ts'
import { clientAssertionType } from './client-assertion-type.ts'
import {
  entraFailureAnswer,
  entraHeaders,
  entraRefusalAnswer,
  entraTraceOf,
} from './entra-error.ts'
import { proofsWithParameter } from './presented-proofs.ts'
import {
  checkAssertionType,
  parametersFrom,
  readTokenForm,
  type TokenForm,
  tokenScopeFrom,
} from './token-form.ts'
import { TokenRequestProblem } from './token-request-problem.ts'

/** Body of `POST /{tenant}/oauth2/v2.0/token`; `openapi.yaml` says the same. */
export const entraTokenRequestSchema = z.object({
  grant_type: z.literal('client_credentials'),
  client_id: z.string().length(36),
  client_assertion_type: z.literal(clientAssertionType).optional(),
  client_assertion: z.string().min(1).optional(),
  scope: z.string().min(1).max(600),
  claims: z.string().min(1).max(2000).optional(),
})

/**
 * A request target with the path of the route, by itself or behind an origin (RFC 9112 §3.2). What stands
 * behind the path may look like one too, for another tenant.
 */
export const entraTokenTarget =
  /^(?:https?:\/\/[^/?#]*)?\/([^/?#]+)\/oauth2\/v2\.0\/token(?:[?#]|$)/

/**
 * `POST /{tenant}/oauth2/v2.0/token`: Entra's own token endpoint for clients that know no other one and
 * whose authority is set here. The federated token that they present is the caller's.
 */
export function entraTokenRoute(inForce: () => IssuanceDeps): AttemptRoute {
  const nameOf = nameByClientId(inForce)
  const { clock } = inForce()
  return attemptRoute(
    async (request, attempt, gone) => {
      const form = await readTokenForm(request)
      const tenant = entraTenantFrom(entraTokenTarget.exec(request.url ?? '')?.[1])
      const { ask, claims, client, isStillMeant, assertion } = askedFrom(form, tenant, nameOf)
      const proofs = proofsWithParameter(assertion, request)
      const outcome = await issueToken({ attempt, proofs, ask, claims, gone }, inForce)
      const trace = entraTraceOf(request, attempt, clock.nowMs())
      if (!outcome.ok) return entraRefusalAnswer(outcome.refusal, client, trace)
      // Written down as issued, and given to nobody: it is a token of another client id.
      if (!isStillMeant()) throw new LedgerError('LEDGER_OVERTAKEN')
      const { token, expiresInSeconds } = outcome
      return {
        ...jsonAnswer(200, {
          token_type: 'Bearer',
          expires_in: expiresInSeconds,
          ext_expires_in: expiresInSeconds,
          access_token: token.reveal(),
        }),
        headers: entraHeaders(trace),
      }
    },
    inForce(),
    (error, attempt, request) =>
      entraFailureAnswer(error, entraTraceOf(request, attempt, clock.nowMs())),
  )
}

interface Asked {
  readonly ask: TokenAsk
  readonly claims: TokenClaims
  /** Whether an application of this service has the client id. */
  readonly client: 'known' | 'unknown'
  /** Whether what is asked for is what the client id means by now: a configuration may give it to another. */
  readonly isStillMeant: () => boolean
  readonly assertion: string | undefined
}

function askedFrom(form: TokenForm, tenant: TenantId, nameOf: NameByClientId): Asked {
  if (form['grant_type'] !== undefined && form['grant_type'] !== 'client_credentials') {
    throw new TokenRequestProblem(
      'grant_type_unsupported',
      'The grant type here is client_credentials.',
    )
  }
  const sent = parametersFrom(entraTokenRequestSchema, form)
  checkAssertionType(sent)
  const clientId = clientFrom(sent.client_id)
  const application = nameOf(clientId)
  const scope = tokenScopeFrom(sent.scope)
  return {
    ask: { want: 'token', application: application ?? nameOfNone(clientId), tenant, scope },
    claims: tokenClaimsFrom(sent.claims),
    client: application === undefined ? 'unknown' : 'known',
    isStillMeant: () => nameOf(clientId) === application,
    assertion: sent.client_assertion,
  }
}

type NameByClientId = (clientId: ClientId) => ApplicationName | undefined

/** Of the applications that are in force; looked through once for each configuration. */
function nameByClientId(inForce: () => Pick<IssuanceDeps, 'applications'>): NameByClientId {
  let known: IssuanceDeps['applications'] | undefined
  let names = new Map<ClientId, ApplicationName>()
  return (clientId) => {
    const { applications } = inForce()
    if (applications !== known) {
      known = applications
      names = new Map([...applications.values()].map((one) => [one.clientId, one.name]))
    }
    return names.get(clientId)
  }
}

/** @throws TokenRequestProblem when the text is no GUID: domain names of tenants are not taken. */
export function entraTenantFrom(text: string | undefined): TenantId {
  const tenant = text === undefined ? undefined : parseTenantId(text)
  if (tenant !== undefined) return tenant
  throw new TokenRequestProblem(
    'tenant_invalid',
    'The tenant must be a GUID, not a domain name, common or organizations.',
  )
}

function clientFrom(text: string): ClientId {
  const clientId = parseClientId(text)
  if (clientId !== undefined) return clientId
  throw new TokenRequestProblem('client_invalid', 'The client_id must be a GUID.')
}

/**
 * What is asked for is decided and written down by the caller's grants, also where no application has
 * this client id: a GUID has the form of a name. Where an operator has named one so, its grants decide.
 */
function nameOfNone(clientId: ClientId): ApplicationName {
  const name = parseApplicationName(clientId)
  if (name === undefined) throw new TypeError('a GUID has the form of a name')
  return name
}
