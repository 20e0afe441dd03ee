import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'

/**
 * Puts a text in place of a file, at once and whole: whoever reads finds the one before or this one. Its
 * owner alone may read it, whatever the one before was.
 *
 * @throws Error of the file system; what was there stays then.
 */
export async function writePrivateFile(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  try {
    // A file that somebody else has made is not taken, nor a link followed.
    await writeFile(draft, text, { mode: 0o600, flag: 'wx', flush: true })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
