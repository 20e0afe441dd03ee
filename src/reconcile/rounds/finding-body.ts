import { z } from 'zod'
import { isoTimeFrom } from '../../base/clock.ts'
import { findingKinds } from '../finding.ts'
import { nextSteps } from '../finding-text.ts'
import type { FindingEvent } from './round-state.ts'

const time = z.iso.datetime().describe('UTC, ISO 8601.')

/** What a webhook is posted: the source of `schemas/finding-event.schema.json`. */
export const findingBodyForm = z.strictObject({
  id: z
    .string()
    .describe('Of this event. It is posted until it is answered with 2xx, so it may come twice.'),
  event: z
    .enum(['finding.new', 'finding.resolved'])
    .describe(
      'Resolved: the evidence was read again and is explained by now, or what was missing has come. Evidence that is gone resolves nothing.',
    ),
  at: time.describe('When it was found, or found to be resolved. UTC, ISO 8601.'),
  deployment: z.string().optional().describe('`publicUrl` of the configuration.'),
  ledger: z.string().describe('Which ledger: base64url of the hash of its first entry.'),
  finding: z
    .strictObject({
      id: z
        .string()
        .regex(/^[0-9a-f]{32}$/)
        .describe('The same whenever, and by whomever, it is found.'),
      kind: z.enum(findingKinds).describe('What it is; docs/audit.md says more of each.'),
      severity: z
        .enum(['high', 'medium', 'low'])
        .describe('Look at once, soon, or when there is time.'),
      time: time.optional().describe('When it happened; absent for a ledger that is broken.'),
      summary: z.string().describe('The same in a sentence.'),
      next: z.string().describe('What to do about it.'),
      facts: z
        .array(
          z.strictObject({
            name: z.string().describe('What is known.'),
            value: z.string().describe('What of it.'),
          }),
        )
        .describe(
          'The evidence, in the words of the report. Values that others chose are cut; what looks like a credential, a formula or an element is made harmless.',
        ),
    })
    .describe('What was found.'),
})

export type FindingBody = z.output<typeof findingBodyForm>

/** Where it was found. */
export interface FoundAt {
  /** Absent when no configuration names it. */
  readonly deployment?: string
  readonly ledger: string
}

export function findingBody(
  { id, event, atMs, finding }: FindingEvent,
  { deployment, ledger }: FoundAt,
): FindingBody {
  return {
    id,
    event,
    at: isoTimeFrom(atMs),
    ...(deployment === undefined ? {} : { deployment }),
    ledger,
    finding: {
      id: finding.id,
      kind: finding.kind,
      severity: finding.severity,
      ...(finding.atMs === null ? {} : { time: isoTimeFrom(finding.atMs) }),
      summary: finding.summary,
      next: nextSteps[finding.kind],
      facts: finding.facts.map(([name, value]) => ({ name, value })),
    },
  }
}
