import { isLoopback } from './loopback.ts'

/**
 * Where a token may be sent: https, or http that stays on this machine.
 *
 * @param name What messages call it; they never repeat a text that is no URL.
 * @throws Error in one sentence.
 */
export function parseBearerUrl(text: string, name: string): URL {
  const url = URL.parse(text)
  if (url === null) throw new Error(`${name} is not a URL`)
  if (url.username !== '' || url.password !== '') {
    throw new Error(`${name} must not hold a name or a password`)
  }
  if (url.protocol === 'https:') return url
  if (url.protocol === 'http:' && isLoopback(url.hostname)) return url
  throw new Error(`${name} must be https, or http on loopback: a token is sent there`)
}
