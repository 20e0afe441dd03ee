import { atLeastMsUntil, type Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import type { CachedToken } from './token-cache.ts'
import { parseSharedForm, type SharedToken, sharedForm } from './token-form.ts'
import type { StoredToken } from './shared-tokens.ts'
import { type TokenKey, tokenKeyText } from './token-key.ts'

/** Seals for the whole key and the end, and opens for exactly these. */
export interface TokenSealer {
  seal(sealedFor: SealedUnder, plaintext: Uint8Array): Promise<Buffer>
  open(
    sealedFor: SealedUnder,
    sealed: Buffer,
  ): Promise<
    | { readonly ok: true; readonly plaintext: Buffer }
    | { readonly ok: false; readonly reason: UnsealedReason }
  >
}

interface SealedUnder {
  readonly key: string
  readonly expiresAtSeconds: number
}

export type UnsealedReason = 'malformed' | 'altered' | 'data-key-gone'

/** What an exchange that succeeded has left in the ledger. */
export interface RecordedExchange {
  readonly application: string
  readonly tenant: string
  readonly scope: string
  readonly tokenSha256: string
  readonly expiresAtSeconds: number
}

/** Why a stored token is as good as none. */
export type RowRefusal = UnsealedReason | 'unknown-form' | 'unrecorded'

export interface SealedTokensOptions {
  readonly sealer: TokenSealer
  /** Those of the attempt that say that an exchange succeeded. */
  readonly exchangesOf: (attempt: string) => Promise<readonly RecordedExchange[]>
  readonly clock: Clock
  readonly minRemainingSeconds: number
  readonly onRefused: (reason: RowRefusal, key: TokenKey) => void
  /** How long opening and looking up may take; 3 s unless said. */
  readonly timeoutMs?: number
}

/** Tokens into what a store may hold, and back. Whatever is thrown means that it cannot be told now. */
export interface SealedTokens {
  seal(
    key: TokenKey,
    token: CachedToken,
    why: Pick<SharedToken, 'grant' | 'forced'>,
  ): Promise<Buffer>
  /**
   * The token of the row, if it opens for this very key and end, is the one that the ledger says was
   * obtained by its attempt for this application, tenant and scope, and lasts.
   */
  open(key: TokenKey, row: StoredToken): Promise<SharedToken | undefined>
}

export function createSealedTokens(options: SealedTokensOptions): SealedTokens {
  const { sealer, exchangesOf, clock, minRemainingSeconds, onRefused } = options
  const { timeoutMs = 3000 } = options
  const lasts = ({ token }: SharedToken) =>
    atLeastMsUntil(token.expiry, clock) >= minRemainingSeconds * 1000

  const refused = (reason: RowRefusal, key: TokenKey): SharedToken | undefined => {
    onRefused(reason, key)
    return undefined
  }

  const open = async (key: TokenKey, row: StoredToken): Promise<SharedToken | undefined> => {
    const { expiresAtSeconds, sealed } = row
    const opened = await sealer.open({ key: tokenKeyText(key), expiresAtSeconds }, sealed)
    if (!opened.ok) return refused(opened.reason, key)
    const shared = parseSharedForm(opened.plaintext, row, clock)
    if (shared === undefined) return refused('unknown-form', key)
    const { token, grant } = shared
    if (row.keyId !== token.keyId || row.grant !== grant) return refused('altered', key)
    if (!lasts(shared)) return undefined
    const recorded = await exchangesOf(token.obtainedBy)
    const isOurs = recorded.some((exchange) => says(exchange, key, token))
    return isOurs ? shared : refused('unrecorded', key)
  }

  return {
    seal: (key, token, why) =>
      sealer.seal(
        { key: tokenKeyText(key), expiresAtSeconds: token.expiresAtSeconds },
        sharedForm(token, why, clock),
      ),
    open: async (key, row) => {
      if (row.expiresAtSeconds - clock.nowSeconds() < minRemainingSeconds) return undefined
      return withDeadline(timeoutMs, () => open(key, row))
    },
  }
}

/** Life and isolation are no part of an exchange: that they are the row's, the sealing says. */
const says = (exchange: RecordedExchange, key: TokenKey, token: CachedToken) =>
  exchange.tokenSha256 === token.sha256 &&
  exchange.expiresAtSeconds === token.expiresAtSeconds &&
  exchange.application === key.application &&
  exchange.tenant === key.tenant &&
  exchange.scope === key.scope
