import { isUtf8 } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'

export type TextFile =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly fault: string }

/** Largest file that is read whole; operators write far less. */
const bytesMax = 4_000_000

/**
 * Reads a text that an operator wrote. What keeps it from being read is an answer, not an error: a
 * sentence that says what to do, for the problem to show.
 */
export async function readTextFile(file: string): Promise<TextFile> {
  try {
    const stats = await stat(file)
    // A pipe or a device would have us wait for ever.
    if (!stats.isFile()) return { ok: false, fault: 'It is not an ordinary file: put one there.' }
    if (stats.size > bytesMax) return { ok: false, fault: 'It is larger than 4 MB: split it.' }
    const bytes = await readFile(file)
    if (!isUtf8(bytes)) return { ok: false, fault: 'It is not UTF-8: save it in that encoding.' }
    return { ok: true, text: new TextDecoder().decode(bytes) }
  } catch (error) {
    return { ok: false, fault: faultFrom(error) }
  }
}

/** Whether an error of the file system says that nothing is there. */
export const isAbsence = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes(String(codeOf(error)))

const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? error.code : undefined

/** What an error of the file system means to whoever has to mend it. */
export function faultFrom(error: unknown): string {
  const code = codeOf(error)
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'It is not there: check the path, or make it.'
    case 'EACCES':
    case 'EPERM':
      return 'It may not be read: give the service permission to.'
    default:
      return `It cannot be read (${typeof code === 'string' ? code : 'unknown error'}): check the disk and the path.`
  }
}
