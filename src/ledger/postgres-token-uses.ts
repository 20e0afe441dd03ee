import type { Client } from 'pg'
import {
  forgetAtSeconds,
  forgottenPerCommit,
  type TokenUse,
  type UseAnswer,
  type UsedToken,
} from './token-use.ts'

// All within a transaction that `beginAtTip` has begun: nobody else takes a use meanwhile.

export interface TakenUses {
  /** One for each use, in their order. */
  readonly answers: readonly UseAnswer[]
  /** Caller tokens whose uses are remembered now. */
  readonly tokensRemembered: number
}

interface TakenRow {
  readonly answers: readonly string[]
  readonly tokensRemembered: number
  readonly retryAfterSeconds: number | null
}

/** Takes the uses where they are to be had, for entries that are stored in the same transaction. */
export async function takeTokenUses(
  uses: readonly TokenUse[],
  tokensMax: number,
  client: Client,
): Promise<TakenUses> {
  const { rows } = await client.query<TakenRow>(
    `SELECT answers, remembered::float8 AS "tokensRemembered",
            retry_after_seconds AS "retryAfterSeconds"
     FROM take_token_uses($1::text[], $2::text[], $3::integer[], $4::bigint[], $5, $6)`,
    [
      uses.map(({ tokenId }) => tokenId),
      uses.map(({ purpose }) => purpose),
      uses.map(({ usesMax }) => usesMax),
      uses.map(forgetAtSeconds),
      tokensMax,
      uses.length + forgottenPerCommit,
    ],
  )
  const [row] = rows
  if (row === undefined) throw new TypeError('a function returns one row')
  const { answers, tokensRemembered, retryAfterSeconds } = row
  return {
    answers: answers.map((answer) => answerFrom(answer, retryAfterSeconds ?? 1)),
    tokensRemembered,
  }
}

function answerFrom(answer: string, retryAfterSeconds: number): UseAnswer {
  if (answer === 'taken') return { ok: true }
  if (answer === 'full') return { ok: false, why: answer, retryAfterSeconds }
  if (answer === 'spent' || answer === 'elsewhere') return { ok: false, why: answer }
  throw new TypeError('the function says no other')
}

/** Changes nothing, and fails where the role lacks a right that taking needs. */
export async function proveTokenUses(client: Client): Promise<void> {
  await client.query(
    `INSERT INTO token_use SELECT * FROM token_use WHERE false;
     UPDATE token_use SET uses = uses WHERE false;
     DELETE FROM token_use WHERE false`,
  )
}

/** What another store remembers, into one that remembers nothing. */
export async function putUsedTokens(tokens: readonly UsedToken[], client: Client): Promise<void> {
  await client.query(
    `INSERT INTO token_use (token_id, purpose, uses, forget_at_seconds)
     SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])`,
    [
      tokens.map(({ tokenId }) => tokenId),
      tokens.map(({ purpose }) => purpose),
      tokens.map(({ uses }) => uses),
      tokens.map((token) => token.forgetAtSeconds),
    ],
  )
  await client.query('UPDATE tip SET tokens_remembered = tokens_remembered + $1', [tokens.length])
}
