import type { DatabaseSync } from 'node:sqlite'
import { hasTokenUses } from './ledger-file.ts'
import {
  forgetAtSeconds,
  forgottenPerCommit,
  type TokenUse,
  type UseAnswer,
  type UsedToken,
} from './token-use.ts'

/** What caller tokens were used for, in the table that the ledger's file has for it. */
export interface TokenUseTable {
  /** Tokens that are remembered. */
  readonly tokens: number
  /**
   * Takes the uses in their order, where they are to be had, and forgets some that have expired: within the
   * transaction that stores the entries which they are for. After one that failed it is of no more use.
   */
  take(uses: readonly TokenUse[], terms: TakingTerms): readonly UseAnswer[]
}

export interface TakingTerms {
  /** Seconds since the Unix epoch, rather too few than too many: what expires by then is forgotten. */
  readonly nowSeconds: number
  /** Tokens that are remembered at a time, some 200 bytes each. */
  readonly tokensMax: number
}

export function createTokenUseTable(db: DatabaseSync): TokenUseTable {
  const find = db.prepare('SELECT purpose, uses FROM token_use WHERE token_id = ?')
  const add = db.prepare(
    'INSERT INTO token_use (token_id, purpose, uses, forget_at_seconds) VALUES (?, ?, 1, ?)',
  )
  const useAgain = db.prepare('UPDATE token_use SET uses = uses + 1 WHERE token_id = ?')
  const forget = db.prepare(
    `DELETE FROM token_use WHERE token_id IN (
       SELECT token_id FROM token_use WHERE forget_at_seconds <= ?
       ORDER BY forget_at_seconds LIMIT ?)`,
  )
  const nextToForget = db.prepare('SELECT min(forget_at_seconds) AS seconds FROM token_use')
  // Nobody else writes the file, so they are counted once.
  let tokens = Number(db.prepare('SELECT count(*) AS tokens FROM token_use').get()?.['tokens'])

  const takeOne = (use: TokenUse, { nowSeconds, tokensMax }: TakingTerms): UseAnswer => {
    const known = find.get(use.tokenId)
    if (known === undefined && tokens >= tokensMax) {
      const waitSeconds = Math.ceil(Number(nextToForget.get()?.['seconds']) - nowSeconds)
      return { ok: false, why: 'full', retryAfterSeconds: Math.max(1, waitSeconds) }
    }
    if (known === undefined) {
      add.run(use.tokenId, use.purpose, forgetAtSeconds(use))
      tokens += 1
      return { ok: true }
    }
    if (Number(known['uses']) >= use.usesMax) return { ok: false, why: 'spent' }
    if (known['purpose'] !== use.purpose) return { ok: false, why: 'elsewhere' }
    useAgain.run(use.tokenId)
    return { ok: true }
  }

  return {
    get tokens() {
      return tokens
    },
    take: (uses, terms) => {
      if (uses.length === 0) return []
      tokens -= Number(forget.run(terms.nowSeconds, uses.length + forgottenPerCommit).changes)
      return uses.map((use) => takeOne(use, terms))
    },
  }
}

/** All that is remembered; nothing in a file of an earlier release. */
export function* usedTokensIn(db: DatabaseSync): Generator<UsedToken, void, undefined> {
  if (!hasTokenUses(db)) return
  const rows = db.prepare('SELECT token_id, purpose, uses, forget_at_seconds FROM token_use')
  for (const row of rows.iterate()) {
    yield {
      tokenId: String(row['token_id']),
      purpose: String(row['purpose']),
      uses: Number(row['uses']),
      forgetAtSeconds: Number(row['forget_at_seconds']),
    }
  }
}
