import { z } from 'zod'
import { readKeptFile, replaceKeptFile } from '../base/kept-file.ts'
import { parseJson } from '../base/parse-json.ts'
import { genesis } from '../ledger/chain.ts'
import type { ExportedUpTo } from '../ledger/exported-up-to.ts'
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
      const found = await readExportedUpTo(file, destination)
      if (found === undefined) return genesis
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
 * What such a file says of the destination, or of whichever it is of where none is named; undefined where it says
 * nothing of it.
 *
 * @throws ExportError
 */
export async function readExportedUpTo(
  file: string,
  destination?: string,
): Promise<ExportedUpTo | undefined> {
  const text = await readKeptFile(file).catch(failed)
  const found = kept.safeParse(text === undefined ? undefined : parseJson(text)).data
  if (found === undefined || found.destination !== (destination ?? found.destination)) {
    return undefined
  }
  return { ...found, hash: Buffer.from(found.hash, 'hex') }
}

function failed(cause: unknown): never {
  throw new ExportError('EXPORT_CURSOR_FAILED', { cause })
}
