import type { ServerCertificate } from '../certificate-authority.ts'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import { listenHttps } from '../listener.ts'
import { createSigningKeys, type SigningKeys } from '../signing-keys.ts'
import type { World, WorldIssuer } from '../world.ts'
import { callerTokenClaims, signCallerToken } from './caller-token.ts'
import { issuerKinds } from './claim-sets.ts'
import { azurePipelines, createJobs, gitHubActions, type Jobs, type JobSystem } from './jobs.ts'
import type { MintOrder } from './mint-order.ts'

/** Somebody whose tokens prove callers: a CI system or a cluster. */
export interface CallerIssuer {
  readonly name: string
  readonly kind: WorldIssuer['kind']
  /** Its `iss`. */
  readonly url: string
  /** The address below which its metadata and keys are: the same but for issuers that add to it. */
  readonly place: string
  readonly keys: SigningKeys
  mint(order: MintOrder): Promise<string>
  /** Of CI systems whose jobs fetch their tokens; elsewhere tokens are put into a job's environment, or a pod. */
  readonly jobs?: Jobs
}

/** All issuers of the world, each below `ORIGIN/NAME`. */
export interface CallerIssuers {
  readonly service: EmulatedService
  find(name: string): CallerIssuer | undefined
  list(): readonly CallerIssuer[]
}

export interface CallerIssuersDeps {
  readonly origin: string
  readonly issuers: readonly WorldIssuer[]
  readonly clock: EmulatorClock
  readonly faults: FaultList
  /** Called once for each issuer: none signs with another's key. */
  readonly createKeys?: () => Promise<SigningKeys>
}

/** Lets the issuers of a world listen on a port of their own. */
export async function startCallerIssuers({
  world,
  tls,
  started,
  ...deps
}: Pick<CallerIssuersDeps, 'clock' | 'faults'> & {
  readonly world: World
  readonly tls: ServerCertificate
  /** Takes the listener over. */
  readonly started: AsyncDisposableStack
}): Promise<CallerIssuers> {
  const listener = started.adopt(await listenHttps({ tls }), (part) => part.close())
  const { origin } = listener
  const issuers = await createCallerIssuers({ ...deps, origin, issuers: world.issuers })
  listener.serve(issuers.service)
  return issuers
}

export async function createCallerIssuers(deps: CallerIssuersDeps): Promise<CallerIssuers> {
  const { origin, clock, faults, createKeys = createSigningKeys } = deps
  const created = await Promise.all(
    deps.issuers.map(async (issuer) =>
      createCallerIssuer(`${origin}/${issuer.name}`, issuer, await createKeys(), clock),
    ),
  )
  const issuers = new Map(created.map((issuer) => [issuer.name, issuer]))
  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    const [, name = '', ...rest] = request.path.split('/')
    const issuer = issuers.get(name)
    return issuer === undefined ? notFound : replyOf(issuer, `/${rest.join('/')}`, request)
  }
  return {
    service: async (request) => {
      const fault = faults.strike('issuer', `${request.method} ${request.path}`)
      return replyInstead(fault, faultWords) ?? replyAfter(fault, faultWords, await serve(request))
    },
    find: (name) => issuers.get(name),
    list: () => created,
  }
}

const faultWords: FaultWords = {
  throttled: () => jsonReply(429, { message: 'Too many requests.' }, { 'retry-after': '1' }),
  serverError: (status) => jsonReply(status, { message: 'Unavailable.' }),
}

function createCallerIssuer(
  place: string,
  issuer: WorldIssuer,
  keys: SigningKeys,
  clock: EmulatorClock,
): CallerIssuer {
  const url = `${place}${issuerKinds[issuer.kind].issuerPath ?? ''}`
  const mint = (order: MintOrder) => {
    const claims = callerTokenClaims(url, issuer, order, clock.nowSeconds())
    return signCallerToken(claims, issuer, keys.current(), order.wrong)
  }
  const { name, kind } = issuer
  const system = jobSystems[kind]
  const jobs = system === undefined ? {} : { jobs: createJobs(place, system, mint) }
  return { name, kind, url, place, keys, mint, ...jobs }
}

const jobSystems: Readonly<Partial<Record<WorldIssuer['kind'], JobSystem>>> = {
  github: gitHubActions,
  'azure-devops': azurePipelines,
}

async function replyOf(
  issuer: CallerIssuer,
  path: string,
  request: EmulatedRequest,
): Promise<EmulatedReply> {
  const { jwksPath, metadataPath = '/.well-known/openid-configuration' } = issuerKinds[issuer.kind]
  if (path === metadataPath) return metadataReply(issuer)
  if (path === jwksPath) return keysReply(issuer)
  const jobId = /^\/jobs\/([^/]+)\/oidctoken$/.exec(path)?.[1]
  return jobId === undefined ? notFound : (issuer.jobs?.reply(jobId, request) ?? notFound)
}

const metadataReply = ({ url, place, kind }: CallerIssuer) =>
  jsonReply(200, {
    issuer: url,
    jwks_uri: `${place}${issuerKinds[kind].jwksPath}`,
    subject_types_supported: ['public'],
    response_types_supported: ['id_token'],
    id_token_signing_alg_values_supported: ['RS256'],
  })

function keysReply({ keys, kind }: CallerIssuer): EmulatedReply {
  const { keyUse } = issuerKinds[kind]
  const use = keyUse === undefined ? {} : { use: keyUse }
  return jsonReply(200, {
    keys: keys.published().map(({ jwk }) => ({ alg: 'RS256', ...jwk, ...use })),
  })
}

const notFound: EmulatedReply = { kind: 'answer', status: 404, headers: {}, body: Buffer.alloc(0) }
