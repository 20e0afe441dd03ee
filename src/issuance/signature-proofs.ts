import { atLeastMsSince, type Clock, type Instant } from '../base/clock.ts'
import type { SignatureId } from '../base/ids.ts'
import type { SignatureProved } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'

/** What is needed to show, once it can do no harm, that a signature is the one we claim. */
export interface HeldSignature {
  readonly signatureId: SignatureId
  readonly signingInput: string
  readonly value: Uint8Array
  /** `exp` of the assertion. */
  readonly expiry: Instant
}

/**
 * Signed assertions, kept in memory only until they are dead, then published in the ledger as
 * `signature.proved`. What is held when the process ends is never published; reconcile says so.
 */
export interface SignatureProofs {
  hold(signature: HeldSignature): void
  /** Publishes what is dead by now. Called on a schedule; one call at a time. */
  publish(): Promise<void>
  /** Signatures that are held or had to be let go, so that they will not be proved if we stop now. */
  readonly unproved: number
}

/** After `exp`, for the clocks of those who verify: nobody accepts the assertion any more. */
const deadAfterMs = 600_000

/** A bound for memory (about 1 KiB each): a quarter of an hour of all that one vault can sign. */
const heldMax = 200_000

/** Entries per commit: a backlog must not keep those who wait for an answer. */
const batchSize = 500

export function createSignatureProofs(deps: {
  readonly ledger: Ledger
  readonly clock: Clock
}): SignatureProofs {
  const held = new Map<SignatureId, HeldSignature>()
  let letGo = 0

  /** By both scales: one that is wrong must not publish what others may still accept. */
  const dead = () =>
    [...held.values()].filter(({ expiry }) => atLeastMsSince(expiry, deps.clock) >= deadAfterMs)

  return {
    hold: (signature) => {
      // A copy: a decoded signature lies in a pool of Node's, 64 KiB that it would keep for as long.
      const value = Uint8Array.from(signature.value)
      if (held.size < heldMax) held.set(signature.signatureId, { ...signature, value })
      else letGo += 1
    },
    publish: async () => {
      const due = dead()
      for (let start = 0; start < due.length; start += batchSize) {
        const batch = due.slice(start, start + batchSize)
        await deps.ledger.append(batch.map((one) => proved(one, deps.clock.nowMs())))
        for (const { signatureId } of batch) held.delete(signatureId)
      }
    },
    get unproved() {
      return held.size + letGo
    },
  }
}

const proved = (signature: HeldSignature, nowMs: number): SignatureProved => ({
  kind: 'signature.proved',
  atMs: nowMs,
  signature: signature.signatureId,
  signingInput: signature.signingInput,
  signatureValue: Buffer.from(signature.value).toString('base64url'),
})
