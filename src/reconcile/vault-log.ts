import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { RecordSplitter } from './record-splitter.ts'
import type { Piece } from './record-splitter.ts'
import { parseVaultRecord } from './vault-record.ts'
import type { VaultRecord } from './vault-record.ts'

/** What Azure Monitor calls each hour's blob. */
const blobName = 'PT1H.json'

/** A place in a log where a record should be and is not understood. */
export interface UnreadPlace {
  readonly kind: 'unread'
  readonly file: string
  /** 1-based, where it begins. */
  readonly line: number
  readonly why: string
}

export type VaultLogErrorCode =
  | 'VAULT_LOG_MISSING' // no such file or folder
  | 'VAULT_LOG_WITHOUT_BLOBS' // a folder in which Azure Monitor has not written
  | 'VAULT_LOG_UNREADABLE'

/** The message is one sentence for whoever started reconcile, and names the path. */
export class VaultLogError extends Error {
  override readonly name = 'VaultLogError'
  readonly code: VaultLogErrorCode

  constructor(code: VaultLogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Every record below the paths, as a stream in bounded memory, in no particular order.
 *
 * @param paths Files of records, or folders of a storage account with `PT1H.json` blobs at any depth.
 * @throws VaultLogError when a path cannot be read.
 */
export async function* readVaultLog(
  paths: readonly string[],
): AsyncGenerator<VaultRecord | UnreadPlace, void, undefined> {
  for (const path of paths) {
    for (const file of await filesAt(path)) yield* recordsIn(file)
  }
}

async function filesAt(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = await readdir(path, { recursive: true })
    const blobs = names.filter((name) => basename(name) === blobName).sort()
    if (blobs.length > 0) return blobs.map((name) => join(path, name))
  } catch (error) {
    throw vaultLogErrorFrom(path, error)
  }
  throw new VaultLogError(
    'VAULT_LOG_WITHOUT_BLOBS',
    `there is no ${blobName} below ${path}: name the file, or the folder that holds insights-logs-auditevent`,
  )
}

async function* recordsIn(
  file: string,
): AsyncGenerator<VaultRecord | UnreadPlace, void, undefined> {
  const splitter = new RecordSplitter()
  for await (const chunk of chunksOf(file)) {
    for (const piece of splitter.push(chunk)) yield recordFrom(piece, file)
  }
  for (const piece of splitter.end()) yield recordFrom(piece, file)
}

async function* chunksOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of createReadStream(file)) yield chunk as Buffer
  } catch (error) {
    throw vaultLogErrorFrom(file, error)
  }
}

function recordFrom(piece: Piece, file: string): VaultRecord | UnreadPlace {
  const { line } = piece
  if (piece.kind === 'problem') return { kind: 'unread', file, line, why: piece.problem }
  const record = parseVaultRecord(piece.text)
  return record.kind === 'not-understood' ? { kind: 'unread', file, line, why: record.why } : record
}

function vaultLogErrorFrom(path: string, cause: unknown): VaultLogError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
    return new VaultLogError('VAULT_LOG_MISSING', `there is no ${path}`, { cause })
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new VaultLogError('VAULT_LOG_UNREADABLE', `${path} cannot be read: ${reason}`, { cause })
}
