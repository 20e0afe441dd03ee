import { realpath, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { startBackgroundTask } from '../base/background-task.ts'
import { withDeadline } from '../base/deadline.ts'

/** Whether there is as much room on a disk as is to be kept, as it was found a second ago at the most. */
export interface DiskRoom {
  isShort(): boolean
  /** Looks no more. */
  stop(): Promise<void>
}

export interface DiskRoomOptions {
  /** Any file on the disk, or a link to one; it need not be there yet. */
  readonly file: string
  readonly keptBytes: number
  readonly freeBytes?: (folder: string) => Promise<number>
}

const lookEveryMs = 1000

/** Where nothing can be looked at there is room: whoever writes there says what is wrong. */
export async function watchDiskRoom(options: DiskRoomOptions): Promise<DiskRoom> {
  const { keptBytes, freeBytes = freeBytesOf } = options
  const { file } = options
  let isShort = false
  const look = async () => {
    // A disk that hangs is found by the next commit, and must not hold up a stop.
    isShort = await withDeadline(lookEveryMs, async () => {
      const folder = dirname(await realpath(file).catch(() => file))
      return (await freeBytes(folder)) < keptBytes
    })
  }
  const unseen = () => {
    isShort = false
  }
  await look().catch(unseen)
  const task = startBackgroundTask(lookEveryMs, look, unseen)
  return { isShort: () => isShort, stop: () => task.stop() }
}

/** For those who are not root (statvfs(3), f_bavail). */
async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
