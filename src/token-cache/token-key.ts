import {
  type ApplicationName,
  type ClientId,
  type Cloud,
  type GrantName,
  parseApplicationName,
  parseClientId,
  parseCloud,
  parseGrantName,
  parseScope,
  parseTenantId,
  type Scope,
  type TenantId,
} from '../base/ids.ts'
import type { TokenLife } from '../base/token-life.ts'

/**
 * Everything that one token may be mistaken for another by. Never who asks: the policy decides before
 * every look-up. It cannot be made with less, and nothing else is a key of tokens anywhere.
 */
export interface TokenKey {
  readonly cloud: Cloud
  readonly application: ApplicationName
  /**
   * Which application that is to Entra: another one to the next configuration, maybe, and to replicas that have
   * it already. Null: whoever asks cannot know, as an agent.
   */
  readonly clientId: ClientId | null
  readonly tenant: TenantId
  /** Normalised. */
  readonly scope: Scope
  readonly life: TokenLife
  /** The grant that has tokens of its own; null: the tokens that all other grants share. */
  readonly isolation: GrantName | null
}

declare const brand: unique symbol
/** Made by {@link tokenKeyText} alone; {@link tokenKeyFrom} reads it. */
export type TokenKeyText = string & { readonly [brand]: 'TokenKeyText' }

/**
 * The one text of a key: two keys have the same text only if they are the same. It goes into what is
 * sealed for other replicas, so it changes together with the number at its beginning.
 */
export const tokenKeyText = (key: TokenKey): TokenKeyText =>
  // None of the parts can hold a line feed: origins, names, GUIDs and visible ASCII.
  `token-key 2\n${key.cloud}\n${key.application}\n${key.clientId ?? notKnown}\n${key.tenant}\n${key.scope}\n${key.life}\n${
    key.isolation === null ? 'shared' : ofGrant + key.isolation
  }` as TokenKeyText

/** The key that has this text. Without making anything else, because dropping reads all of them. */
export function tokenKeyFrom(text: TokenKeyText): TokenKey {
  let at = text.indexOf('\n') + 1
  const next = () => {
    const end = text.indexOf('\n', at)
    const part = text.slice(at, end)
    at = end + 1
    return part
  }
  const cloud = next() as Cloud
  const application = next() as ApplicationName
  const client = next()
  const clientId = client === notKnown ? null : (client as ClientId)
  const tenant = next() as TenantId
  const scope = next() as Scope
  const life = next() as TokenLife
  const isolation = text.startsWith(ofGrant, at)
    ? (text.slice(at + ofGrant.length) as GrantName)
    : null
  return { cloud, application, clientId, tenant, scope, life, isolation }
}

const ofGrant = 'grant '
const notKnown = 'unknown'

/** The key of a text that {@link tokenKeyText} has made; undefined for any other. */
export function parseTokenKey(text: string): TokenKey | undefined {
  const [
    ,
    cloud = '',
    application = '',
    client = '',
    tenant = '',
    scope = '',
    life = '',
    isolation = '',
  ] = text.split('\n')
  const key = {
    cloud: parseCloud(cloud),
    application: parseApplicationName(application),
    clientId: client === notKnown ? null : parseClientId(client),
    tenant: parseTenantId(tenant),
    scope: parseScope(scope),
    life: life === 'long-lived' ? life : 'ordinary',
    isolation: isolation === 'shared' ? null : parseGrantName(isolation.replace(/^grant /, '')),
  } as const
  return isWhole(key) && tokenKeyText(key) === text ? key : undefined
}

const isWhole = (key: {
  readonly [Part in keyof TokenKey]: TokenKey[Part] | undefined
}): key is TokenKey => Object.values(key).every((part) => part !== undefined)
