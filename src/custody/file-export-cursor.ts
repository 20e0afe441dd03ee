import { z } from 'zod'
import { readKeptFile, replaceKeptFile } from '../base/kept-file.ts'
import { parseJson } from '../base/parse-json.ts'
import { genesis } from '../ledger/chain.ts'
import type { ExportedUpTo } from '../ledger/move-ledger.ts'
import type { ExportCursor } from './export-cursor.ts'
import { ExportError } from './log-destination.ts'

const kept = z.strictObject({
  destination: z.string(),
  sequence: z.int().min(0),
  /** Hexadecimal. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
})

/**
 * In a file of its own, for a ledger that one process writes. A file that is of another destination, or says
 * nothing, is one of a destination that was told nothing yet: what arrives twice has the same id.
 */
export function createFileExportCursor(file: string, destination: string): ExportCursor {
  return {
    take: async () => {
      const found = await readExportedUpTo(file)
      if (found?.destination !== destination) return genesis
      const { sequence, hash } = found
      return { sequence, hash }
    },
    advance: async ({ sequence, hash }) => {
      const text = { destination, sequence, hash: Buffer.from(hash).toString('hex') }
      await replaceKeptFile(file, `${JSON.stringify(text)}\n`, 0o640).catch(failed)
      return true
    },
    // Whoever holds the ledger's file has the turn.
    release: () => Promise.resolve(),
  }
}

/**
 * How far such a file says that the destination was told, or whichever it is of where none is named; undefined where
 * it says nothing of it.
 *
 * @throws ExportError
 */
export async function readSentUpTo(
  file: string,
  destination?: string,
): Promise<number | undefined> {
  const found = await readKept(file)
  return destination === undefined || found?.destination === destination
    ? found?.sequence
    : undefined
}

/**
 * All that such a file says; undefined where it says nothing.
 *
 * @throws ExportError
 */
export async function readExportedUpTo(file: string): Promise<ExportedUpTo | undefined> {
  const found = await readKept(file)
  return found && { ...found, hash: Buffer.from(found.hash, 'hex') }
}

async function readKept(file: string) {
  const text = await readKeptFile(file).catch(failed)
  return kept.safeParse(text === undefined ? undefined : parseJson(text)).data
}

function failed(cause: unknown): never {
  throw new ExportError('EXPORT_CURSOR_FAILED', { cause })
}
