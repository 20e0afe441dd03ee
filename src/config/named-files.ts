import { isAbsolute, join } from 'node:path'
import { readTextFile } from '../base/text-file.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'

/**
 * `must-be-here` is for the machine that serves: a file that cannot be read is an error. Elsewhere,
 * such as where a pull request is checked or a ledger is reconciled, it is a warning. What a file
 * says is looked at either way, when it can be.
 */
export type NamedFiles = 'must-be-here' | 'may-be-elsewhere'

/**
 * The text of the file that a part names. Undefined when the part names none, or after reporting that
 * it cannot be read.
 *
 * @param folder Where relative paths start.
 */
export async function readNamedFile(
  part: YamlPart,
  folder: string,
  namedFiles: NamedFiles,
  rule: string,
): Promise<string | undefined> {
  const { value } = part
  if (typeof value !== 'string' || value === '') return undefined
  const reading = await readTextFile(isAbsolute(value) ? value : join(folder, value))
  if (reading.ok) return reading.text
  part.report(
    rule,
    `The file of \`${part.name}\` cannot be read. ${reading.fault}`,
    namedFiles === 'must-be-here' ? 'error' : 'warning',
  )
  return undefined
}
