import { z } from 'zod'
import {
  nameRule,
  parseClientId,
  parseScope,
  parseTenantId,
  type ClientId,
  type Scope,
  type TenantId,
} from '../base/ids.ts'
import { type ClaimPattern, parseClaimPattern } from '../base/claim-pattern.ts'
import type { ClaimRule, ClaimValue } from '../base/claim-rules.ts'

/**
 * What operators can write, as the leaves of zod definitions. The message of every leaf completes
 * "`setting` must be …", whichever way a value misses it, so that a problem always says what to write.
 */

/** @param expects Completes "must be …". */
export function text(expects: string, pattern: RegExp = /\S/) {
  return z.string({ error: expects }).regex(pattern, { error: expects })
}

/**
 * A text that `parse` turns into something narrower, or refuses.
 *
 * @param pattern For editors alone, which cannot run `parse`; it may accept more.
 */
export function parsed<T>(
  expects: string,
  parse: (written: string) => T | undefined,
  pattern?: string,
) {
  const written = z.string({ error: expects })
  return (pattern === undefined ? written : written.meta({ pattern })).transform(
    (value, context): T => {
      const result = parse(value)
      if (result !== undefined) return result
      context.issues.push({ code: 'custom', message: expects, input: value })
      return z.NEVER
    },
  )
}

/** A value that may hold a password: messages do not repeat it, and editors do not fill it in. */
export function secret<Form extends z.ZodType>(form: Form): Form {
  return form.meta({ writeOnly: true })
}

/** Whether {@link secret} was said of a form, or of what it makes optional. */
export function isSecret(form: z.core.$ZodType): boolean {
  if (z.globalRegistry.get(form)?.['writeOnly'] === true) return true
  return form instanceof z.ZodOptional && isSecret(form.unwrap())
}

export function wholeNumber(from: number, to: number) {
  const error = `a whole number from ${from} to ${to}`
  return z.int({ error }).min(from, { error }).max(to, { error })
}

export function numberBetween(from: number, to: number) {
  const error = `a number from ${from} to ${to}`
  return z.number({ error }).min(from, { error }).max(to, { error })
}

export const flag = () => z.boolean({ error: 'true or false' })

export function oneOf<const Values extends readonly string[]>(values: Values) {
  return z.enum(values, { error: `one of ${values.join(', ')}` })
}

/** @param expects Completes "must be …" when the value is no list, or an empty one. */
export function listOf<Item extends z.ZodType>(item: Item, expects: string) {
  return z.array(item, { error: expects }).min(1, { error: expects })
}

/** A map of things that the operator names; at least one. */
export function namedMapOf<Name extends string, Entry extends z.ZodType>(
  parseName: (written: string) => Name | undefined,
  entry: Entry,
  expects: string,
) {
  return z
    .record(nameForm(nameRule, parseName), entry, { error: expects })
    .refine((entries) => Object.keys(entries).length > 0, { error: expects })
    .meta({ minProperties: 1 })
}

/** Entries with the type of their names, which `Object.entries` forgets. */
export function entriesOf<Name extends string, Entry>(
  map: Readonly<Record<Name, Entry>>,
): readonly (readonly [Name, Entry])[] {
  return Object.entries(map) as [Name, Entry][]
}

/** For editors; whoever reads it parses it. */
export const guidPattern =
  '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'

export const tenantIdForm: z.ZodType<TenantId, string> = parsed(
  'the GUID of a tenant',
  parseTenantId,
  guidPattern,
)

export const clientIdForm: z.ZodType<ClientId, string> = parsed(
  "the GUID of an app registration (Entra's client id)",
  parseClientId,
  guidPattern,
)

/** The name of something else in the files: a certificate, an application, an issuer. */
export function nameOf<Name extends string>(
  noun: string,
  parse: (written: string) => Name | undefined,
) {
  return nameForm(`the name of ${noun} (${nameRule})`, parse)
}

function nameForm<Name extends string>(
  expects: string,
  parse: (written: string) => Name | undefined,
): z.ZodPipe<z.ZodString, z.ZodTransform<Name, string>> {
  return parsed(expects, parse, '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
}

export const scopeForm: z.ZodType<Scope, string> = parsed(
  'one resource and /.default, such as https://graph.microsoft.com/.default',
  parseScope,
  '/\\.default$',
)

const valueExpects = 'a text (in quotes if it looks like a number), a whole number, true or false'

/** Numbers that JSON carries exactly: a larger one would match its neighbours too. */
const claimValues = [z.string(), z.int({ error: valueExpects }), z.boolean()] as const

const claimValueForm: z.ZodType<ClaimValue, ClaimValue> = z.union(claimValues, {
  error: valueExpects,
})

const claimExpects = `${valueExpects}, or a list of which one must hold`

/** What one claim must be: a value, or a list of which one must hold. */
export const claimForm: z.ZodType<readonly ClaimValue[], ClaimValue | ClaimValue[]> = z
  .union([claimValueForm, listOf(claimValueForm, claimExpects)], { error: claimExpects })
  .transform((written) => (Array.isArray(written) ? written : [written]))

const likeExpects =
  'a text with a *, which stands for one or more characters other than / : @ | and %, and not two in a row'

const claimPatternForm = z
  .strictObject({
    like: parsed(likeExpects, parseClaimPattern, '^[^*]*([*][^*]+)*[*]?$').describe(
      'A form: * stands for one or more characters, none of / : @ | and %.',
    ),
  })
  .transform(({ like }) => like)

const matcherExpects = `${valueExpects}, a form such as { like: "refs/heads/release/*" }, or a list of which one must hold`

/** One level, so that a map is known to be meant as a form, and its own problems are told. */
const matchers = [...claimValues, claimPatternForm] as const

/** The same with forms of texts. */
export const matchedClaimForm: z.ZodType<readonly (ClaimValue | ClaimPattern)[]> = z
  .union([...matchers, listOf(z.union(matchers, { error: matcherExpects }), matcherExpects)], {
    error: matcherExpects,
  })
  .transform((written) => (Array.isArray(written) ? written : [written]))

const claimsExpects = 'a map with at least one claim, because no claims would name everybody'

/** Claims that must all hold, each exactly. */
export const claimsForm = claimsOf(claimForm)

/** Claims that must all hold, some of them by their form. */
export const matchedClaimsForm = claimsOf(matchedClaimForm)

function claimsOf<Claim extends z.ZodType>(claim: Claim) {
  return z
    .record(z.string(), claim, { error: claimsExpects })
    .refine((claims) => Object.keys(claims).length > 0, { error: claimsExpects })
    .meta({ minProperties: 1 })
}

export function claimRulesFrom(
  claims: z.output<typeof claimsForm> | z.output<typeof matchedClaimsForm>,
): readonly ClaimRule[] {
  return Object.entries(claims).map(([claim, anyOf]) => ({ claim, anyOf }))
}
