import { errors, jwtVerify } from 'jose'
import type { EmulatorClock } from '../emulator-clock.ts'
import { issuerV1, issuerV2 } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedService } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { KeysUnreachableError, type AuthorityKeys } from './authority-keys.ts'

/** What the default world calls it. */
export const sampleAudience = 'https://orders.example'

export interface SampleResourceDeps {
  /** Of the emulated Entra. */
  readonly authorityOrigin: string
  readonly authorityKeys: Pick<AuthorityKeys, 'get'>
  readonly audience: string
  /** Ids of the tenants whose tokens count. */
  readonly tenantIds: readonly string[]
  readonly clock: EmulatorClock
}

/**
 * `GET /orders`, a protected API as a customer would run it: it has no part in the emulator but the
 * keys that the authority publishes, and validates every token as Microsoft tells resources to.
 */
export function createSampleResource(deps: SampleResourceDeps): EmulatedService {
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

/** Whom a valid token speaks for. */
interface Asker {
  readonly tenant: string
  readonly application: unknown
  readonly servicePrincipal: unknown
}

/** Undefined for every token that is not an application's, of a tenant of ours, for us, now. */
async function askerOf(
  token: string,
  { authorityOrigin, authorityKeys, audience, tenantIds, clock }: SampleResourceDeps,
): Promise<Asker | undefined> {
  try {
    const { payload } = await jwtVerify(token, authorityKeys.get, {
      algorithms: ['RS256'],
      audience,
      requiredClaims: ['iss', 'tid', 'oid', 'exp', 'nbf'],
      currentDate: clock.nowDate(),
    })
    const { iss, tid, ver, idtyp, oid, appid, azp } = payload
    if (typeof tid !== 'string' || !tenantIds.includes(tid) || idtyp !== 'app') return undefined
    const issuer = ver === '2.0' ? issuerV2(authorityOrigin, tid) : issuerV1(authorityOrigin, tid)
    if (iss !== issuer) return undefined
    return { tenant: tid, application: appid ?? azp, servicePrincipal: oid }
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
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

const challenge = ({ authorityOrigin }: SampleResourceDeps, why: string): EmulatedReply =>
  jsonReply(
    401,
    { error: why },
    {
      'www-authenticate':
        `Bearer realm="", authorization_uri="${authorityOrigin}/common/oauth2/authorize", ` +
        `error="invalid_token", error_description="${why}"`,
    },
  )
