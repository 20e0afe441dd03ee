import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import { faultFrom, isAbsence, readTextFile, type TextFile } from '../base/text-file.ts'

/** One file of the folder: its text, or why there is none. */
export type GrantFile = { readonly file: string } & TextFile

export interface GrantFolder {
  /**
   * What the system says of it. One that is not there says as much as an empty one: nothing is allowed.
   * One that cannot be read says nothing.
   */
  readonly state: 'read' | 'absent' | 'unreadable'
  /** By name. */
  readonly files: readonly GrantFile[]
  /** About the folder itself; what is wrong in the files comes from compiling them. */
  readonly problems: readonly ConfigurationProblem[]
}

/**
 * Reads every `*.yaml` and `*.yml` of the folder; not those in folders within it, nor those whose
 * name begins with a dot. Never throws: a folder that is missing, empty or closed has no files, and
 * so nothing is allowed by it.
 */
export async function readGrantFolder(folder: string): Promise<GrantFolder> {
  try {
    const names = (await readdir(folder)).filter(isGrantFile).toSorted()
    const files = await Promise.all(names.map((name) => readGrantFile(join(folder, name))))
    return { state: 'read', files, problems: files.length === 0 ? [emptyFolder(folder)] : [] }
  } catch (error) {
    const state = isAbsence(error) ? 'absent' : 'unreadable'
    return { state, files: [], problems: [unreadableFolder(folder, faultFrom(error))] }
  }
}

const isGrantFile = (name: string) => !name.startsWith('.') && /\.ya?ml$/.test(name)

const readGrantFile = async (file: string): Promise<GrantFile> => ({
  file,
  ...(await readTextFile(file)),
})

const unreadableFolder = (file: string, fault: string): ConfigurationProblem => ({
  file,
  line: 1,
  rule: 'grants.unreadable',
  message: `The folder of the grants cannot be read and allows nothing. ${fault}`,
  severity: 'error',
})

const emptyFolder = (file: string): ConfigurationProblem => ({
  file,
  line: 1,
  rule: 'grants.empty',
  message: 'The folder has no *.yaml file and allows nothing: add a grant.',
  severity: 'warning',
})
