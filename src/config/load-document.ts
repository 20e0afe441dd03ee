import type { z } from 'zod'
import { byPlace, type ConfigurationProblem } from '../base/configuration-problem.ts'
import { frozen } from '../base/frozen.ts'
import { readTextFile } from '../base/text-file.ts'
import { readYaml, type YamlPart } from '../yaml/yaml-part.ts'

/** What became of a configuration that is one file. */
export type LoadedDocument<Config> =
  | {
      readonly ok: true
      readonly config: Config
      /** None of them keeps the program from starting. */
      readonly warnings: readonly ConfigurationProblem[]
    }
  | {
      readonly ok: false
      /** All that could be found, warnings too. */
      readonly problems: readonly ConfigurationProblem[]
    }

export interface DocumentReading<Form, Config> {
  /** Whose configuration it is. */
  readonly noun: 'agent' | 'witness'
  readonly form: z.ZodType<Form>
  /** What the form alone cannot say; reports to the part. */
  readonly check: (root: YamlPart) => Promise<void>
  /** Of a form without errors; undefined where it is none after all. */
  readonly configFrom: (form: Form, root: YamlPart) => Config | undefined
}

/**
 * Reads a configuration of one file. What is wrong with it is an answer and never thrown.
 *
 * @param file As it was named: problems repeat it.
 */
export async function loadDocument<Form, Config>(
  file: string,
  { noun, form, check, configFrom }: DocumentReading<Form, Config>,
): Promise<LoadedDocument<Config>> {
  const reading = await readTextFile(file)
  if (!reading.ok) {
    const message = `The configuration of the ${noun} cannot be read. ${reading.fault}`
    const rule = `${noun}.unreadable`
    return { ok: false, problems: [{ file, line: 1, rule, message, severity: 'error' }] }
  }
  const problems: ConfigurationProblem[] = []
  const root = readYaml({ file, text: reading.text }, problems, noun)
  const value = root?.read(form)
  if (root !== undefined) await check(root)
  const inOrder = problems.toSorted(byPlace)
  const isWrong = problems.some(({ severity }) => severity === 'error')
  if (root === undefined || value === undefined || isWrong) return { ok: false, problems: inOrder }
  const config = configFrom(value, root)
  return config === undefined
    ? { ok: false, problems: inOrder }
    : { ok: true, config: frozen(config), warnings: inOrder }
}
