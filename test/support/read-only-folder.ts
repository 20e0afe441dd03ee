import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'

/**
 * Makes a folder one in which nothing can be written, until the function that is returned is called; undefined where
 * that cannot be done: root may write everywhere but on a volume that is mounted read-only, and may not mount one in
 * every container.
 */
export function makeReadOnly(folder: string): (() => void) | undefined {
  if (process.getuid?.() !== 0) {
    chmodSync(folder, 0o500)
    return () => {
      chmodSync(folder, 0o700)
    }
  }
  if (!mount('--bind', folder, folder)) return undefined
  const undo = () => {
    spawnSync('umount', [folder])
  }
  if (mount('-o', 'remount,bind,ro', folder)) return undo
  undo()
  return undefined
}

const mount = (...args: readonly string[]) => spawnSync('mount', args).status === 0
