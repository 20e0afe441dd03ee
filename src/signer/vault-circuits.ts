import {
  type Circuit,
  closedCircuit,
  entered,
  failed,
  longPauses,
  type Passage,
  passageOf,
  pauseOf,
  type PausePlan,
  shortPauses,
  succeeded,
  withdrawn,
} from '../base/circuit.ts'
import type { PermitOutcome } from './governor.ts'
import { SignerError, type SignerErrorCode } from './signer.ts'

/** Whose fault it is, how often it may happen before nobody asks, and for how long nobody does. */
interface Trouble {
  readonly with: 'vault' | 'key'
  readonly opensAfter: number
  readonly pauses: PausePlan
}

const throttled: Trouble = { with: 'vault', opensAfter: 1, pauses: shortPauses }
const away: Trouble = { with: 'vault', opensAfter: 3, pauses: shortPauses }
/** Roles, states and validity: they stay as they are until somebody changes them. */
const refused: Trouble = { with: 'key', opensAfter: 1, pauses: longPauses }
/** Each of them may have cost a signature that has no good account. */
const strange: Trouble = { with: 'key', opensAfter: 3, pauses: longPauses }

const troubles: Readonly<Record<SignerErrorCode, Trouble>> = {
  SIGNER_THROTTLED: throttled,
  SIGNER_UNAVAILABLE: away,
  SIGNER_TIMEOUT: away,
  SIGNER_CREDENTIAL: away,
  SIGNER_FORBIDDEN: refused,
  SIGNER_KEY_DISABLED: refused,
  SIGNER_KEY_OUTSIDE_VALIDITY: refused,
  SIGNER_KEY_MISSING: refused,
  SIGNER_REJECTED: refused,
  SIGNER_WRONG_SIGNATURE: strange,
  SIGNER_UNACCOUNTABLE: strange,
  SIGNER_UNRECOGNISED: strange,
}

/** What stands between a waiter and its turn, or does not. */
export type VaultPassage = Passage & { readonly of: 'vault' | 'key' }

/** What a permit may say something about. */
export interface CircuitTicket {
  readonly keyId: string
  readonly vaultRound: number
  readonly keyRound: number
  /** It asks alone, to find out for everybody. */
  readonly probes: boolean
}

/** One circuit for a vault and one for each key in it, so that a key that fails stops no other. */
export class VaultCircuits {
  readonly #random: () => number
  #vault: Circuit = closedCircuit
  readonly #keys = new Map<string, Circuit>()
  /** Why each of them is open, by key, and the vault's by itself. */
  readonly #reasons = new Map<string, SignerErrorCode>()

  /** @param random From 0 to 1. */
  constructor(random: () => number) {
    this.#random = random
  }

  vaultPassage(nowMs: number): Passage {
    return passageOf(this.#vault, nowMs)
  }

  keyPassage(keyId: string, nowMs: number): Passage {
    return passageOf(this.#key(keyId), nowMs)
  }

  /** The failure that the vault is left alone for. */
  get vaultReason(): SignerErrorCode | undefined {
    return this.#reasons.get(ofTheVault)
  }

  keyReason(keyId: string): SignerErrorCode | undefined {
    return this.#reasons.get(keyId)
  }

  /** Only where both let one pass. */
  enter(keyId: string): CircuitTicket {
    const key = entered(this.#key(keyId))
    this.#vault = entered(this.#vault)
    this.#keys.set(keyId, key)
    const probes = this.#vault.phase === 'probing' || key.phase === 'probing'
    return { keyId, vaultRound: this.#vault.round, keyRound: key.round, probes }
  }

  /** A vault that refuses a key is there, and one that is away says nothing of the key. */
  settle({ keyId, vaultRound, keyRound }: CircuitTicket, outcome: PermitOutcome, nowMs: number) {
    const key = this.#key(keyId)
    if (outcome === 'signed') {
      this.#vault = succeeded(this.#vault, vaultRound)
      this.#keys.set(keyId, succeeded(key, keyRound))
    } else if (!(outcome instanceof SignerError)) {
      this.#vault = withdrawn(this.#vault, vaultRound)
      this.#keys.set(keyId, withdrawn(key, keyRound))
    } else if (troubles[outcome.code].with === 'vault') {
      this.#vault = failed(this.#vault, vaultRound, this.#caution(outcome.code), nowMs)
      this.#keys.set(keyId, withdrawn(key, keyRound))
      this.#reasons.set(ofTheVault, outcome.code)
    } else {
      this.#vault = succeeded(this.#vault, vaultRound)
      this.#keys.set(keyId, failed(key, keyRound, this.#caution(outcome.code), nowMs))
      this.#reasons.set(keyId, outcome.code)
    }
  }

  #key(keyId: string): Circuit {
    return this.#keys.get(keyId) ?? closedCircuit
  }

  #caution(code: SignerErrorCode) {
    const { opensAfter, pauses } = troubles[code]
    return { opensAfter, pauseMs: (nth: number) => pauseOf(pauses, nth, this.#random()) }
  }
}

/** No key has it for its id: those are URLs. */
const ofTheVault = 'vault'
