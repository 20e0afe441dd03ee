import type { Cut } from './cut.ts'
import { lockWaitMs, openLedgerToRead } from './ledger-file.ts'
import { fileIdentityOf, openLedgerWriter } from './ledger-writer.ts'

/**
 * Removes the entries up to a cut from a file that no service writes meanwhile, and gives their room back to the
 * disk, where there is enough of it for that.
 *
 * @throws LedgerFileError when the file is missing, in use, or something else.
 */
export function pruneLedgerFile(file: string, cut: Cut): void {
  // The writer makes what is missing; here it must be there.
  openLedgerToRead(file).close()
  const continues = fileIdentityOf(file)
  const writer = openLedgerWriter(file, { lockWaitMs, commitLockWaitMs: lockWaitMs, continues })
  try {
    writer.prune(cut)
    tryToShrink(writer)
  } finally {
    writer.close()
  }
}

/** A file that keeps its size has room for what comes, and no less is proven by it. */
function tryToShrink(writer: { shrink(): void }): void {
  try {
    writer.shrink()
  } catch {
    // No room, or a reader that stays.
  }
}
