import { z } from 'zod'
import { isoTimeFrom, parseIsoTime } from '../base/clock.ts'
import {
  flag,
  listOf,
  matchedClaimsForm,
  nameOf,
  oneOf,
  parsed,
  scopeForm,
  tenantIdForm,
  wholeNumber,
} from '../yaml/forms.ts'
import { parseApplicationName, parseGrantName, parseIssuerName } from '../base/ids.ts'

/** In place of a tenant: every tenant that the application lists, now and later. */
export const anyListed = 'any-listed'

const tenantExpects = `the GUID of a tenant, or ${anyListed}`

export const permissionForm = z
  .strictObject({
    application: nameOf('an application', parseApplicationName).describe(
      'Which application the caller may act as.',
    ),
    tenant: z
      .union([z.literal(anyListed), tenantIdForm], { error: tenantExpects })
      .describe('In which tenant; any-listed: in every tenant of the application.'),
    scopes: listOf(scopeForm, 'a list of scopes')
      .optional()
      .describe('Tokens: one resource and /.default each.'),
    assertion: z
      .strictObject({
        lifetimeSeconds: wholeNumber(1, 600)
          .default(300)
          .describe('Longest life of an assertion, and its life when none is asked for.'),
      })
      .optional()
      .describe('Assertions, of an application with handOut: each is the whole application.'),
  })
  .meta({ oneOf: [{ required: ['scopes'] }, { required: ['assertion'] }] })

const adminForm = z.strictObject({
  admin: oneOf(['revoke']).describe(
    'revoke: the caller may stop callers, grants, issuers, applications, tenants and key versions, and let them go on.',
  ),
})

export const auditForm = z.strictObject({
  audit: oneOf(['read']).describe(
    'read: the caller may read the ledger, the story of each attempt, and the report page.',
  ),
})

/** A grant file as an operator may write it: the source of the JSON Schema and of every default. */
export const grantForm = z.strictObject({
  grant: nameOf('the grant', parseGrantName).describe('Its name, which the ledger repeats.'),
  caller: z
    .strictObject({
      issuer: nameOf('an issuer', parseIssuerName).describe('Who vouches for the caller.'),
      claims: matchedClaimsForm.describe(
        'What its token must say: exactly these values, of these types, or { like: … }. A list: one of them.',
      ),
    })
    .describe('Who may.'),
  may: listOf(
    z.union([permissionForm, adminForm, auditForm]),
    'a list of what the caller may have',
  ).describe('What it may have.'),
  limits: z
    .strictObject({
      perMinute: wholeNumber(1, 60_000).optional().describe('Uses of this grant in any minute.'),
      perCallerPerMinute: wholeNumber(1, 60_000)
        .optional()
        .describe('Uses of this grant in any minute by one caller, by issuer and sub.'),
    })
    .optional()
    .describe('Absent: 10 assertions a minute, and tokens without limit.'),
  isolate: flag()
    .default(false)
    .describe('Gives it tokens of its own, which no other grant is served.'),
  longLived: flag()
    .default(false)
    .describe(
      'Lets callers that can handle claims challenges have tokens of a day, which cannot be recalled.',
    ),
  mode: oneOf(['enforced', 'dry-run'])
    .default('enforced')
    .describe('dry-run: what it would have allowed is recorded, and it allows nothing.'),
  until: parsed(
    'a date such as 2027-03-01, or a time with its zone such as 2027-03-01T12:00:00Z',
    parseUntil,
    '^\\d{4}-\\d\\d-\\d\\d(T.*)?$',
  )
    .optional()
    .describe('When it ends: a date (its first moment, UTC) or a time. Absent: never.'),
})

export type GrantForm = z.output<typeof grantForm>

/** Seconds since the Unix epoch, UTC. A date means its first moment, so that nothing is allowed on it. */
function parseUntil(written: string): number | undefined {
  const [date = ''] = written.split('T')
  const midnightMs = parseIsoTime(`${date}T00:00:00Z`)
  // 31 February is read as a day in March.
  if (midnightMs === undefined || !isoTimeFrom(midnightMs).startsWith(date)) return undefined
  const ms = written === date ? midnightMs : parseIsoTime(written)
  return ms === undefined ? undefined : Math.floor(ms / 1000)
}
