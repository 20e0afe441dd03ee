import { randomUUID } from 'node:crypto'
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

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

/**
 * Removes what a writer of this file has left behind that was killed meanwhile: nobody else would.
 *
 * @throws Error of the file system, such as that there is no such folder.
 */
export async function removeDrafts(file: string): Promise<void> {
  const [folder, name] = [dirname(file), basename(file)]
  const drafts = (await readdir(folder)).filter((found) => isDraftOf(name, found))
  for (const draft of drafts) await rm(join(folder, draft), { force: true })
}

const isDraftOf = (name: string, found: string) =>
  found.startsWith(`${name}.`) &&
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(found.slice(name.length + 1))
