import type { RequestListener } from 'node:http'
import express, { type Express, type RequestHandler } from 'express'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { writeAnswer } from './answer.ts'
import type { AttemptRoute } from './attempt-route.ts'
import {
  type AuditPageDeps,
  auditPageRoute,
  signedInRoute,
  signInRoute,
  signOutPageRoute,
  signOutRoute,
} from './audit-page.ts'
import { entraInstanceRoute, entraMetadataRoute } from './entra-discovery.ts'
import { entraTokenRoute, entraTokenTarget } from './entra-token.ts'
import { type AuthorizationServer, oauthMetadataRoute } from './oauth-metadata.ts'
import { oauthTokenRoute } from './oauth-token.ts'
import { problemHandler } from './problem-handler.ts'
import { healthRoute, type Readiness, readinessReportRoute, readinessRoute } from './readiness.ts'
import { RequestProblem } from './request-problem.ts'
import { entriesRoute } from './v1-entries.ts'
import { assertionRoute } from './v1-assertion.ts'
import { attemptStoryRoute } from './v1-attempts.ts'
import { assertionRequestUrlRoute } from './v1-assertion-request-url.ts'
import {
  askerByLocalSocket,
  askerByProofs,
  type AskerOf,
  liftRoute,
  listRevocationsRoute,
  type RevocationRoutesDeps,
  revokeRoute,
} from './v1-revocations.ts'
import { tokenRoute } from './v1-token.ts'

export interface AppDeps {
  /** By the configuration that is in force: asked once for each request. */
  readonly issuance: () => IssuanceDeps
  /** Likewise. */
  readonly revocations: () => RevocationRoutesDeps
  /** Likewise. */
  readonly audit: () => AuditPageDeps
  /** Likewise. */
  readonly authorizationServer: () => AuthorizationServer
  readonly readiness: Readiness
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** The text of `openapi.yaml`. */
  readonly contract: string
  /** Where probes and scrapers ask for what is not for strangers. */
  readonly machines: 'here' | 'elsewhere'
}

/** What a listener hands requests to. */
export interface App {
  readonly answer: RequestListener
  /** Every route there is. */
  readonly router: Express
}

/** Where callers get what they came for. */
type IssuingRoutes = Readonly<
  Record<'token' | 'assertion' | 'oauthToken' | 'entraToken', AttemptRoute>
>

/**
 * The HTTP surface for callers. Nothing stands between the router and a route: no parser, no logger and
 * no header is paid for by requests that do not need it.
 *
 * The routes that every caller uses are found before the router, by method and target: Express gives
 * each request and answer other prototypes, which costs more than proving a known caller.
 */
export function createApp(deps: AppDeps): App {
  const routes: IssuingRoutes = {
    token: tokenRoute(deps.issuance),
    assertion: assertionRoute(deps.issuance),
    oauthToken: oauthTokenRoute(deps.issuance),
    entraToken: entraTokenRoute(deps.issuance),
  }
  const router = createRouter(deps, routes)
  const direct = directly(routes)
  return {
    router,
    answer: (request, response) => {
      const route = request.method === 'POST' ? direct(request.url ?? '') : undefined
      if (route === undefined) router(request, response)
      else void route(request, response)
    },
  }
}

/** By the whole target, but for Entra's: its path has the tenant, and SDKs add a query. */
function directly(routes: IssuingRoutes): (target: string) => AttemptRoute | undefined {
  const byTarget = new Map([
    ['/v1/token', routes.token],
    ['/v1/assertion', routes.assertion],
    ['/oauth2/token', routes.oauthToken],
  ])
  return (target) =>
    byTarget.get(target) ?? (entraTokenTarget.test(target) ? routes.entraToken : undefined)
}

/** Everything, those with any query too. */
function createRouter(
  deps: AppDeps,
  { token, assertion, oauthToken, entraToken }: IssuingRoutes,
): Express {
  const app = bareApp()
  const { publicUrl } = deps.authorizationServer()
  // Neither public URL nor cloud ever changes while the service runs.
  const lasting = deps.issuance()
  app.route('/v1/token').post(token).all(only('POST'))
  app.route('/v1/assertion').post(assertion).all(only('POST'))
  app
    .route('/v1/assertion/:application/:tenant')
    // Express answers HEAD with the route of GET, which would sign what the answer cannot carry.
    .head(only('GET'))
    .get(assertionRequestUrlRoute(deps.issuance))
    .all(only('GET'))
  app.route('/oauth2/token').post(oauthToken).all(only('POST'))
  app
    .route('/.well-known/oauth-authorization-server')
    .get(oauthMetadataRoute(deps.authorizationServer))
    .all(only('GET'))
  app.route('/:tenant/oauth2/v2.0/token').post(entraToken).all(only('POST'))
  app
    .route('/:tenant/v2.0/.well-known/openid-configuration')
    .get(entraMetadataRoute(publicUrl, lasting))
    .all(only('GET'))
  app
    .route('/common/discovery/instance')
    .get(entraInstanceRoute(publicUrl, lasting))
    .all(only('GET'))
  addRevocationRoutes(app, deps, askerByProofs)
  app.route('/v1/entries').head(only('GET')).get(entriesRoute(deps.audit)).all(only('GET'))
  app
    .route('/v1/attempts/:id')
    .head(only('GET'))
    .get(attemptStoryRoute(deps.audit))
    .all(only('GET'))
  addPageRoutes(app, deps)
  if (deps.machines === 'here') addMachineRoutes(app, deps)
  else {
    app.route('/healthz').get(healthRoute).all(only('GET'))
    app.route('/readyz').get(readinessRoute(deps.readiness)).all(only('GET'))
  }
  app.route('/openapi.yaml').get(contractRoute(deps.contract)).all(only('GET'))
  return completed(app, 'See /openapi.yaml for what this service offers.', deps)
}

/** The HTTP surface for probes and scrapers, on a listener that strangers do not reach. */
export function createMachinesApp(
  deps: Pick<AppDeps, 'issuance' | 'readiness' | 'metrics'>,
): Express {
  const app = bareApp()
  addMachineRoutes(app, deps)
  return completed(app, 'Here are /healthz, /readyz and /metrics.', deps)
}

/** The HTTP surface of the local socket: what stops things, for whoever may open it, and nothing else. */
export function createRevocationsApp(deps: Pick<AppDeps, 'issuance' | 'revocations'>): Express {
  const app = bareApp()
  addRevocationRoutes(app, deps, askerByLocalSocket)
  return completed(app, 'Here is /v1/revocations.', deps)
}

function addRevocationRoutes(
  app: Express,
  { revocations }: Pick<AppDeps, 'revocations'>,
  askerOf: AskerOf,
): void {
  app
    .route('/v1/revocations')
    .head(only('GET, POST'))
    .get(listRevocationsRoute(revocations, askerOf))
    .post(revokeRoute(revocations, askerOf))
    .all(only('GET, POST'))
  app.route('/v1/revocations/:id').delete(liftRoute(revocations, askerOf)).all(only('DELETE'))
}

function addPageRoutes(app: Express, { audit }: Pick<AppDeps, 'audit'>): void {
  const pages = {
    '/audit': auditPageRoute,
    '/audit/sign-in': signInRoute,
    '/audit/signed-in': signedInRoute,
  }
  for (const [path, route] of Object.entries(pages)) {
    app.route(path).head(only('GET')).get(route(audit)).all(only('GET'))
  }
  app
    .route('/audit/sign-out')
    .head(only('GET, POST'))
    .get(signOutPageRoute(audit))
    .post(signOutRoute(audit))
    .all(only('GET, POST'))
}

function addMachineRoutes(app: Express, deps: Pick<AppDeps, 'readiness' | 'metrics'>): void {
  app.route('/healthz').get(healthRoute).all(only('GET'))
  app.route('/readyz').get(readinessReportRoute(deps.readiness)).all(only('GET'))
  app.route('/metrics').get(metricsRoute(deps.metrics)).all(only('GET'))
}

function bareApp(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.enable('case sensitive routing')
  app.enable('strict routing')
  return app
}

/** Answers whatever no route has answered. */
function completed(app: Express, advice: string, deps: Pick<AppDeps, 'issuance'>): Express {
  app.use(() => {
    throw new RequestProblem('not_found', advice)
  })
  app.use(problemHandler(deps.issuance().events))
  return app
}

const only = (method: string): RequestHandler => {
  return () => {
    throw new RequestProblem('method_not_allowed', `Use ${method}.`, method)
  }
}

const metricsRoute = (metrics: AppDeps['metrics']): RequestHandler => {
  return async (_request, response) => {
    const { contentType, text } = await metrics()
    writeAnswer(response, { status: 200, contentType, body: text })
  }
}

const contractRoute = (contract: string): RequestHandler => {
  return (_request, response) => {
    writeAnswer(response, { status: 200, contentType: 'application/yaml', body: contract })
  }
}
