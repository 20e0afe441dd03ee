import { open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { genesis } from '../ledger/chain.ts'
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
      const text = await readIfThere(file)
      const found = kept.safeParse(text === undefined ? undefined : parsedOrNothing(text))
      if (!found.success || found.data.destination !== destination) return genesis
      const { sequence, hash } = found.data
      return { sequence, hash: Buffer.from(hash, 'hex') }
    },
    advance: async ({ sequence, hash }) => {
      const text = { destination, sequence, hash: Buffer.from(hash).toString('hex') }
      await replace(file, `${JSON.stringify(text)}\n`)
      return true
    },
    // Whoever holds the ledger's file has the turn.
    release: () => Promise.resolve(),
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new ExportError('EXPORT_CURSOR_FAILED', { cause: error })
  }
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whole or not at all, whenever the power goes. */
async function replace(file: string, text: string): Promise<void> {
  try {
    const unfinished = `${file}.new`
    await writeSynced(unfinished, text)
    await rename(unfinished, file)
    const folder = await open(dirname(file), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    throw new ExportError('EXPORT_CURSOR_FAILED', { cause: error })
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o640)
  try {
    await handle.writeFile(text)
    await handle.datasync()
  } finally {
    await handle.close()
  }
}
