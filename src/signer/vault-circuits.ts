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
import type { CircuitChange, PermitOutcome, VaultStanding } from './governor.ts'
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

/** Undefined: nobody's but this process's own. */
const troubles: Readonly<Record<SignerErrorCode, Trouble | undefined>> = {
  SIGNER_THROTTLED: throttled,
  SIGNER_UNAVAILABLE: away,
  SIGNER_TIMEOUT: away,
  SIGNER_TOO_LATE: undefined,
  // The vault may be well, and cannot be asked.
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
  #vaultReason: SignerErrorCode | undefined
  readonly #keyReasons = new Map<string, SignerErrorCode>()

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
    return this.#vaultReason
  }

  keyReason(keyId: string): SignerErrorCode | undefined {
    return this.#keyReasons.get(keyId)
  }

  /** The worse of the two. */
  standing(keyId: string): VaultStanding['circuit'] {
    const phases = [this.#vault.phase, this.#key(keyId).phase]
    if (phases.includes('open')) return 'open'
    return phases.includes('probing') ? 'probing' : 'closed'
  }

  /** Only where both let one pass. */
  enter(keyId: string): CircuitTicket {
    const key = entered(this.#key(keyId))
    this.#vault = entered(this.#vault)
    this.#keys.set(keyId, key)
    const probes = this.#vault.phase === 'probing' || key.phase === 'probing'
    return { keyId, vaultRound: this.#vault.round, keyRound: key.round, probes }
  }

  /**
   * A vault that refuses a key is there, and one that is away says nothing of the key. What was refused
   * without asking the vault says nothing of the vault.
   *
   * @returns What has changed by it.
   */
  settle(ticket: CircuitTicket, outcome: PermitOutcome, nowMs: number): readonly CircuitChange[] {
    const { keyId, vaultRound, keyRound } = ticket
    const [vaultBefore, keyBefore] = [this.#vault, this.#key(keyId)]
    const vault = this.#after(vaultBefore, vaultRound, 'vault', outcome, nowMs)
    const key = this.#after(keyBefore, keyRound, 'key', outcome, nowMs)
    this.#vault = vault
    this.#keys.set(keyId, key)
    if (outcome instanceof SignerError) {
      // One that comes too late to count is not the reason for anything.
      const of = troubles[outcome.code]?.with
      if (of === 'vault' && vault !== vaultBefore) this.#vaultReason = outcome.code
      if (of === 'key' && key !== keyBefore) this.#keyReasons.set(keyId, outcome.code)
    }
    return [
      ...changeOf('vault', keyId, vaultBefore, vault, outcome, nowMs),
      ...changeOf('key', keyId, keyBefore, key, outcome, nowMs),
    ]
  }

  #after(
    circuit: Circuit,
    round: number,
    of: Trouble['with'],
    outcome: PermitOutcome,
    nowMs: number,
  ): Circuit {
    if (outcome === 'signed') return succeeded(circuit, round)
    if (!(outcome instanceof SignerError)) return withdrawn(circuit, round)
    const trouble = troubles[outcome.code]
    if (trouble?.with === of) {
      const pauseMs = (nth: number) => pauseOf(trouble.pauses, nth, this.#random())
      return failed(circuit, round, { opensAfter: trouble.opensAfter, pauseMs }, nowMs)
    }
    const hasAnswered = of === 'vault' && outcome.asked
    return hasAnswered ? succeeded(circuit, round) : withdrawn(circuit, round)
  }

  #key(keyId: string): Circuit {
    return this.#keys.get(keyId) ?? closedCircuit
  }
}

function changeOf(
  of: CircuitChange['of'],
  keyId: string,
  before: Circuit,
  after: Circuit,
  outcome: PermitOutcome,
  nowMs: number,
): readonly CircuitChange[] {
  if (before.phase === after.phase) return []
  if (after.phase === 'closed') return [{ of, keyId, to: 'closed' }]
  // Whoever has learned nothing leaves it open without a pause: that is no news.
  if (after.phase !== 'open' || !(outcome instanceof SignerError) || after.untilMs < nowMs)
    return []
  return [{ of, keyId, to: 'open', code: outcome.code, forMs: after.untilMs - nowMs }]
}
