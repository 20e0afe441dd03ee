import { z } from 'zod'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import { printable } from '../base/printable.ts'
import { misfitsOf } from './misfits.ts'
import { isMap, parseYaml, type YamlDocument, type YamlPath } from './yaml-document.ts'

/**
 * One place in an operator's file, and the list that its problems go to. What is wrong in one place
 * never hides what is wrong in another.
 */
export class YamlPart {
  readonly #source: Source
  readonly #path: YamlPath
  /** What the names of broken rules begin with here: `application` in `application.unknown-key`. */
  readonly noun: string
  /** Undefined when the file says nothing here. */
  readonly value: unknown

  constructor(source: Source, path: YamlPath, noun: string, value: unknown) {
    this.#source = source
    this.#path = path
    this.noun = noun
    this.value = value
  }

  /** The part under a key or at an index. */
  at(step: string | number): YamlPart {
    const noun = this.#source.nouns(this.#path, step) ?? this.noun
    return new YamlPart(this.#source, [...this.#path, step], noun, memberOf(this.value, step))
  }

  /** The parts of a map by key, or of a list; none when it is neither. */
  parts(): readonly (readonly [key: string, part: YamlPart])[] {
    if (Array.isArray(this.value)) return this.value.map((_, i) => [String(i), this.at(i)])
    return isMap(this.value) ? Object.keys(this.value).map((key) => [key, this.at(key)]) : []
  }

  /** Those of {@link parts} that are maps themselves: the others have been reported as no maps. */
  maps(): readonly (readonly [key: string, part: YamlPart])[] {
    return this.parts().filter(([, { value }]) => isMap(value))
  }

  /** As messages name it: `applications.events.tenants[0]`. */
  get name(): string {
    return nameOfPath(this.#path)
  }

  /** @param rule Without the noun in front. */
  report(rule: string, message: string, severity: 'error' | 'warning' = 'error'): void {
    const { file, document, problems } = this.#source
    const line = document.lineOf(this.#path)
    problems.push({ file, line, rule: `${this.noun}.${rule}`, message, severity })
  }

  /** What the form makes of the value; undefined after reporting everything that does not fit. */
  read<Value>(form: z.ZodType<Value>): Value | undefined {
    const reading = form.safeParse(this.value, once)
    if (reading.success) return reading.data
    for (const { part, rule, message } of misfitsOf(form, this)) part.report(rule, message)
    return undefined
  }

  /** The same, reporting nothing. */
  sound<Value>(form: z.ZodType<Value>): Value | undefined {
    return form.safeParse(this.value, once).data
  }

  /**
   * The fields of a map that are sound by themselves, each judged when it is looked at: enough to
   * compare them with the rest of the file, even when others are not. Reports nothing.
   */
  seen<Form extends z.ZodObject>(form: Form): Partial<z.output<Form>> {
    const fields = {}
    for (const [key, field] of Object.entries(form.shape)) {
      const get = (): unknown => z.safeParse(field, memberOf(this.value, key), once).data
      Object.defineProperty(fields, key, { enumerable: true, get })
    }
    return fields
  }
}

/** A form is compiled for those who use it often; a file is read once. */
const once = { jitless: true } as const

interface Source {
  /** As the operator named it. */
  readonly file: string
  readonly document: YamlDocument
  readonly problems: ConfigurationProblem[]
  /** The noun that begins at this step; undefined where the one around it goes on. */
  readonly nouns: Nouns
}

/** Where which noun begins: each entry of `applications` is an `application`. */
export type Nouns = (path: YamlPath, step: string | number) => string | undefined

/**
 * The top of a YAML file; what is wrong with the text as YAML goes to `problems`. Undefined when
 * that is too much to go on.
 */
export function readYaml(
  { file, text }: { readonly file: string; readonly text: string },
  problems: ConfigurationProblem[],
  noun: string,
  nouns: Nouns = () => undefined,
): YamlPart | undefined {
  const { document, faults } = parseYaml(text)
  for (const fault of faults) problems.push({ file, ...fault, severity: 'error' })
  if (document === undefined) return undefined
  return new YamlPart({ file, document, problems, nouns }, [], noun, document.value)
}

function memberOf(value: unknown, step: string | number): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
  return Reflect.get(value, step)
}

const nameOfPath = (path: YamlPath) =>
  path.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`
    const key = printable(step, keyLengthMax)
    return name === '' ? key : `${name}.${key}`
  }, '')

const keyLengthMax = 64
