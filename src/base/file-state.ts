import { stat } from 'node:fs/promises'

/**
 * What the system says of files, links followed: two texts that are the same mean that nobody has written
 * or replaced any of them in between, without reading them.
 */
export async function fileState(files: readonly string[]): Promise<string> {
  const facts = await Promise.all(files.map(fileFacts))
  return facts
    .map((known, index) => known?.state ?? `${files[index] ?? ''} cannot be seen`)
    .join('\n')
}

export interface FileFacts {
  /** As {@link fileState} has it of one file. */
  readonly state: string
  readonly bytes: number
}

/** Undefined for one that cannot be seen. */
export async function fileFacts(file: string): Promise<FileFacts | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return { state: [file, dev, ino, size, mtimeNs, ctimeNs].join(' '), bytes: Number(size) }
  } catch {
    return undefined
  }
}
