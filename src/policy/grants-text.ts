import { basename, join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../base/parse-json.ts'
import type { GrantFile } from './grant-folder.ts'

/** By name, each with its text, or null where there was none to be read. */
const form = z.array(z.tuple([z.string().min(1), z.string().nullable()]))

/**
 * All files of a folder as one text: their names without the folder, and what is in them. What two folders
 * allow is the same when this is; its SHA-256 is the policy's, and it is what replicas hand to one another.
 */
export function grantsText(files: readonly GrantFile[]): string {
  const read = files.map((file) => [basename(file.file), file.ok ? file.text : null] as const)
  return JSON.stringify(read.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** The files again, as if they were in the folder; undefined for any other text. */
export function parseGrantsText(text: string, folder: string): readonly GrantFile[] | undefined {
  const parsed = form.safeParse(parseJson(text))
  if (!parsed.success) return undefined
  return parsed.data.map(([name, content]) => {
    const file = join(folder, basename(name))
    return content === null ? { file, ok: false, fault } : { file, ok: true, text: content }
  })
}

const fault = 'The replica that put it into force could not read it: its log says why.'
