import { dirname, join } from 'node:path'

/** `sun_path` less the zero behind it, of which the BSDs have four bytes less (unix(7), unix(4)). */
const pathBytesMax = process.platform === 'linux' ? 107 : 103

/** Where a socket is made, in its own folder, before it gets its name; as `mkdtemp` fills it in. */
export const socketDraft = { prefix: '.cs-', name: 's' } as const

const draftIn = (folder: string) =>
  join(folder, `${socketDraft.prefix}${'X'.repeat(6)}`, socketDraft.name)

const folderBytesMax = pathBytesMax - draftIn('/').length

/** Completes "the system takes …". */
export const socketPathLimits = `${pathBytesMax} bytes at most, and ${folderBytesMax} for its folder`

/** Whether the system would not take it, or not what it is called while it is made. */
export const isTooLongForSocket = (path: string) =>
  [path, draftIn(dirname(path))].some((name) => Buffer.byteLength(name) > pathBytesMax)
