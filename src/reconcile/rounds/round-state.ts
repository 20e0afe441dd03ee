import { z } from 'zod'
import { findingKinds } from '../finding.ts'
import type { Severity, UndecidedReason } from '../finding.ts'

/**
 * What is remembered from one round to the next: how far everything is decided for good, what was found, and whom it
 * still has to be told. It holds no token and no assertion, because no ledger and no log has one.
 */

const hex = z.string().regex(/^[0-9a-f]{64}$/)
const link = z.strictObject({ sequence: z.int().min(0), hash: hex })
const time = z.number()

const span = z.strictObject({ reason: z.string(), fromMs: time, toMs: time })

const severity = z.enum(['high', 'medium', 'low'] satisfies Severity[])

const known = z.strictObject({
  id: z.string(),
  kind: z.enum(findingKinds),
  severity,
  /** Null: a ledger that is broken has no time. */
  atMs: time.nullable(),
  /** Of a vault that is silent, which goes on under the id that it began with. */
  vault: z.string().optional(),
  /** Of a ledger that is broken: only what could not be read may be whole again. */
  fault: z.string().optional(),
  /** And of that the entry, or the one before which no more could be read. */
  sequence: z.int().optional(),
  /**
   * Of a log that could not be read, that one, and of a record the one that had it last: see `logNameOf`. Absent in
   * what an earlier version has written.
   */
  log: z.string().optional(),
  /** Of a log that lost something: what, see `removalOf`. */
  removal: z.string().optional(),
  /** Of a signature without a record: the id that it will have. Absent in what an earlier version has written. */
  vaultRequestId: z.string().optional(),
  /** Of what was found first, in one line. */
  summary: z.string(),
  foundAtMs: time,
  /** Absent: it stands. */
  resolvedAtMs: time.optional(),
  /** How often it was found anew after it was resolved. */
  times: z.int().min(1),
})

const event = z.strictObject({
  id: z.string(),
  event: z.enum(['finding.new', 'finding.resolved']),
  atMs: time,
  finding: z.strictObject({
    id: z.string(),
    kind: z.enum(findingKinds),
    severity,
    atMs: time.nullable(),
    summary: z.string(),
    /** Names and values, as reports have them; empty for one that is resolved. */
    facts: z.array(z.tuple([z.string(), z.string()])),
  }),
  /** Who has not taken it yet, by name. */
  pending: z.array(z.string()),
})

const logKind = z.enum(['vault', 'sign-ins', 'audits'])

const logSource = z.strictObject({
  /** Hosts of which it has records. */
  vaults: z.array(z.string()),
  /** What is older it may have dropped as it grew old. Absent: it has dropped nothing. */
  retiredUntilMs: time.optional(),
})

const lastRound = z.strictObject({
  atMs: time,
  tookMs: time,
  verdict: z.enum(['accounted-for', 'findings', 'undecided']),
  undecided: z.array(
    z.strictObject({
      reason: z.string(),
      count: z.int(),
      fromMs: time.optional(),
      toMs: time.optional(),
    }),
  ),
  entries: z.int(),
  records: z.int(),
  signatures: z.int(),
  unread: z.int(),
  /** Findings for which there was no room. Absent in what an earlier version has written. */
  heldBack: z.int().optional(),
})

const unreadFile = z.strictObject({
  /** The log that it is of. Absent in what an earlier version has written. */
  of: logKind.optional(),
  file: z.string(),
  /** Places that were not understood, and the first of them. */
  count: z.int(),
  line: z.int(),
  why: z.string(),
  readAtMs: time,
})

const unreadable = z.strictObject({
  /** `ledger`: no log was looked at either. */
  of: z.enum([...logKind.options, 'ledger']),
  log: z.string(),
  code: z.string(),
  /** One sentence, which names the log. */
  why: z.string(),
  /** When a round could not read it for the first time. */
  sinceMs: time,
  /** So many in a row could not. */
  rounds: z.int().min(1),
})

export const roundStateForm = z.strictObject({
  version: z.literal(1),
  /** See `ledgerIdOf`. Null while that is unknown. */
  ledger: z.string().nullable(),
  /** What happened before is decided for good, milliseconds since the Unix epoch; null: nothing is. */
  decidedUntilMs: time.nullable(),
  /** The next round looks again from there: what was found had no room, or was more than is kept. Absent: nothing was. */
  lookFromMs: time.optional(),
  /** The newest entry that was read: whatever comes later continues it. */
  tip: link,
  /** Places in the ledger where reading can begin, in order. */
  marks: z.array(z.strictObject({ ...link.shape, atMs: time })),
  /** Entries of keys and certificates, from before the oldest one that is read. */
  recalled: z.array(z.strictObject({ ...link.shape, canonical: z.string() })),
  /** Client ids and object ids that turned out to be ours. */
  applicationIds: z.array(z.string()),
  /** Object ids that turned out to be the service's. */
  principals: z.array(z.string()).default([]),
  coverage: z.record(
    z.string(),
    z.strictObject({
      fromMs: time,
      toMs: time,
      /** Hours since the epoch, and how many records each has. */
      hours: z.array(z.tuple([z.int(), z.int()])),
    }),
  ),
  /** By source. */
  logs: z.record(z.string(), z.record(z.string(), z.string())),
  /** What they are known for, likewise. */
  sources: z.record(z.string(), logSource).default({}),
  /** Of these, and of the ledger, those that the last round could not read; their marks are from before. */
  unreadable: z.array(unreadable).default([]),
  /** Times in which something was never decided, and that are waited for no longer. */
  leftUndecided: z.array(span),
  /** Files with places that were not understood, until they are other files. */
  unread: z.array(unreadFile).default([]),
  findings: z.array(known),
  events: z.array(event),
  lastRound: lastRound.nullable(),
})

export type RoundState = z.output<typeof roundStateForm>
export type UnreadableState = z.output<typeof unreadable>
export type KnownFinding = z.output<typeof known>
export type FindingEvent = z.output<typeof event>
export type LeftUndecided = { readonly reason: UndecidedReason } & z.output<typeof span>

export const noRounds: RoundState = {
  version: 1,
  ledger: null,
  decidedUntilMs: null,
  tip: { sequence: 0, hash: '0'.repeat(64) },
  marks: [],
  recalled: [],
  applicationIds: [],
  principals: [],
  coverage: {},
  logs: {},
  sources: {},
  unreadable: [],
  leftUndecided: [],
  unread: [],
  findings: [],
  events: [],
  lastRound: null,
}
