import { z } from 'zod'
import { isSecret } from './forms.ts'
import { nearestName } from './nearest-name.ts'
import { printable } from '../base/printable.ts'
import { isMap } from './yaml-document.ts'
import type { YamlPart } from './yaml-part.ts'

/** One way in which a part does not fit its form. */
export interface Misfit {
  readonly part: YamlPart
  readonly rule: string
  readonly message: string
}

type Form = z.core.$ZodType
type Map = Readonly<Record<string, unknown>>

/**
 * Everything in which a part does not fit a form, each thing at the innermost place that is to
 * blame; nothing when it fits. The form's own messages complete "must be …" (see forms.ts).
 */
export function misfitsOf(form: Form, part: YamlPart): readonly Misfit[] {
  const { value } = part
  if (z.safeParse(form, value).success) return []
  const bare = bareFormOf(form)
  if (bare instanceof z.ZodObject) {
    if (isMap(value)) return fieldMisfits(bare, part, value)
    return [wrongIn(form, part, `a map of ${Object.keys(bare.shape).join(', ')}`)]
  }
  if (bare instanceof z.ZodRecord && isMap(value)) return entryMisfits(bare, part)
  if (bare instanceof z.ZodArray && Array.isArray(value) && value.length > 0) {
    return part.parts().flatMap(([, item]) => misfitsOf(formFrom(bare.element), item))
  }
  if (bare instanceof z.ZodDiscriminatedUnion && isMap(value)) return kindMisfits(bare, part, value)
  if (bare instanceof z.ZodUnion) return unionMisfits(bare, part)
  return leafMisfits(form, part)
}

function fieldMisfits(form: z.ZodObject, part: YamlPart, value: Map): readonly Misfit[] {
  const known = Object.keys(form.shape)
  const unknown = Object.keys(value).filter((key) => !known.includes(key))
  return [
    ...unknown.map((key) => unknownKey(part.at(key), key, known)),
    ...Object.entries(form.shape).flatMap(([key, field]) =>
      field instanceof z.ZodExactOptional && !Object.hasOwn(value, key)
        ? []
        : misfitsOf(formFrom(field), part.at(key)),
    ),
  ]
}

function entryMisfits(form: z.ZodRecord, part: YamlPart): readonly Misfit[] {
  const entries = part.parts()
  if (entries.length === 0) return leafMisfits(form, part)
  return entries.flatMap(([key, entry]) => [
    ...nameMisfits(formFrom(form.keyType), key, entry),
    ...misfitsOf(formFrom(form.valueType), entry),
  ])
}

function nameMisfits(form: Form, key: string, entry: YamlPart): readonly Misfit[] {
  const expects = z.safeParse(form, key).error?.issues[0]?.message
  if (expects === undefined) return []
  const message = `The name in \`${entry.name}\` must be ${expects}: rename it.`
  return [{ part: entry, rule: 'name', message }]
}

/** The discriminator decides which of the forms was meant. */
function kindMisfits(form: z.ZodDiscriminatedUnion, part: YamlPart, value: Map): readonly Misfit[] {
  const { discriminator } = form.def
  const options = form.options.flatMap((option) => {
    const kind = option instanceof z.ZodObject ? formFrom(option.shape[discriminator]) : undefined
    return kind instanceof z.ZodLiteral ? [{ option, kind }] : []
  })
  const meant = options.find(({ kind }) => kind.safeParse(value[discriminator]).success)
  if (meant !== undefined) return misfitsOf(meant.option, part)
  const kinds = options.flatMap(({ kind }) => [...kind.values].map(String))
  return [wrong(part.at(discriminator), `one of ${kinds.join(', ')}`)]
}

/** A map was meant for the form of a map, a list for that of a list. */
function unionMisfits(form: z.ZodUnion, part: YamlPart): readonly Misfit[] {
  const { value } = part
  const options = form.options.map(bareFormOf)
  const meant = isMap(value)
    ? nearestForm(options, value)
    : options.find((one) => one instanceof z.ZodArray && Array.isArray(value) && value.length > 0)
  return meant === undefined ? leafMisfits(form, part) : misfitsOf(formFrom(meant), part)
}

/** Of several forms of maps the first that knows most of its keys. */
function nearestForm(options: readonly unknown[], value: Map): z.ZodObject | undefined {
  const knownBy = ({ shape }: z.ZodObject) =>
    Object.keys(value).filter((key) => Object.hasOwn(shape, key)).length
  return options
    .filter((one) => one instanceof z.ZodObject)
    .toSorted((a, b) => knownBy(b) - knownBy(a))[0]
}

function leafMisfits(form: Form, part: YamlPart): readonly Misfit[] {
  const expects = z.safeParse(form, part.value).error?.issues[0]?.message
  return expects === undefined ? [] : [wrongIn(form, part, expects)]
}

const wrongIn = (form: Form, part: YamlPart, expects: string): Misfit =>
  isSecret(form) && part.value !== undefined ? wrongSecret(part, expects) : wrong(part, expects)

function unknownKey(part: YamlPart, key: string, known: readonly string[]): Misfit {
  const near = nearestName(key, known)
  const remedy = near === undefined ? 'remove it.' : `did you mean \`${near}\`?`
  const message = `This version does not know \`${part.name}\`: ${remedy}`
  return { part, rule: 'unknown-key', message }
}

function wrong(part: YamlPart, expects: string): Misfit {
  const subject = part.name === '' ? 'The file' : `\`${part.name}\``
  if (part.value === undefined) {
    const message = `${subject} is missing: it must be ${expects}.`
    return { part, rule: 'missing', message }
  }
  const message = `${subject} must be ${expects}, and not ${shown(part.value)}.`
  return { part, rule: 'wrong-value', message }
}

/** A form without what makes it optional or turns its result into something else. */
function bareFormOf(form: unknown): unknown {
  if (
    form instanceof z.ZodOptional ||
    form instanceof z.ZodExactOptional ||
    form instanceof z.ZodPrefault ||
    form instanceof z.ZodDefault
  ) {
    return bareFormOf(form.unwrap())
  }
  return form instanceof z.ZodPipe ? bareFormOf(form.in) : form
}

/** What zod hands out as parts of a form has no useful type; it is a form. */
function formFrom(part: unknown): Form {
  if (part instanceof z.ZodType) return part
  throw new TypeError('not a form')
}

const wrongSecret = (part: YamlPart, expects: string): Misfit => ({
  part,
  rule: 'wrong-value',
  message: `\`${part.name}\` must be ${expects}. What is there is not repeated here, because it may hold a password.`,
})

/** Longest value that a message repeats: enough to recognise a slip, too short for most secrets. */
const shownLengthMax = 40

function shown(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (isMap(value)) return shownMap(Object.keys(value))
  if (typeof value === 'string') {
    if (value.length > shownLengthMax) return `a text of ${value.length} characters`
    return printable(JSON.stringify(value), Infinity)
  }
  return `the ${typeof value} ${JSON.stringify(value)}`
}

function shownMap([key, ...others]: readonly string[]): string {
  if (key === undefined) return 'an empty map'
  const rest = others.length === 0 ? '' : ' and more'
  return `a map: this version does not know \`${printable(key, shownLengthMax)}\`${rest} here`
}
