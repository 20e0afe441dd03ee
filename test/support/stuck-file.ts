import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'

/** A file whose writers hang, as those of a volume that is gone do. */
export interface StuckFile {
  /** Takes what hangs and more, once; then it is read no further. */
  flow(): void
  /** Whoever hangs is let go, with an error. */
  remove(): void
}

/** A named pipe that is full and that nobody reads. */
export function makeStuckFile(file: string): StuckFile {
  execFileSync('mkfifo', [file])
  const end = openSync(file, constants.O_RDWR | constants.O_NONBLOCK)
  const chunk = Buffer.alloc(4096)
  const untilItWouldBlock = (act: () => unknown) => {
    try {
      for (;;) act()
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
  untilItWouldBlock(() => writeSync(end, chunk))
  const flow = () => {
    untilItWouldBlock(() => readSync(end, chunk))
  }
  return {
    flow,
    remove: () => {
      flow()
      closeSync(end)
    },
  }
}
