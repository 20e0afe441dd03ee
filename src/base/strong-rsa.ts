import type { KeyObject } from 'node:crypto'

/**
 * From 2048 bits (RFC 7518 §3.3) to 8192, beyond which one verification costs milliseconds; an exponent
 * of 1 would make every signature right.
 */
export function isStrongRsa({ asymmetricKeyDetails }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {}
  return modulusLength >= 2048 && modulusLength <= 8192 && publicExponent >= 3n
}
