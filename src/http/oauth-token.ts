import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import {
  type ApplicationName,
  type AttemptId,
  parseApplicationName,
  parseScope,
  parseTenantId,
  type Scope,
  type TenantId,
} from '../base/ids.ts'
import { issueAssertion, issueToken } from '../issuance/issuance.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { clientAssertionType } from './client-assertion-type.ts'
import { oauthFailureAnswer, oauthRefusalAnswer, type OAuthWay } from './oauth-error.ts'
import { proofsWithParameter } from './presented-proofs.ts'
import { RequestProblem } from './request-problem.ts'
import {
  checkAssertionType,
  parametersFrom,
  readTokenForm,
  type TokenForm,
  tokenScopeFrom,
} from './token-form.ts'
import { TokenRequestProblem } from './token-request-problem.ts'

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'

/** One application in one tenant: `APPLICATION/TENANT`. */
const targetText = z.string().min(1).max(100)
const scopeText = z.string().min(1).max(600)
const resourceText = z.string().min(1).max(600)

/** Body of `POST /oauth2/token` with this grant type; `openapi.yaml` says the same. */
export const clientCredentialsSchema = z.object({
  grant_type: z.literal('client_credentials'),
  client_id: targetText,
  client_assertion_type: z.literal(clientAssertionType).optional(),
  client_assertion: z.string().min(1).optional(),
  scope: scopeText.optional(),
  resource: resourceText.optional(),
})

/** The same of a token exchange (RFC 8693 §2.1). */
export const tokenExchangeSchema = z.object({
  grant_type: z.literal(tokenExchange),
  subject_token: z.string().min(1),
  // Whatever its issuer meant it to be, it proves the caller by the same rules.
  subject_token_type: z.enum([jwtType, idTokenType, accessTokenType]),
  audience: targetText,
  requested_token_type: z.enum([accessTokenType, jwtType]).optional(),
  scope: scopeText.optional(),
  resource: resourceText.optional(),
})

interface Asked {
  readonly request: IncomingMessage
  readonly attempt: AttemptId
  readonly gone: () => AbortSignal
}

/** `POST /oauth2/token`: tokens for any OAuth client (RFC 6749 §4.4, RFC 8693). */
export function oauthTokenRoute(inForce: () => IssuanceDeps): AttemptRoute {
  return attemptRoute(
    async (request, attempt, gone) => {
      const form = await readTokenForm(request)
      const asked = { request, attempt, gone }
      switch (form['grant_type']) {
        case 'client_credentials':
          return answerClient(form, asked, inForce)
        case tokenExchange:
          return answerExchange(form, asked, inForce)
        case undefined:
          throw new RequestProblem('request_invalid', 'The parameter grant_type is missing.')
        default:
          throw new TokenRequestProblem(
            'grant_type_unsupported',
            'The grant types are client_credentials and token exchange.',
          )
      }
    },
    inForce(),
    oauthFailureAnswer,
  )
}

async function answerClient(
  form: TokenForm,
  asked: Asked,
  inForce: () => IssuanceDeps,
): Promise<Answer> {
  const sent = parametersFrom(clientCredentialsSchema, form)
  checkAssertionType(sent)
  const target = parseTarget(sent.client_id)
  if (target === undefined) {
    throw new TokenRequestProblem('client_invalid', `The client_id must be ${targetRule}.`)
  }
  const scope = scopeFrom(sent)
  return answerToken({ ...target, scope }, sent.client_assertion, 'client', asked, inForce)
}

async function answerExchange(
  form: TokenForm,
  asked: Asked,
  inForce: () => IssuanceDeps,
): Promise<Answer> {
  const sent = parametersFrom(tokenExchangeSchema, form)
  refuseSecondToken(form)
  const target = parseTarget(sent.audience)
  if (target === undefined) {
    throw new TokenRequestProblem('target_invalid', `The audience must be ${targetRule}.`)
  }
  if (sent.requested_token_type !== jwtType) {
    const scope = scopeFrom(sent)
    return answerToken({ ...target, scope }, sent.subject_token, 'exchange', asked, inForce)
  }
  // It would be taken for something that is confined to a resource, and it is the whole application.
  if (sent.scope !== undefined || sent.resource !== undefined) {
    throw new TokenRequestProblem(
      'target_invalid',
      'An assertion is for all resources of its tenant: leave scope and resource out.',
    )
  }
  return answerAssertion(target, sent.subject_token, asked, inForce)
}

/** Nobody acts for somebody else here, and two proofs in one request would have to be told apart. */
function refuseSecondToken(form: TokenForm): void {
  const second = ['actor_token', 'client_assertion'].find((name) => Object.hasOwn(form, name))
  if (second === undefined) return
  throw new RequestProblem(
    'request_invalid',
    'Send one token, the one of the caller, as subject_token.',
  )
}

interface Target {
  readonly application: ApplicationName
  readonly tenant: TenantId
}

const targetRule = 'APPLICATION/TENANT: the name of an application and the GUID of a tenant'

function parseTarget(text: string): Target | undefined {
  const [name = '', guid = '', ...more] = text.split('/')
  const [application, tenant] = [parseApplicationName(name), parseTenantId(guid)]
  if (application === undefined || tenant === undefined || more.length > 0) return undefined
  return { application, tenant }
}

/** What the token is for, by scope, by resource (RFC 8707), or by both when they agree. */
function scopeFrom(sent: {
  readonly scope?: string | undefined
  readonly resource?: string | undefined
}): Scope {
  const ofScope = sent.scope === undefined ? undefined : tokenScopeFrom(sent.scope)
  const ofResource = sent.resource === undefined ? undefined : scopeOfResource(sent.resource)
  const scope = ofScope ?? ofResource
  if (scope === undefined) {
    throw new TokenRequestProblem(
      'scope_invalid',
      'Say by scope or resource what the token is for.',
    )
  }
  if (ofResource !== undefined && ofResource !== scope) {
    throw new TokenRequestProblem('target_invalid', 'The scope is one of another resource.')
  }
  return scope
}

function scopeOfResource(text: string): Scope {
  const scope = parseScope(`${text}/.default`)
  if (scope !== undefined) return scope
  throw new TokenRequestProblem(
    'target_invalid',
    'The resource must be an absolute URI or a GUID, such as https://vault.azure.net.',
  )
}

async function answerToken(
  target: Target & { readonly scope: Scope },
  token: string | undefined,
  way: OAuthWay,
  { request, attempt, gone }: Asked,
  inForce: () => IssuanceDeps,
): Promise<Answer> {
  const ask = { want: 'token', ...target } as const
  const proofs = proofsWithParameter(token, request)
  const claims = { isCapable: false }
  const outcome = await issueToken({ attempt, proofs, ask, claims, gone }, inForce)
  if (!outcome.ok) return oauthRefusalAnswer(outcome.refusal, way)
  return jsonAnswer(200, {
    access_token: outcome.token.reveal(),
    ...(way === 'exchange' ? { issued_token_type: accessTokenType } : {}),
    token_type: 'Bearer',
    expires_in: outcome.expiresInSeconds,
    scope: ask.scope,
  })
}

async function answerAssertion(
  target: Target,
  token: string,
  { request, attempt, gone }: Asked,
  inForce: () => IssuanceDeps,
): Promise<Answer> {
  const ask = { want: 'assertion', ...target } as const
  const proofs = proofsWithParameter(token, request)
  const outcome = await issueAssertion({ attempt, proofs, ask, gone }, inForce)
  if (!outcome.ok) return oauthRefusalAnswer(outcome.refusal, 'exchange')
  return jsonAnswer(200, {
    // RFC 8693 §2.2.1: the name of the member, whatever is in it.
    access_token: outcome.assertion.reveal(),
    issued_token_type: jwtType,
    token_type: 'N_A',
    expires_in: outcome.expiresInSeconds,
  })
}
