import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent } from 'undici'
import type { PrivateAddress } from '../base/address-standing.ts'
import { isLoopback } from '../base/loopback.ts'
import { parseJson } from '../base/parse-json.ts'
import { AddressRefused, issuerConnector } from './issuer-connector.ts'

/**
 * Gets one JSON document of an issuer.
 *
 * @param privateAddress Absent: refuse.
 * @throws FetchError for every answer but a 200 with JSON in it, in time and within size.
 */
export type FetchJson = (url: URL, privateAddress?: PrivateAddress) => Promise<unknown>

export type FetchErrorCode =
  | 'FETCH_UNREACHABLE'
  | 'FETCH_MALFORMED'
  /** Nobody was asked: the message says where the host is, and what would allow it. */
  | 'FETCH_ADDRESS_REFUSED'

/** Why a document was not had; nothing of its content is in the message. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
  readonly code: FetchErrorCode

  constructor(code: FetchErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.code = code
  }
}

export interface JsonFetcher {
  readonly fetchJson: FetchJson
  /** Ends idle connections and waits for running requests. */
  close(): Promise<void>
}

/** Callers wait for it, and an issuer that needs longer is as good as away. */
const timeLimitMs = 5_000
/** Entra's key set is 16 KiB; what is read is held in memory before it is parsed. */
const bodyBytesMax = 512 * 1024

export interface JsonFetcherOptions {
  /** PEM, trusted beside what Node trusts. */
  readonly caCertificates?: readonly string[]
  /** Absent: the system's. */
  readonly lookup?: LookupFunction
}

/**
 * Fetches issuers' documents and nothing else: GET, no redirect, no cookie, no proxy, connections of
 * its own. Certificates are always verified, and so is where a host is, each time that one is connected to.
 */
export function createJsonFetcher({
  caCertificates = [],
  lookup,
}: JsonFetcherOptions = {}): JsonFetcher {
  const tls = {
    timeout: timeLimitMs,
    ...(caCertificates.length === 0
      ? {}
      : { ca: [...getCACertificates('default'), ...caCertificates] }),
  }
  const agentFor = (privateAddress: PrivateAddress) =>
    new Agent({
      connections: 4,
      maxResponseSize: bodyBytesMax,
      maxHeaderSize: 16 * 1024,
      connect: issuerConnector(privateAddress, tls, lookup),
    })
  // Apart, so that no connection serves an issuer that would not have been given it.
  const agents = { accept: agentFor('accept'), refuse: agentFor('refuse') }
  return {
    fetchJson: async (url, privateAddress = 'refuse') => {
      if (parseFetchableUrl(url.href) === undefined) {
        throw new TypeError('issuers are asked over https, or over http on loopback')
      }
      return jsonFrom(await readBody(agents[privateAddress], url))
    },
    close: async () => {
      await Promise.all([agents.accept.close(), agents.refuse.close()])
    },
  }
}

async function readBody(agent: Agent, url: URL): Promise<string> {
  try {
    const { statusCode, body } = await agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'GET',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(timeLimitMs),
    })
    if (statusCode === 200) return await body.text()
    await body.dump()
    throw new FetchError('FETCH_UNREACHABLE', `status ${statusCode}`)
  } catch (error) {
    if (error instanceof FetchError) throw error
    if (error instanceof AddressRefused) {
      throw new FetchError('FETCH_ADDRESS_REFUSED', error.message)
    }
    throw new FetchError('FETCH_UNREACHABLE', 'no complete answer', { cause: error })
  }
}

function jsonFrom(text: string): unknown {
  const value = parseJson(text)
  if (value === undefined) throw new FetchError('FETCH_MALFORMED', 'not JSON')
  return value
}

/** An https URL, or an http one of this machine; without user, query or fragment. */
export function parseFetchableUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (url.search !== '' || url.hash !== '') return undefined
  const plainLoopback = url.protocol === 'http:' && isLoopback(url.hostname)
  return url.protocol === 'https:' || plainLoopback ? url : undefined
}
