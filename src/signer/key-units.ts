import type { SigningKey } from '../base/signing-key.ts'

/** Key Vault counts what it is asked in each of these. */
export const budgetWindowMs = 10_000

/**
 * What a vault allows in 10 s, in operations on an RSA key of 2048 bits. Keys that an HSM holds and
 * keys that software holds have a budget each.
 *
 * @see "Azure Key Vault service limits"
 */
export const documentedUnits: Readonly<Record<SigningKey['heldBy'], number>> = {
  hsm: 2000,
  software: 4000,
}

/**
 * What one operation on the key spends, a read of the key included: 2,000 against 500 against 250 in
 * 10 s. Sizes in between, of which the vault has none, count like the next larger one.
 */
export function unitsOf({ publicKey }: Pick<SigningKey, 'publicKey'>): number {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? Infinity
  if (bits <= 2048) return 1
  return bits <= 3072 ? 4 : largestUnits
}

/** What one operation on the largest key spends. */
export const largestUnits = 8
