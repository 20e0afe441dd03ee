import { randomBytes, randomUUID } from 'node:crypto'
import type { EmulatedReply, EmulatedRequest } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import type { MintOrder } from './mint-order.ts'

/** What a CI system puts into the environment of a job that may ask for tokens. */
export interface Job {
  /** `ACTIONS_ID_TOKEN_REQUEST_URL`; a client appends `&audience=…`. Or `SYSTEM_OIDCREQUESTURI`. */
  readonly requestUrl: string
  /** `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, or `SYSTEM_ACCESSTOKEN`. */
  readonly requestToken: string
  /** Azure Pipelines: the one connection that the job may use. */
  readonly serviceConnectionId?: string
}

/** Running jobs of a CI system, each allowed to fetch tokens with the claims it was started with. */
export interface Jobs {
  start(order: MintOrder): Job
  reply(jobId: string, request: EmulatedRequest): Promise<EmulatedReply>
}

/** How a CI system is asked for tokens. */
export interface JobSystem {
  /** What a job is told. */
  readonly jobAt: (url: string) => Job
  /** How the request is refused, once its token is proven; undefined: it is not. */
  readonly refused: (request: EmulatedRequest, job: Job) => EmulatedReply | undefined
  readonly audienceIn: (query: URLSearchParams) => string | undefined
  /** The member of the answer that is the token. */
  readonly member: 'value' | 'oidcToken'
}

const jobAt = (requestUrl: string): Job => ({
  requestUrl,
  requestToken: randomBytes(32).toString('base64url'),
})

const refusal = (status: number, message: string) => jsonReply(status, { message })

/**
 * `GET …?api-version=2.0&audience=…` to `{"value": jwt}`. The version is looked at, because a client that
 * puts `?audience=` behind the URL has spoilt it.
 */
export const gitHubActions: JobSystem = {
  jobAt: (url) => jobAt(`${url}?api-version=2.0`),
  refused: ({ method, query }) => {
    if (method !== 'GET') return refusal(405, 'Only GET is supported.')
    if (query.get('api-version') !== '2.0') return refusal(400, 'The api-version is not supported.')
    return query.getAll('audience').length > 1
      ? refusal(400, 'There is more than one audience.')
      : undefined
  },
  audienceIn: (query) => query.get('audience') ?? undefined,
  member: 'value',
}

/**
 * `POST …?api-version=7.1&serviceConnectionId=…` without a body, to `{"oidcToken": jwt}`. The header tells
 * Azure DevOps to answer with a status, where a browser would be sent to sign in.
 */
export const azurePipelines: JobSystem = {
  jobAt: (url) => ({ ...jobAt(url), serviceConnectionId: randomUUID() }),
  refused: ({ method, query, headers, body }, { serviceConnectionId }) => {
    if (method !== 'POST') return refusal(405, 'Only POST is supported.')
    if (!/^7\.\d(-preview(\.\d)?)?$/.test(query.get('api-version') ?? '')) {
      return refusal(400, 'No api-version was supplied, or one that is not supported.')
    }
    if (headers['content-type'] !== 'application/json' || body.length > 0) {
      return refusal(415, 'The request must be JSON, and its body empty.')
    }
    return query.get('serviceConnectionId') === serviceConnectionId
      ? undefined
      : refusal(404, 'The job has no such service connection.')
  },
  audienceIn: () => undefined,
  member: 'oidcToken',
}

export function createJobs(
  issuer: string,
  { jobAt, refused, audienceIn, member }: JobSystem,
  mint: (order: MintOrder) => Promise<string>,
): Jobs {
  const running = new Map<string, { readonly job: Job; readonly order: MintOrder }>()
  return {
    start: (order) => {
      const jobId = randomUUID()
      const job = jobAt(`${issuer}/jobs/${jobId}/oidctoken`)
      running.set(jobId, { job, order })
      return job
    },
    reply: async (jobId, request) => {
      const found = running.get(jobId)
      const { headers, query } = request
      if (found === undefined || headers.authorization !== `Bearer ${found.job.requestToken}`) {
        // As of somebody who has not signed in.
        return member === 'oidcToken' && headers['x-tfs-fedauthredirect'] !== 'Suppress'
          ? {
              kind: 'answer',
              status: 302,
              headers: { location: '/_signin' },
              body: Buffer.alloc(0),
            }
          : refusal(401, 'The request token is not the one of this job.')
      }
      const { job, order } = found
      const answer = refused(request, job)
      if (answer !== undefined) return answer
      const audience = audienceIn(query) ?? order.audience
      const minted = await mint(audience === undefined ? order : { ...order, audience })
      return jsonReply(200, { [member]: minted })
    },
  }
}
