import type { IncomingMessage } from 'node:http'
import { TokenRequestProblem } from './token-request-problem.ts'

/** What proves more than a caller has to prove here, as OAuth calls it (RFC 6749 §2.3.1, §4.3.2). */
const secretParameters = ['client_secret', 'password'] as const

/**
 * Refuses a secret in the request target, without a look at its value: whoever is on the way may write
 * targets down, so that it must not seem to have its place there.
 *
 * @throws TokenRequestProblem
 */
export function refuseSecretInTarget({ url = '' }: IncomingMessage): void {
  const start = url.indexOf('?')
  if (start === -1) return
  const query = new URLSearchParams(url.slice(start + 1))
  if (!secretParameters.some((name) => query.has(name))) return
  throw new TokenRequestProblem(
    'credential_refused',
    'Send no secret in the address: it is not looked at, and whoever is on the way may have it by now.',
  )
}
