import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { AuditDeps } from '../audit/audit.ts'
import type { EntryPages } from '../audit/entry-pages.ts'
import type { AttemptStories } from '../audit/read-attempt.ts'
import { readEntries } from '../audit/read-entries.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { type Row } from '../ledger/chain.ts'
import { exportedLine } from '../ledger/exported-ledger.ts'
import type { Answer } from './answer.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { queryOf } from './query.ts'

export type AuditRoutesDeps = AuditDeps &
  Pick<IssuanceDeps, 'events' | 'underWay'> & {
    readonly pages: EntryPages
    readonly stories: AttemptStories
  }

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max))

/** Query of `GET /v1/entries`; `openapi.yaml` says the same. */
export const entriesQuerySchema = z.strictObject({
  after: whole(0, Number.MAX_SAFE_INTEGER).default(0),
  limit: whole(1, 1000).default(500),
})

/** Not registered; the lines are JSON texts (RFC 8259), each with a line feed behind it. */
const linesType = 'application/jsonl'

/** `GET /v1/entries`: the ledger in pages, for auditors and for whoever follows it. */
export function entriesRoute(inForce: () => AuditRoutesDeps): AttemptRoute {
  return attemptRoute(async (request, attempt) => {
    const { after, limit } = queryOf(request, entriesQuerySchema)
    const proofs = presentedProofsOf(request)
    const outcome = await readEntries({ attempt, proofs, after, entriesMax: limit }, inForce())
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    const { rows } = outcome
    return wantsLines(request) ? linesAnswer(rows) : entriesAnswer(rows, after, attempt)
  }, inForce())
}

/** Whoever does not name the type gets JSON. */
const wantsLines = ({ headers: { accept = '' } }: IncomingMessage) =>
  accept.split(',').some((one) => one.split(';', 1)[0]?.trim().toLowerCase() === linesType)

/** The very lines of `countersign ledger export`, so that the chain can be followed in them. */
const linesAnswer = (rows: readonly Row[]): Answer => ({
  status: 200,
  contentType: linesType,
  body: rows.map(exportedLine).join(''),
})

/** A list, put together as text: the entries stay as they were hashed. */
export const ledgerLinesJson = (rows: readonly Row[]): string =>
  `[${rows.map((row) => exportedLine(row).trimEnd()).join(',')}]`

function entriesAnswer(rows: readonly Row[], after: number, attempt: string): Answer {
  const next = rows.at(-1)?.sequence ?? after
  const cut = rows.find(({ isCut }) => isCut === true)
  // It is no entry: whoever counts them or joins them must not find it among them.
  const entries = ledgerLinesJson(rows.filter(({ isCut }) => isCut !== true))
  const pruned = cut === undefined ? '' : `"cut":${Buffer.from(cut.canonical).toString()},`
  return {
    status: 200,
    contentType: 'application/json',
    body: `{"entries":${entries},${pruned}"next":${next},"attempt":"${attempt}"}`,
  }
}
