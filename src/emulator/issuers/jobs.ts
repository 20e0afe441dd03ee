import { randomBytes, randomUUID } from 'node:crypto'
import type { EmulatedReply, EmulatedRequest } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import type { MintOrder } from './mint-order.ts'

/** What a runner puts into the environment of a job that may ask for tokens. */
export interface Job {
  /** `ACTIONS_ID_TOKEN_REQUEST_URL`; a client appends `&audience=…`. */
  readonly requestUrl: string
  /** `ACTIONS_ID_TOKEN_REQUEST_TOKEN`. */
  readonly requestToken: string
}

/** Running jobs of a CI system, each allowed to fetch tokens with the claims it was started with. */
export interface Jobs {
  start(order: MintOrder): Job
  /** `GET …?api-version=2.0&audience=…` with the request token, to `{"value": jwt}`. */
  reply(jobId: string, request: EmulatedRequest): Promise<EmulatedReply>
}

export function createJobs(issuer: string, mint: (order: MintOrder) => Promise<string>): Jobs {
  const running = new Map<string, { readonly requestToken: string; readonly order: MintOrder }>()
  return {
    start: (order) => {
      const jobId = randomUUID()
      const requestToken = randomBytes(32).toString('base64url')
      running.set(jobId, { requestToken, order })
      return { requestUrl: `${issuer}/jobs/${jobId}/oidctoken?api-version=2.0`, requestToken }
    },
    reply: async (jobId, { method, headers, query }) => {
      const job = running.get(jobId)
      if (job === undefined || headers.authorization !== `Bearer ${job.requestToken}`) {
        return jsonReply(401, { message: 'The request token is not the one of this job.' })
      }
      if (method !== 'GET') return jsonReply(405, { message: 'Only GET is supported.' })
      const audience = query.get('audience') ?? job.order.audience
      const order = audience === undefined ? job.order : { ...job.order, audience }
      return jsonReply(200, { value: await mint(order) })
    },
  }
}
