import type { EmulatedReply, EmulatedService } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { KeysUnreachableError } from './authority-keys.ts'
import { askerOf, type Asker, type ResourceTokenDeps } from './resource-token.ts'

/** What the default world calls it. */
export const sampleAudience = 'https://orders.example'

/**
 * `GET /orders`, a protected API as a customer would run it: it has no part in the emulator but the
 * keys that the authority publishes, and validates every token as Microsoft tells resources to.
 */
export function createSampleResource(deps: ResourceTokenDeps): EmulatedService {
  return async ({ method, path, headers }) => {
    if (path !== '/orders') return jsonReply(404, { error: 'GET /orders is all there is' })
    if (method !== 'GET') return jsonReply(405, { error: 'only GET' }, { allow: 'GET' })
    const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]
    if (token === undefined) return challenge(deps, 'no bearer token was sent')
    try {
      const asker = await askerOf(token, deps)
      return asker === undefined ? challenge(deps, 'the token is not valid here') : orders(asker)
    } catch (error) {
      if (!(error instanceof KeysUnreachableError)) throw error
      return jsonReply(503, { error: 'the keys of the authority are out of reach' })
    }
  }
}

const orders = (askedBy: Asker): EmulatedReply =>
  jsonReply(200, {
    orders: [
      { id: 'A-1001', item: 'anvil', quantity: 2 },
      { id: 'A-1002', item: 'rope', quantity: 7 },
    ],
    askedBy,
  })

const challenge = ({ authorityOrigin }: ResourceTokenDeps, why: string): EmulatedReply =>
  jsonReply(
    401,
    { error: why },
    {
      'www-authenticate':
        `Bearer realm="", authorization_uri="${authorityOrigin}/common/oauth2/authorize", ` +
        `error="invalid_token", error_description="${why}"`,
    },
  )
