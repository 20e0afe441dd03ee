import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** What ends a watch. */
export interface FolderWatch {
  close(): void
}

/** One save is several events, and a folder may be written file by file. */
const quietMs = 200

/**
 * Calls `onHint` soon after something in the folder changed whose name is meant, as far as the system tells: not on network
 * file systems, and no more once the folder itself was removed. It is a hint, never the only reason to look.
 */
export function watchFolder(
  folder: string,
  onHint: () => void,
  isMeant: (name: string) => boolean = () => true,
): FolderWatch {
  let timer: NodeJS.Timeout | undefined
  const later = (name: string | null) => {
    if (name !== null && !isMeant(name)) return
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

/**
 * The same for files, by their folders, in which others may be written all the time; with the links of a
 * Kubernetes ConfigMap or Secret, whose names begin with two dots.
 */
export function watchFiles(files: readonly string[], onHint: () => void): FolderWatch {
  const watches = [...Map.groupBy(files, (file) => dirname(file))].map(([folder, meant]) => {
    const names = new Set(meant.map((file) => basename(file)))
    return watchFolder(folder, onHint, (name) => names.has(name) || name.startsWith('..'))
  })
  return {
    close: () => {
      for (const one of watches) one.close()
    },
  }
}

function openWatcher(
  folder: string,
  onEvent: (name: string | null) => void,
): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, name) => {
      onEvent(name)
    })
    // Too many watches, a folder that went: whoever looks by the clock finds out what that means.
    watcher.on('error', () => {
      watcher.close()
    })
    return watcher
  } catch {
    return undefined
  }
}
