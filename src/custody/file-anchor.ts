import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import { type Anchor, AnchorError, type AnchorErrorCode, anchorTimeoutMs } from './anchor.ts'

/** One line of the file. */
export interface AnchoredHead {
  /** Compact form. */
  readonly head: string
  /** When it was put there, by the clock of who put it. */
  readonly anchoredAtMs: number
  /** What a witness says of the head, compact; absent where none has put it there. */
  readonly witnessed?: string
}

/** Readable for the group, so that auditors need not be who writes it. */
const fileMode = 0o640

/**
 * JSON Lines that are only ever appended to, each synced. A line that a crash has torn is ended by the next.
 * Its folder is never made: where that is one on a volume, it is missing when the volume is not mounted. A mount
 * point itself is there all the same.
 */
export function createFileAnchor(
  file: string,
  clock: Clock,
  timeoutMs: number = anchorTimeoutMs,
): Anchor {
  let isUnderWay = false
  const over = () => {
    isUnderWay = false
  }
  return {
    name: file,
    hangs: () => isUnderWay,
    keep: async (head, witnessed) => {
      // One that hangs has one of the few threads that all files share.
      if (isUnderWay) throw new AnchorError('ANCHOR_TIMEOUT')
      const line: AnchoredHead = {
        anchoredAtMs: clock.nowMs(),
        head,
        ...(witnessed === undefined ? {} : { witnessed }),
      }
      isUnderWay = true
      const kept = keepLine(file, `${JSON.stringify(line)}\n`)
      kept.then(over, over)
      try {
        await withDeadline(timeoutMs, () => kept)
      } catch (error) {
        throw new AnchorError(codeFrom(error), { cause: error })
      }
    },
  }
}

async function keepLine(file: string, line: string): Promise<void> {
  const handle = await open(file, 'a+', fileMode)
  try {
    const isNew = await append(handle, line)
    if (isNew) await syncFolder(dirname(file))
  } finally {
    await handle.close()
  }
}

/** Whether it is the first line. */
async function append(handle: FileHandle, line: string): Promise<boolean> {
  const { size } = await handle.stat()
  const last = Buffer.alloc(1)
  if (size > 0) await handle.read(last, 0, 1, size - 1)
  const isTorn = size > 0 && last.toString() !== '\n'
  await handle.appendFile(isTorn ? `\n${line}` : line)
  await handle.datasync()
  return size === 0
}

/** Otherwise a file that was just made may be gone after the power was. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function codeFrom(error: unknown): AnchorErrorCode {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'ANCHOR_TIMEOUT'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'ANCHOR_MISSING'
  return code === 'EACCES' || code === 'EPERM' ? 'ANCHOR_FORBIDDEN' : 'ANCHOR_FAILED'
}
