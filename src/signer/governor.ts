import type { SigningKey } from '../base/signing-key.ts'
import type { SignerError, SignerErrorCode } from './signer.ts'

/** Any key that a vault counts requests for. */
export type VaultKey = Pick<SigningKey, 'keyId' | 'heldBy' | 'publicKey'>

/** What leave to sign is asked with. */
export interface PermitRequest {
  readonly key: SigningKey
  readonly application: string
  /** Who asks, as proven: issuer and subject. Fairness is between these. */
  readonly caller: string
  /** Assertions that are given away have a share of the budget that they cannot exceed. */
  readonly purpose: 'exchange' | 'hand-out'
  /** `ahead`: nobody waits for it yet; it takes turns with all callers who do. */
  readonly priority: 'caller' | 'ahead'
  /** It is worth waiting so long, in milliseconds, and no longer. */
  readonly patienceMs: number
  /** Whether to wait for a vault that is left alone for a moment, as far as patience goes. */
  readonly whilePaused: 'wait' | 'refuse'
  /** Aborted when nobody waits for it any more. */
  readonly signal?: AbortSignal
}

/** What became of a signature that was permitted. */
export type PermitOutcome =
  | 'signed'
  /** No request was sent, and none will be. */
  | 'not-asked'
  /** Something went wrong that is no failure of the vault. */
  | 'unknown'
  | SignerError

/** Leave to ask a vault for one signature now. */
export interface Permit {
  /** It asks alone, to find out for all whether vault and key are well again. */
  readonly probes: boolean
  /**
   * The vault must be asked within so many milliseconds, and its answer not be waited for any longer:
   * others count on it. Infinity where nobody does; 0 when it is too late, and must not be asked.
   */
  leftMs(): number
  /** Once, and whatever happens: a permit that is never settled is budget that is never free again. */
  settle(outcome: PermitOutcome): void
}

/** How things stand with the vault of a key. Units are Key Vault's own. */
export interface VaultStanding {
  /** By this process. */
  readonly unitsUsed: number
  /** By all together who share the budget. */
  readonly unitsMax: number
  /** What the vault lets this process have, by what it refused lately; `unitsMax` when it refused nothing. */
  readonly unitsLearned: number
  /** Requests that wait for a permit. */
  readonly waiting: number
  /** Of vault and key, the worse: `open` lets nobody ask, `probing` one alone. */
  readonly circuit: 'closed' | 'probing' | 'open'
}

/** What operators are told when something is left alone, and when it is asked again. */
export type CircuitChange = {
  readonly of: 'vault' | 'key'
  /** Of the signature that has shown it. */
  readonly keyId: string
} & (
  | { readonly to: 'open'; readonly code: SignerErrorCode; readonly forMs: number }
  | { readonly to: 'closed' }
)

/**
 * Keeps what a vault is asked below what it allows, and who has to wait in a fair order: first between
 * applications, then between the callers of one. A vault's HSM keys and its software keys have a
 * budget each.
 *
 * Safe for any number of concurrent callers. Whoever cannot be served while it has patience is refused
 * at once, with the time after which it could have been; nobody is kept waiting for nothing.
 *
 * A vault that throttles or fails is left alone for 1, 2, 4, 8 and then 16 s, a key that it refuses for
 * 30 s and then up to 5 min; then one request finds out for all whether it may be asked again. One that throttles is
 * asked for as much as it let pass, evenly, and then for more again.
 */
export interface Governor {
  /**
   * Resolves when the vault may be asked.
   *
   * @throws GovernorError
   */
  permit(request: PermitRequest): Promise<Permit>
  /** Counts requests that were made without a permit: reads of the key, or of another one in a vault. */
  charge(key: VaultKey, requests: number): void
  standing(key: SigningKey): VaultStanding
}

/** One code for each thing that somebody would do differently. */
export type GovernorErrorCode =
  | 'GOVERNOR_BUDGET_SPENT' // the vault may not be asked in time: ask less, or wait
  | 'GOVERNOR_BUDGET_AWAY' // the database that the budget is leased from does not answer
  | 'GOVERNOR_QUEUE_FULL' // more wait than may wait
  | 'GOVERNOR_CALLER_QUEUE_FULL' // more of one caller wait than may wait
  | 'GOVERNOR_VAULT_PAUSED' // the vault has failed and is left alone for a while
  | 'GOVERNOR_KEY_PAUSED' // the vault refuses this key, and is not asked again for a while
  | 'GOVERNOR_ABANDONED' // who asked has gone

/** The vault was not asked. */
export class GovernorError extends Error {
  override readonly name = 'GovernorError'
  readonly code: GovernorErrorCode
  readonly applied = 'no'
  /** When asking again is worth it: an estimate, 1 at least. */
  readonly retryAfterSeconds: number
  /** The failure that vault or key are left alone for; absent where they are not. */
  readonly remembered: SignerErrorCode | undefined

  constructor(
    code: GovernorErrorCode,
    retryAfterMs: number,
    options: { readonly remembered?: SignerErrorCode | undefined; readonly cause?: unknown } = {},
  ) {
    super(code, { cause: options.cause })
    this.code = code
    this.remembered = options.remembered
    this.retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1000))
  }
}
