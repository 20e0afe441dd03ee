import { errors, jwtVerify } from 'jose'
import type { EmulatorClock } from '../emulator-clock.ts'
import { issuerV1, issuerV2 } from '../entra/access-tokens.ts'
import type { AuthorityKeys } from './authority-keys.ts'

export interface ResourceTokenDeps {
  /** Of the emulated Entra. */
  readonly authorityOrigin: string
  readonly authorityKeys: Pick<AuthorityKeys, 'get'>
  readonly audience: string
  /** Ids of the tenants whose tokens count. */
  readonly tenantIds: readonly string[]
  readonly clock: EmulatorClock
}

/** Whom a valid token speaks for. */
export interface Asker {
  readonly tenant: string
  readonly application: unknown
  readonly servicePrincipal: unknown
}

/** Undefined for every token that is not an application's, of a tenant of ours, for us, now. */
export async function askerOf(
  token: string,
  { authorityOrigin, authorityKeys, audience, tenantIds, clock }: ResourceTokenDeps,
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
