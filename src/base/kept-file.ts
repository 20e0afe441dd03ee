import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isAbsence } from './text-file.ts'

/**
 * What a process keeps in a small file of its own for its next life; undefined where there is none.
 *
 * @throws Error of the file system.
 */
export async function readKeptFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}

/**
 * Puts a text in place of it: durable when this resolves, whole or not at all, whenever the power goes. For one
 * process at a time.
 *
 * @param mode Of the file, such as 0o600.
 * @throws Error of the file system; what was there stays then, or this is there and perhaps not durable.
 */
export async function replaceKeptFile(file: string, text: string, mode: number): Promise<void> {
  const unfinished = `${file}.new`
  const handle = await open(unfinished, 'w', mode)
  try {
    await handle.writeFile(text)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(unfinished, file)
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
