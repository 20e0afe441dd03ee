import { Agent, request } from 'undici'
import { type BenchCloud, scope, type Service, tenantAt } from './cloud.ts'
import type { Failure } from './soak-judge.ts'

/** A request that is not answered from the cache, and the answer that it should have. */
interface Oddity {
  readonly what: string
  readonly path: string
  readonly token: string
  readonly body: string
  readonly status: number
}

const unlisted = 'eeeeeeee-0000-4000-8000-000000000000'

/** Asks for fresh signatures, and for what is refused, in turn. */
export function createOddities(cloud: BenchCloud, service: Service) {
  const agent = new Agent({ connections: 32 })
  let turn = 0
  return {
    /** @returns Why the answer was not the right one; undefined when it was. */
    askNext: async (
      callerToken: string,
    ): Promise<Omit<Failure, 'second' | 'isExcused'> | undefined> => {
      const all = await odditiesOf(cloud, callerToken)
      const oddity = all[turn++ % all.length]
      if (oddity === undefined) throw new RangeError('there are some')
      const status = await ask(agent, service, oddity)
      return status === oddity.status
        ? undefined
        : { what: oddity.what, came: `answered ${status}` }
    },
    close: () => agent.close(),
  }
}

async function odditiesOf(cloud: BenchCloud, token: string): Promise<readonly Oddity[]> {
  const tokenBody = (tenant: string) => JSON.stringify({ application: 'events', tenant, scope })
  const assertion: Oddity = {
    what: 'a fresh assertion',
    path: '/v1/assertion',
    // One token buys ten of them.
    token: await cloud.callerToken(),
    body: JSON.stringify({ application: 'events', tenant: tenantAt(0) }),
    status: 200,
  }
  const asks = { path: '/v1/token', token }
  return [
    assertion,
    {
      ...asks,
      what: 'a token of a tenant that is not listed',
      body: tokenBody(unlisted),
      status: 403,
    },
    assertion,
    { ...asks, what: 'a body that is no JSON', body: '{', status: 400 },
    assertion,
    {
      ...asks,
      what: 'a token for a forger',
      token: await cloud.callerToken('repo:contoso/forger', 'signature'),
      body: tokenBody(tenantAt(0)),
      status: 401,
    },
  ]
}

async function ask(dispatcher: Agent, { port }: Service, oddity: Oddity): Promise<number> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}${oddity.path}`, {
    dispatcher,
    method: 'POST',
    headers: { authorization: `Bearer ${oddity.token}`, 'content-type': 'application/json' },
    body: oddity.body,
  })
  await body.dump()
  return statusCode
}
