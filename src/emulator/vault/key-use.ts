import type { WorldKey } from '../world.ts'
import { identifierOf } from './bundles.ts'
import type { Performed, VaultContent, VaultKey } from './performed.ts'
import {
  keyDisabled,
  keyExpired,
  keyNotYetValid,
  keyOperationMissing,
  type VaultError,
} from './vault-error.ts'

/** What all operations with a key have in common. */

export type KeyOperation = WorldKey['keyOps'][number]

/** What a vault still does outside nbf and exp: with what was made before, and nothing new. */
const timeless: ReadonlySet<KeyOperation> = new Set(['verify', 'decrypt', 'unwrapKey'])

/** Why the key's state or purpose forbids an operation. */
export function forbiddenUse(
  { clock, unconfirmed }: VaultContent,
  { stored, version }: VaultKey,
  operation: KeyOperation,
): VaultError | undefined {
  if (!version.enabled) return keyDisabled(operation, unconfirmed.innerErrorKeyDisabled)
  if (!stored.definition.keyOps.includes(operation)) {
    return keyOperationMissing(operation, unconfirmed.innerErrorKeyOperation)
  }
  if (timeless.has(operation)) return undefined
  const nowSeconds = clock.nowSeconds()
  const leewaySeconds = unconfirmed.keyTimeLeewaySeconds
  const { notBeforeSeconds = -Infinity, notAfterSeconds = Infinity } = version
  if (nowSeconds < notBeforeSeconds - leewaySeconds) {
    return keyNotYetValid(operation, unconfirmed.innerErrorKeyNotYetValid)
  }
  return nowSeconds >= notAfterSeconds + leewaySeconds
    ? keyExpired(operation, unconfirmed.innerErrorKeyExpired)
    : undefined
}

export type Parameters = Readonly<Record<string, unknown>>

/** Undefined for a body that is no JSON object. */
export function parametersFrom(body: Buffer): Parameters | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    return isObject ? (parsed as Parameters) : undefined
  } catch {
    // Not JSON, which is the answer.
    return undefined
  }
}

/** Undefined for what is no base64url. */
export const base64urlFrom = (value: unknown): Buffer | undefined =>
  typeof value === 'string' && /^[\w-]*$/.test(value) ? Buffer.from(value, 'base64url') : undefined

export const keyIdOf = ({ origin }: VaultContent, { stored, version }: VaultKey) =>
  identifierOf(origin, 'keys', stored.name, version.version)

/** The bytes that it came to, under the key that made them. */
export const answered = (
  content: VaultContent,
  key: VaultKey,
  algorithm: string,
  value: Buffer,
): Performed => ({
  ok: true,
  body: { kid: keyIdOf(content, key), value: value.toString('base64url') },
  algorithm,
})
