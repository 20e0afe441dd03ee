import { z } from 'zod'
import { parseJson } from '../base/parse-json.ts'
import type { CallerOnRecord, Entry, RevocationLifted, RevocationMade } from './entry.ts'

/**
 * The revocations that stand at one moment. They are kept beside the chain, where nothing is pruned, and
 * change only together with the entry that says so.
 */
export interface StandingRevocations {
  /** How many times one was made or lifted in this store. */
  readonly epoch: number
  /** The oldest first. */
  readonly made: readonly RevocationMade[]
}

/** The entries that change what stands. */
export type RevocationChange = RevocationMade | RevocationLifted

export const noRevocations: StandingRevocations = { epoch: 0, made: [] }

const callerForm = z.looseObject({
  issuer: z.string(),
  subject: z.string(),
  tokenSha256: z.string().exactOptional(),
  certificateSha256: z.string().exactOptional(),
  sharedAudience: z.literal(true).exactOptional(),
}) satisfies z.ZodType<CallerOnRecord>

/** Loose: a move to another store takes along what a later release has put there. */
const madeForm = z.looseObject({
  kind: z.literal('revocation.made'),
  atMs: z.number(),
  revocation: z.string(),
  attempt: z.string(),
  caller: callerForm,
  grant: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  epoch: z.number(),
  revoked: z.discriminatedUnion('what', [
    z.looseObject({ what: z.literal('caller'), issuer: z.string(), subject: z.string() }),
    z.looseObject({ what: z.literal('grant'), grant: z.string() }),
    z.looseObject({ what: z.literal('issuer'), issuer: z.string() }),
    z.looseObject({ what: z.literal('application'), application: z.string() }),
    z.looseObject({ what: z.literal('tenant'), tenant: z.string() }),
    z.looseObject({ what: z.literal('key-version'), keyId: z.string() }),
  ]),
}) satisfies z.ZodType<RevocationMade>

/**
 * A revocation as a store keeps it.
 *
 * @throws TypeError for what is none: with it passed over, something would be issued that is stopped.
 */
export function parseRevocationMade(text: string): RevocationMade {
  const made = madeForm.safeParse(parseJson(text))
  if (!made.success) throw new TypeError('the table of revocations holds what is none')
  return made.data
}

export const isRevocationChange = (entry: Entry): entry is RevocationChange =>
  entry.kind === 'revocation.made' || entry.kind === 'revocation.lifted'

export const standingAfter = (
  before: StandingRevocations,
  changes: readonly RevocationChange[],
): StandingRevocations => changes.reduce(afterOne, before)

function afterOne(
  { epoch, made }: StandingRevocations,
  change: RevocationChange,
): StandingRevocations {
  return {
    epoch: epoch + 1,
    made:
      change.kind === 'revocation.made'
        ? [...made, change]
        : made.filter(({ revocation }) => revocation !== change.revocation),
  }
}
