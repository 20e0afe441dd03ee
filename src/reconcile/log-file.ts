import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { LogError } from './log-error.ts'
import { noLinesKnown, RecordSplitter } from './record-splitter.ts'
import type { KnownLines, Piece, Splitter } from './record-splitter.ts'
import { RowSplitter } from './row-splitter.ts'

/**
 * What Azure Monitor calls the blobs of an hour, and of five minutes where a workspace exports its
 * tables; some copy them compressed.
 */
const blobName = /^PT(1H|05M)\.json(\.gz)?$/

/** A place in a log where a record should be and is not understood. */
export interface UnreadPlace {
  readonly kind: 'unread'
  readonly file: string
  /** 1-based, where it begins. */
  readonly line: number
  readonly why: string
}

/** One record of a log, whoever wrote it. */
export interface LogValue {
  readonly kind: 'value'
  /** Of its JSON, or the cells of its row by the names of their columns. */
  readonly value: unknown
  readonly file: string
  readonly line: number
}

/** One that was read without being parsed. */
export interface KnownRecord<Known> {
  readonly kind: 'known'
  readonly record: Known
}

/**
 * Every record of a file in bounded memory, in the order in which it stands there: many at a time, because
 * waiting for each would take longer than reading it.
 *
 * @param file JSON Lines, a list, `{"records":[…]}` or comma-separated values with a column for the time; gzip too.
 * @param known Lines of JSON that it knows are not parsed.
 * @throws LogError when it cannot be read.
 */
export async function* readLogFile<Known = never>(
  file: string,
  known: KnownLines<Known> = noLinesKnown,
): AsyncGenerator<readonly (LogValue | KnownRecord<Known> | UnreadPlace)[], void, undefined> {
  for await (const pieces of piecesOf(file, known)) {
    yield pieces.map((piece) => placed(piece, file))
  }
}

function placed<Known>(
  piece: Piece<Known>,
  file: string,
): LogValue | KnownRecord<Known> | UnreadPlace {
  switch (piece.kind) {
    case 'known':
      return piece
    case 'problem':
      return { kind: 'unread', file, line: piece.line, why: piece.problem }
    case 'record':
      return { kind: 'value', value: piece.value, file, line: piece.line }
  }
}

/**
 * Before anything is read: a path that nobody has written to yet is more likely to be mistyped than to be away.
 *
 * @throws LogError `LOG_MISSING` for one that is not there; whether the others can be read shows when they are.
 */
export async function refuseMissing(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await stat(path).catch((cause: unknown) => {
      const error = logFileErrorFrom(path, cause)
      if (error.code === 'LOG_MISSING') throw error
    })
  }
}

/**
 * A file of records itself, or the blobs at any depth below a folder of a storage account.
 *
 * @throws LogError when there are none.
 */
export async function filesAt(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = await readdir(path, { recursive: true })
    const blobs = names.filter((name) => blobName.test(basename(name))).sort()
    if (blobs.length > 0) return blobs.map((name) => join(path, name))
  } catch (error) {
    throw logFileErrorFrom(path, error)
  }
  throw new LogError(
    'LOG_WITHOUT_BLOBS',
    `there is no PT1H.json below ${path}: name the file, or the folder that holds the container of the logs`,
  )
}

async function* piecesOf<Known>(
  file: string,
  known: KnownLines<Known>,
): AsyncGenerator<readonly Piece<Known>[], void, undefined> {
  let splitter: Splitter<Known> | undefined
  for await (const chunk of contentOf(file)) {
    if (!Buffer.isBuffer(chunk)) {
      yield [...(splitter?.end() ?? []), { kind: 'problem', problem: chunk.problem, line: 1 }]
      return
    }
    splitter ??= splitterFor(chunk, known)
    yield splitter.push(chunk)
  }
  if (splitter !== undefined) yield splitter.end()
}

/** Tables that Azure exports have this in their first line, with or without `[UTC]` behind it. */
const timeColumn = /^[^\n{[]*TimeGenerated/

const splitterFor = <Known>(beginning: Buffer, known: KnownLines<Known>): Splitter<Known> =>
  timeColumn.test(beginning.toString('latin1', 0, 4096))
    ? new RowSplitter()
    : new RecordSplitter(known)

/** Why no more of a file can be read. */
interface FileDamage {
  readonly problem: string
}

const chunkBytes = 256 * 1024
const isCompressed = (beginning: Buffer) => beginning[0] === 0x1f && beginning[1] === 0x8b

/** What is in the file, without its compression. */
async function* contentOf(file: string): AsyncGenerator<Buffer | FileDamage, void, undefined> {
  const chunks = chunksOf(file)
  const first = await chunks.next()
  if (first.done === true) return
  const whole = following(first.value, chunks)
  yield* isCompressed(first.value) ? inflated(whole) : whole
}

async function* following(
  first: Buffer,
  rest: AsyncGenerator<Buffer, void, undefined>,
): AsyncGenerator<Buffer, void, undefined> {
  yield first
  yield* rest
}

async function* chunksOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: chunkBytes })) {
      yield chunk as Buffer
    }
  } catch (error) {
    throw logFileErrorFrom(file, error)
  }
}

/** Logs shrink to a tenth or a thirtieth; what shrinks further was made to fill whoever reads it. */
const inflationMax = 200
/** Smaller than this it cannot hurt, whatever it is. */
const inflatedBytesMin = 16 * 1024 * 1024

async function* inflated(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer | FileDamage, void, undefined> {
  const gunzip = createGunzip({ chunkSize: chunkBytes })
  // Whoever reads from `gunzip` is told of its errors, and of those of the file.
  pipeline(Readable.from(chunks), gunzip, () => undefined)
  let bytes = 0
  try {
    for await (const chunk of gunzip) {
      bytes += (chunk as Buffer).length
      yield chunk as Buffer
      if (bytes > inflatedBytesMin && bytes > gunzip.bytesWritten * inflationMax) {
        yield { problem: `it is compressed more than ${inflationMax} times, as no log is` }
        return
      }
    }
  } catch (error) {
    if (error instanceof LogError) throw error
    yield { problem: 'its compression is damaged' }
  }
}

function logFileErrorFrom(path: string, cause: unknown): LogError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
    return new LogError('LOG_MISSING', `there is no ${path}`, { cause })
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new LogError('LOG_UNREADABLE', `${path} cannot be read: ${reason}`, { cause })
}
