import { constants } from 'node:fs'
import { type FileHandle, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { createBatches } from '../database-access/batches.ts'
import { createMemoryTokenUses, type UsedToken } from './memory-token-uses.ts'
import { rememberedAfterSeconds, TokenUsesError, type TokenUses } from './token-uses.ts'

/** What a lone process remembers, and the next one after it. */
export interface FileTokenUses extends TokenUses {
  close(): Promise<void>
}

export interface FileTokenUsesOptions {
  /** Made with the first use. Of one process: whoever opens it has the ledger beside it to itself. */
  readonly file: string
  readonly clock: Clock
  readonly tokensMax: number
  /** What the file may grow by before it is written anew; 4 MiB unless said. */
  readonly growthBytesMax?: number
}

/** Of one write. */
const linesMax = 500

/**
 * Decides in memory, and appends each use to a file, a line each, before it counts: what the process knew
 * is read back at the next start. Uses that come at one moment share a write. After a write that failed
 * the next one begins where the last good one ended.
 *
 * @throws TokenUsesError when the file is there and cannot be read, or holds something else.
 */
export async function createFileTokenUses(options: FileTokenUsesOptions): Promise<FileTokenUses> {
  const { file, clock, tokensMax, growthBytesMax = 4 * 2 ** 20 } = options
  const memory = createMemoryTokenUses({ clock, tokensMax })
  for (const token of await readTokens(file)) {
    if (token.expiresAtSeconds + rememberedAfterSeconds > clock.nowSeconds()) memory.restore(token)
  }
  let handle: FileHandle | undefined
  let bytes = 0
  let anewAtBytes = 0

  /** All that is known by now, and nothing that has expired. */
  const writeAnew = async () => {
    await memory.tidy()
    await handle?.close()
    handle = undefined
    const beside = `${file}.new`
    const next = await open(beside, 'w', 0o600)
    try {
      const lines = Array.from(memory.tokens(), lineOf).join('')
      await next.writeFile(lines)
      await next.sync()
      await rename(beside, file)
      await syncFolder(file)
      bytes = Buffer.byteLength(lines)
      anewAtBytes = bytes + growthBytesMax
      handle = next
    } catch (error) {
      await next.close()
      throw error
    }
  }
  const append = async (to: FileHandle, lines: string) => {
    // What a write that failed has left behind is not followed by anything.
    await to.truncate(bytes)
    const { bytesWritten } = await to.write(lines, bytes)
    if (bytesWritten < Buffer.byteLength(lines)) throw new Error('the disk took a part')
    await to.datasync()
    bytes += bytesWritten
  }
  const write = createBatches(linesMax, async (tokens: readonly UsedToken[]) => {
    if (handle === undefined || bytes > anewAtBytes) await writeAnew()
    else await append(handle, tokens.map(lineOf).join(''))
    return tokens.map(() => undefined)
  })

  return {
    knownDenial: (use) => memory.knownDenial(use),
    take: async (use) => {
      const denial = memory.takeNow(use)
      if (denial !== undefined) return denial
      const token = memory.find(use.tokenId)
      if (token === undefined) throw new TypeError('what was taken is remembered')
      try {
        await write(token)
      } catch (cause) {
        throw new TokenUsesError('TOKEN_USES_UNAVAILABLE', { cause })
      }
      return { ok: true }
    },
    tidy: () => memory.tidy(),
    get remembered() {
      return memory.remembered
    },
    close: async () => {
      await handle?.close()
      handle = undefined
    },
  }
}

const lineOf = ({ tokenId, purpose, uses, expiresAtSeconds }: UsedToken) =>
  `${JSON.stringify([tokenId, purpose, uses, expiresAtSeconds])}\n`

const lineSchema = z.tuple([z.string(), z.string(), z.number(), z.number()])

/** None when there is no file. The last word on each token comes last. */
async function readTokens(file: string): Promise<readonly UsedToken[]> {
  try {
    const lines = (await readFile(file, 'utf8')).split('\n')
    // Behind the last line feed: nothing, or what a process has left that was killed while it wrote.
    return lines.slice(0, -1).map(tokenFrom)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
    throw new TokenUsesError('TOKEN_USES_UNREADABLE', { cause }, file)
  }
}

function tokenFrom(line: string): UsedToken {
  const [tokenId, purpose, uses, expiresAtSeconds] = lineSchema.parse(JSON.parse(line))
  return { tokenId, purpose, uses, expiresAtSeconds }
}

/** A name is durable when its folder is. */
async function syncFolder(file: string): Promise<void> {
  const folder = await open(dirname(file), constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
