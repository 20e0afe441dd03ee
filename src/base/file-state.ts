import { stat } from 'node:fs/promises'

/**
 * What the system says of files, links followed: two texts that are the same mean that nobody has written
 * or replaced any of them in between, without reading them.
 */
export async function fileState(files: readonly string[]): Promise<string> {
  const states = await Promise.all(files.map(stateOf))
  return states.join('\n')
}

async function stateOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return [file, dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch {
    return `${file} cannot be seen`
  }
}
