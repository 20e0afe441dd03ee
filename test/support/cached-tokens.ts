import { newAttemptId, parseClientId, parseCloud } from '../../src/base/ids.ts'
import type { TokenLife } from '../../src/base/token-life.ts'
import { Secret } from '../../src/base/secret.ts'
import { type Clock, instantNow, laterBy } from '../../src/base/clock.ts'
import type { CachedToken } from '../../src/token-cache/token-cache.ts'
import type { TokenKey } from '../../src/token-cache/token-key.ts'
import { applicationName, grantName, scope, tenantId } from './grants.ts'
import { required } from './required.ts'

export interface KeyParts {
  readonly cloud?: string
  readonly application?: string
  /** Null: whoever asks cannot know. */
  readonly clientId?: string | null
  /** The n-th tenant. */
  readonly tenant?: number
  readonly resource?: string
  readonly life?: TokenLife
  readonly isolation?: string
}

/** The key of an ordinary token, with changes. */
export const tokenKey = ({
  cloud = 'https://login.microsoftonline.com',
  application = 'events',
  clientId = '11111111-0000-4000-8000-000000000001',
  tenant = 1,
  resource = 'https://orders.example',
  life = 'ordinary',
  isolation,
}: KeyParts = {}): TokenKey => ({
  cloud: required(parseCloud(cloud)),
  application: applicationName(application),
  clientId: clientId === null ? null : required(parseClientId(clientId)),
  tenant: tenantId(`aaaaaaaa-0000-4000-8000-${String(tenant).padStart(12, '0')}`),
  scope: scope(`${resource}/.default`),
  life,
  isolation: isolation === undefined ? null : grantName(isolation),
})

export const keyId = `https://contoso-hsm.vault.azure.net/keys/partner-signing/${'0'.repeat(32)}`

export interface TokenParts {
  readonly lifetimeSeconds?: number
  readonly refreshInSeconds?: number
  readonly text?: string
  readonly keyId?: string
}

/** A token obtained at this moment; it lives an hour unless said otherwise. */
export const obtainedToken = (
  clock: Clock,
  { lifetimeSeconds = 3600, text = 'token', ...others }: TokenParts = {},
): CachedToken => ({
  value: new Secret(text),
  lifetimeSeconds,
  expiresAtSeconds: clock.nowSeconds() + lifetimeSeconds,
  expiry: laterBy(lifetimeSeconds * 1000, instantNow(clock)),
  sha256: `sha256 of ${text}`,
  obtainedBy: newAttemptId(),
  keyId,
  ...others,
})
