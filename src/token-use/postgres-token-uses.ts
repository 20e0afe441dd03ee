import { LRUCache } from 'lru-cache'
import { createBatches } from '../database-access/batches.ts'
import type { DatabaseSession } from '../database-access/database-session.ts'
import {
  rememberedAfterSeconds,
  type TokenUse,
  TokenUsesError,
  type TokenUses,
  type UseAnswer,
  type UseDenial,
} from './token-uses.ts'

export interface PostgresTokenUsesOptions {
  readonly session: DatabaseSession
  /** That all replicas remember together: a few hundred bytes each. */
  readonly tokensMax: number
}

/** What this replica is to remember, and whether it may. */
export interface PostgresTokenUses extends TokenUses {
  /** @throws DatabaseAccessError */
  prove(): Promise<void>
}

/** Of one statement, and of one tidying. */
const usesMax = 500
const forgottenMax = 10_000

/** Denials that this replica knows of by itself. */
const denialsMax = 10_000

/**
 * Shared by all replicas, by functions of the database: one call is one transaction, and one follows
 * another. What many take at one moment is one call.
 */
export function createPostgresTokenUses(options: PostgresTokenUsesOptions): PostgresTokenUses {
  const { session, tokensMax } = options
  const denials = new LRUCache<string, UseDenial>({ max: denialsMax })
  const take = createBatches(usesMax, async (uses: readonly TokenUse[]) => {
    const [row] = await session.query<TakenRow>(takeSql, [
      uses.map(({ tokenId }) => tokenId),
      uses.map(({ purpose }) => purpose),
      uses.map((use) => use.usesMax),
      uses.map((use) => Math.floor(use.expiresAtSeconds) + rememberedAfterSeconds),
      tokensMax,
    ])
    if (row === undefined) throw new TypeError('a function returns one row')
    return row.answers.map((answer) => answerFrom(answer, row.retryAfterSeconds ?? 1))
  })

  let remembered = 0
  return {
    knownDenial: (use) => denials.get(nameOf(use)),
    take: async (use) => {
      const answer = await asTokenUsesError(() => take(use))
      // Uses only ever grow, and purposes stay; room comes again.
      if (!answer.ok && answer.why !== 'full') denials.set(nameOf(use), answer)
      return answer
    },
    tidy: async () => {
      const [row] = await asTokenUsesError(() => session.query<Counted>(tidySql, [forgottenMax]))
      remembered = row?.remembered ?? 0
    },
    prove: async () => {
      for (const sql of proveSql) await session.query(sql, [])
    },
    get remembered() {
      return remembered
    },
  }
}

interface TakenRow {
  readonly answers: readonly string[]
  readonly retryAfterSeconds: number | null
}

interface Counted {
  readonly remembered: number
}

/** Changes nothing, and is refused where a right is missing. */
const proveSql = [
  `INSERT INTO token_use SELECT * FROM token_use WHERE false`,
  `UPDATE token_use SET uses = uses WHERE false`,
  `DELETE FROM token_use WHERE false`,
  `UPDATE token_use_count SET tokens = tokens WHERE false`,
]

const tidySql = 'SELECT forget_token_uses($1)::float8 AS remembered'

const takeSql = `
  SELECT answers, retry_after_seconds AS "retryAfterSeconds"
  FROM take_token_uses($1::text[], $2::text[], $3::integer[], $4::bigint[], $5)`

const nameOf = ({ tokenId, purpose, usesMax: max }: TokenUse) => `${tokenId} ${max} ${purpose}`

function answerFrom(answer: string, retryAfterSeconds: number): UseAnswer {
  if (answer === 'taken') return { ok: true }
  if (answer === 'full') return { ok: false, why: answer, retryAfterSeconds }
  if (answer === 'spent' || answer === 'elsewhere') return { ok: false, why: answer }
  throw new TypeError('the function says no other')
}

async function asTokenUsesError<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    throw new TokenUsesError('TOKEN_USES_UNAVAILABLE', { cause })
  }
}
