import { z } from 'zod'
import { parseJson } from '../base/parse-json.ts'
import type { Row } from './chain.ts'
import type { DecisionOnRecord, EntryKind, PolicyLoaded, RequestRefused } from './entry.ts'
import type { LedgerSource } from './ledger-source.ts'

/** What entries say of decisions and of what they were made by, whatever kind they are. */
export type DecidedEntry =
  | DecidedAttempt
  | ({ readonly kind: 'policy.loaded' } & Pick<
      PolicyLoaded,
      'atMs' | 'sha256' | 'added' | 'removed' | 'changed' | 'cut'
    >)

/** One entry of an attempt; an attempt has several. */
export interface DecidedAttempt {
  readonly kind: 'attempt'
  readonly atMs: number
  /** Never the service itself: what it refreshes ahead is nobody's use. */
  readonly caller: Pick<DecisionOnRecord['caller'], 'issuer' | 'subject'>
  /** Absent: it was refused. */
  readonly grant?: DecisionOnRecord['grant']
  readonly dryRun?: RequestRefused['dryRun']
}

const loadedForm = z.object({
  kind: z.literal('policy.loaded'),
  atMs: z.number(),
  sha256: z.string(),
  added: z.array(z.string()).exactOptional(),
  removed: z.array(z.string()).exactOptional(),
  changed: z.array(z.string()).exactOptional(),
  cut: z.literal(true).exactOptional(),
})

const attemptKinds = [
  'request.granted',
  'request.refused',
  'request.failed',
  'token.issued',
  'assertion.issued',
] as const satisfies readonly EntryKind[]

const attemptForm = z
  .object({
    kind: z.enum(attemptKinds),
    atMs: z.number(),
    caller: z.object({ issuer: z.string(), subject: z.string() }),
    grant: z.string().exactOptional(),
    dryRun: z.array(z.string()).exactOptional(),
  })
  .transform((attempt) => ({ ...attempt, kind: 'attempt' as const }))

const decidedForm = z.union([loadedForm, attemptForm])

/** In the canonical form of every entry that is wanted, and of few others. */
const marks = ['policy.loaded', ...attemptKinds].map((kind) => `"kind":"${kind}"`)

/** No issuer may be called this. */
const serviceItself = 'countersign'

/**
 * The decisions of a ledger in order, unverified, with a page of it in memory at a time.
 *
 * @throws LedgerFileError | LedgerDatabaseError | DecidedEntryError when it cannot be read to its end.
 */
export async function* decidedEntries(
  source: LedgerSource,
): AsyncGenerator<DecidedEntry, void, undefined> {
  for await (const page of source.pages()) {
    for (const row of page) {
      const entry = decidedIn(row, source.name)
      if (entry !== undefined) yield entry
    }
  }
}

/** An entry is not what the service writes, and so nothing can be said of the ledger. */
export class DecidedEntryError extends Error {
  override readonly name = 'DecidedEntryError'
}

function decidedIn({ canonical, sequence }: Row, ledger: string): DecidedEntry | undefined {
  const text = Buffer.from(canonical).toString()
  if (!marks.some((mark) => text.includes(mark))) return undefined
  const parsed = decidedForm.safeParse(parseJson(text))
  if (!parsed.success) {
    throw new DecidedEntryError(`${ledger}: entry ${sequence} is not what the service writes`)
  }
  const entry = parsed.data
  return entry.kind === 'attempt' && entry.caller.issuer === serviceItself ? undefined : entry
}
