import type { KeyObject } from 'node:crypto'
import { isStrongRsa } from '../base/strong-rsa.ts'

const strongCurves: ReadonlySet<string | undefined> = new Set([
  'prime256v1',
  'secp384r1',
  'secp521r1',
])

/** Of a certificate: strong enough that what it signs is not somebody else's work. */
export function isStrongKey(key: KeyObject): boolean {
  if (key.asymmetricKeyType === 'rsa') return isStrongRsa(key)
  if (key.asymmetricKeyType === 'ec') return strongCurves.has(key.asymmetricKeyDetails?.namedCurve)
  return key.asymmetricKeyType === 'ed25519'
}
