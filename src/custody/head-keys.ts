import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import type { HeadKeyLoaded } from '../ledger/entry.ts'
import { isSignedBy, type UnverifiedHead } from './head.ts'

/** Where the public half came from that a head was checked with. */
export type KeyOrigin = 'given' | 'ledger'

export type HeadCheck =
  | { readonly ok: true; readonly origin: KeyOrigin }
  /** `no-key`: nobody knows the key that it says it was signed with. */
  | { readonly ok: false; readonly why: 'no-key' | 'signature' }

/** Keys that heads are checked with: those that were given, and no other then, or those on record. */
export interface HeadKeys {
  check(head: UnverifiedHead): HeadCheck
  /** From an entry `head.key-loaded`; false when it is none. */
  record(entry: unknown): boolean
}

const recordForm = z.object({
  kind: z.literal('head.key-loaded'),
  keyId: z.string(),
  publicKey: z.object({ kty: z.literal('RSA'), n: z.string(), e: z.string() }),
}) satisfies z.ZodType<Pick<HeadKeyLoaded, 'kind' | 'keyId' | 'publicKey'>>

/** @param given By whoever verifies, from somewhere else: each may be the one of any head. */
export function createHeadKeys(given: readonly KeyObject[]): HeadKeys {
  const recorded = new Map<string, KeyObject>()
  return {
    check: (head) => {
      if (given.length > 0) {
        const isOurs = given.some((key) => isSignedBy(head, key))
        return isOurs ? { ok: true, origin: 'given' } : { ok: false, why: 'no-key' }
      }
      const key = recorded.get(head.keyId)
      if (key === undefined) return { ok: false, why: 'no-key' }
      return isSignedBy(head, key)
        ? { ok: true, origin: 'ledger' }
        : { ok: false, why: 'signature' }
    },
    record: (entry) => {
      const { data } = recordForm.safeParse(entry)
      const key = data && keyFrom(data.publicKey)
      if (data === undefined || key === undefined) return false
      recorded.set(data.keyId, key)
      return true
    },
  }
}

function keyFrom(jwk: HeadKeyLoaded['publicKey']): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}
