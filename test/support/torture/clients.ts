import { hash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeJwt, type JWTPayload } from 'jose'
import { Agent, type Dispatcher } from 'undici'
import { settlesWithin } from '../../../src/base/deadline.ts'
import type { SeededRandom } from '../../../src/emulator/random.ts'
import { contractFaults } from '../contract.ts'
import { required } from '../required.ts'
import { type Ask, asksAt, type Caller } from './cast.ts'

/** What a client asked, and what it heard. */
export interface Heard {
  readonly caller: Caller
  /** SHA-256 of the token that it proved itself with, base64url. */
  readonly callerTokenSha256: string
  readonly ask: Ask
  readonly outcome: Outcome
}

export type Outcome =
  | {
      readonly kind: 'issued'
      readonly attempt: string
      /** The token or assertion, as it came. */
      readonly compact: string
      /** Of that, base64url. */
      readonly sha256: string
      readonly claims: JWTPayload
      readonly contractFaults: readonly string[]
    }
  | {
      readonly kind: 'declined'
      readonly attempt: string
      readonly status: number
      readonly code: string
      readonly contractFaults: readonly string[]
    }
  /** No whole answer. */
  | { readonly kind: 'lost' }

/** A caller with the tokens that prove it. */
export interface Client {
  readonly caller: Caller
  readonly tokens: readonly string[]
}

/** Clients that ask and ask; disposing of it stops them too. */
export interface Load extends AsyncDisposable {
  /** Resolves when something is issued that is asked for from now on. */
  issuedAgain(): Promise<void>
  /**
   * No more asks from now on. Resolves, when the last one has its answer, with all that was heard.
   *
   * @param patienceMs Clients that have no answer by then hang up; absent: none does.
   */
  stop(patienceMs?: number): Promise<readonly Heard[]>
}

/** Clients that ask at once, unless it is said. */
const usualConcurrency = 10
const strangerShare = 0.1
const wrongShare = 0.1
/** More than a load asks for in its time; the bound is for a service that answers faster than any. */
const asksMax = 4000
/** After a connection that failed, or 503: as impatient as no real client is. */
const pauseMs = 25
/** Whatever is asked waits for vault and Entra, 10 s each, at most. */
const answerDeadlineMs = 30_000

/**
 * Asks a service without end. Now and then a client without any grant asks, and now and then one asks
 * for what its grant does not have.
 *
 * @param origin Of the service as it is at that moment; undefined when there will be none any more.
 */
export function startLoad(
  origin: () => Promise<string | undefined>,
  clients: () => readonly Client[],
  random: SeededRandom,
  concurrency = usualConcurrency,
): Load {
  const heard: Heard[] = []
  const issued = new EventEmitter()
  let asks = 0
  const agent = new Agent({ pipelining: 1, connect: { timeout: 2_000 } })
  let stopped = false

  const work = async () => {
    for (;;) {
      const found = await origin()
      if (found === undefined || stopped || heard.length >= asksMax) return
      const client = drawClient(clients(), random)
      const ask = askOf(client.caller, random)
      const asked = (asks += 1)
      const token = drawn(client.tokens, random)
      const outcome = await outcomeOf(agent, found, token, ask)
      if (outcome.kind === 'issued') issued.emit('issued', asked)
      const callerTokenSha256 = hash('sha256', token, 'base64url')
      heard.push({ caller: client.caller, callerTokenSha256, ask, outcome })
      if (isAway(outcome)) await delay(pauseMs)
    }
  }
  const working = Promise.all(Array.from({ length: concurrency }, work))

  const stop = async (patienceMs?: number) => {
    stopped = true
    if (patienceMs !== undefined && !(await settlesWithin(working, patienceMs))) {
      await agent.destroy()
    }
    await working
    await agent.destroy()
    return heard
  }
  return {
    issuedAgain: async () => {
      const before = asks
      for (;;) {
        const [asked] = (await once(issued, 'issued')) as [number]
        if (asked > before) return
      }
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop()
    },
  }
}

const drawn = <T>(from: readonly T[], random: SeededRandom): T =>
  required(from[random.below(from.length)])

function drawClient(clients: readonly Client[], random: SeededRandom): Client {
  const isStranger = random.next() < strangerShare
  return drawn(
    clients.filter(({ caller }) => (caller.grant === undefined) === isStranger),
    random,
  )
}

function askOf({ grant, place }: Caller, random: SeededRandom): Ask {
  return grant === undefined || random.next() < wrongShare
    ? drawn(asksAt(place), random)
    : drawn(grant.may, random)
}

const isAway = (outcome: Outcome) =>
  outcome.kind === 'lost' || (outcome.kind === 'declined' && outcome.status === 503)

async function outcomeOf(agent: Agent, origin: string, token: string, ask: Ask): Promise<Outcome> {
  const request = requestFor(ask)
  const answer = await send(agent, origin, token, request)
  if (answer === undefined) return { kind: 'lost' }
  const faults = contractFaults({ ...request, ...answer })
  return answer.status === 200 ? issuedFrom(answer, faults) : declinedFrom(answer, faults)
}

/** Undefined when no whole answer came: the service died, or is not there yet. */
async function send(
  agent: Agent,
  origin: string,
  token: string,
  { method, path, requestBody }: WireRequest,
): Promise<Answer | undefined> {
  try {
    const response = await agent.request({
      origin,
      path,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(requestBody === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: requestBody === undefined ? null : JSON.stringify(requestBody),
      headersTimeout: answerDeadlineMs,
      bodyTimeout: answerDeadlineMs,
    })
    const text = await response.body.text()
    return { status: response.statusCode, headers: response.headers, body: parsed(text) }
  } catch {
    return undefined
  }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The text where it is no JSON: the contract then finds fault with it. */
  readonly body: unknown
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

interface WireRequest {
  readonly method: Dispatcher.HttpMethod
  readonly path: string
  readonly requestBody: unknown
}

/** An assertion without a lifetime of its own is asked for in the shape of a request URL. */
function requestFor(ask: Ask): WireRequest {
  const { want, application, tenant } = ask
  if (want === 'token') {
    const { scope } = ask
    return { method: 'POST', path: '/v1/token', requestBody: { application, tenant, scope } }
  }
  if (ask.lifetimeSeconds === undefined) {
    const path = `/v1/assertion/${application}/${tenant}`
    return { method: 'GET', path, requestBody: undefined }
  }
  const { lifetimeSeconds } = ask
  return {
    method: 'POST',
    path: '/v1/assertion',
    requestBody: { application, tenant, lifetimeSeconds },
  }
}

function declinedFrom({ status, headers, body }: Answer, faults: readonly string[]): Outcome {
  const code = textIn(body, 'code') ?? 'none'
  return { kind: 'declined', attempt: attemptIn(headers), status, code, contractFaults: faults }
}

function issuedFrom({ headers, body }: Answer, faults: readonly string[]): Outcome {
  const members = ['access_token', 'client_assertion', 'value'].flatMap(
    (name) => textIn(body, name) ?? [],
  )
  const compact = members[0] ?? ''
  return {
    kind: 'issued',
    attempt: attemptIn(headers),
    compact,
    sha256: hash('sha256', compact, 'base64url'),
    claims: claimsIn(compact),
    contractFaults: faults,
  }
}

const attemptIn = (headers: IncomingHttpHeaders) => String(headers['countersign-attempt'])

function textIn(body: unknown, name: string): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const value: unknown = Reflect.get(body, name)
  return typeof value === 'string' ? value : undefined
}

/** None, where it is no JWT: then they are not what was asked for either. */
function claimsIn(compact: string): JWTPayload {
  try {
    return decodeJwt(compact)
  } catch {
    return {}
  }
}

/** A job's token buys ten assertions, and a load lasts for many jobs. */
const tokensOfJob = 50

/** Clients for the callers, each with the tokens that prove it. */
export const clientsFor = (
  callers: readonly Caller[],
  tokenOf: (caller: Caller) => Promise<string>,
): Promise<readonly Client[]> =>
  Promise.all(
    callers.map(async (caller) => {
      const length = caller.kind === 'job' ? tokensOfJob : 1
      const tokens = await Promise.all(Array.from({ length }, () => tokenOf(caller)))
      return { caller, tokens }
    }),
  )
