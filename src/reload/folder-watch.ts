import { type FSWatcher, watch } from 'node:fs'

/** What ends a watch. */
export interface FolderWatch {
  close(): void
}

/** One save is several events, and a folder may be written file by file. */
const quietMs = 200

/**
 * Calls `onHint` soon after something in the folder changed, as far as the system tells: not on network
 * file systems, and no more once the folder itself was removed. It is a hint, never the only reason to look.
 */
export function watchFolder(folder: string, onHint: () => void): FolderWatch {
  let timer: NodeJS.Timeout | undefined
  const later = () => {
    clearTimeout(timer)
    timer = setTimeout(onHint, quietMs)
    timer.unref()
  }
  const watcher = openWatcher(folder, later)
  return {
    close: () => {
      clearTimeout(timer)
      watcher?.close()
    },
  }
}

function openWatcher(folder: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent)
    // Too many watches, a folder that went: whoever looks by the clock finds out what that means.
    watcher.on('error', () => {
      watcher.close()
    })
    return watcher
  } catch {
    return undefined
  }
}
