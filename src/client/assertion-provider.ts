import { systemClock } from '../base/clock.ts'
import { isLoopback } from '../base/loopback.ts'
import { CountersignError } from './countersign-error.ts'
import { fetchAssertion } from './fetch-assertion.ts'
import { keepAssertion } from './kept-assertion.ts'
import { type CallerToken, shownToken } from './shown-token.ts'

export { CountersignError, type CountersignErrorCode } from './countersign-error.ts'
export type { CallerToken } from './shown-token.ts'

/** One application in one tenant, as one caller. */
export interface AssertionProviderOptions {
  /** `https://countersign.contoso.example`; plain http on loopback alone. */
  readonly service: string
  /** By the name that the service has for it. */
  readonly application: string
  /** GUID. */
  readonly tenant: string
  /** A file or a function, read again for each assertion: platforms replace their tokens. */
  readonly callerToken: CallerToken
  /** 1–600. Absent: what the grant says. */
  readonly lifetimeSeconds?: number
  /** Of reading the caller token and asking the service together. Absent: 15,000. */
  readonly timeoutMs?: number
}

/**
 * What `ClientAssertionCredential` and msal-node's `clientAssertion` take. They call it again and again, also when
 * they need no assertion: it asks the service when the one that it has gets old, once for all who wait.
 *
 * @returns A function that rejects with {@link CountersignError}.
 * @throws TypeError for a `service` where a token may not be sent.
 */
export function assertionProvider(options: AssertionProviderOptions): () => Promise<string> {
  const { application, tenant, lifetimeSeconds, callerToken, timeoutMs = 15_000 } = options
  const service = serviceUrl(options.service)
  const request = { application, tenant, lifetimeSeconds }
  return keepAssertion(async () => {
    const signal = AbortSignal.timeout(timeoutMs)
    const token = await beforeAbort(shownToken(callerToken), signal)
    return fetchAssertion(service, request, token, signal)
  }, systemClock)
}

function serviceUrl(text: string): URL {
  const url = new URL(text)
  const mayHaveToken =
    url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  // With a user, a path or a query it would be something longer.
  if (mayHaveToken && url.href === `${url.origin}/`) return url
  throw new TypeError(
    'service must be https, or http on loopback, and nothing behind the host: a token is sent there',
  )
}

/** Functions of others ignore signals. */
function beforeAbort(token: Promise<string>, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new CountersignError('CALLER_TOKEN_UNAVAILABLE', { systemCode: 'ETIMEDOUT' }))
    })
    token.then(resolve, reject)
  })
}
