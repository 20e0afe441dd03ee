import type { Cloud, GrantName } from '../base/ids.ts'
import type { Application } from './application.ts'
import type { TokenAsk, TokenTerms } from '../policy/decision.ts'
import type { TokenKey } from '../token-cache/token-key.ts'

/** What a grant gives tokens for, and on what terms. */
export interface TokenGrant extends TokenTerms {
  readonly grant: GrantName
}

/**
 * The key of what a caller is given: its own choice of life only as far as the grant goes.
 *
 * @param isCapable Whether whoever uses the token can handle being refused before its end.
 */
export const tokenKeyFor = (
  cloud: Cloud,
  { name: application, clientId }: Application,
  { tenant, scope }: Pick<TokenAsk, 'tenant' | 'scope'>,
  { grant, longLived, isolate }: TokenGrant,
  isCapable: boolean,
): TokenKey => ({
  cloud,
  application,
  clientId,
  tenant,
  scope,
  life: isCapable && longLived === true ? 'long-lived' : 'ordinary',
  isolation: isolate === true ? grant : null,
})
