import { parentPort, workerData } from 'node:worker_threads'
import { LedgerFileError } from './ledger-file.ts'
import type { LedgerFileErrorCode } from './ledger-file.ts'
import { openLedgerWriter } from './ledger-writer.ts'
import type { FileIdentity, LedgerWriter, Taking } from './ledger-writer.ts'
import type { RevocationChange, StandingRevocations } from './standing-revocations.ts'
import type { UseAnswer } from './token-use.ts'

/**
 * The thread that owns the file of a ledger, so that waiting for the disk never holds up the event
 * loop. It ends when it is told to close, and after the first failure.
 */

export interface WorkerInput {
  readonly file: string
  /** See `SqliteLedgerOptions`. */
  readonly commitTimeoutMs: number
  readonly lockWaitMs: number
  /** See `LedgerWriterOptions`. */
  readonly continues?: FileIdentity | undefined
}

/**
 * Where the entries of commits are from now on, one commit to how many bytes of it, or the end. Messages
 * are copied, memory is not; so entries lie there as UTF-8, a line each (canonical JSON has no line feed
 * of its own), from when a commit is told until it is reported.
 */
export type ToWorker = { readonly memory: SharedArrayBuffer } | Commit | 'close'

interface Commit {
  readonly commitBytes: number
  /** What its entries change of what stands, in their order; nearly always nothing. */
  readonly changes: readonly RevocationChange[]
  readonly taking: Taking
}

export type FromWorker =
  | {
      readonly kind: 'opened'
      readonly standing: StandingRevocations
      readonly tokensRemembered: number
    }
  | { readonly kind: 'refused'; readonly code: LedgerFileErrorCode; readonly message: string }
  | {
      readonly kind: 'committed'
      readonly answers: readonly UseAnswer[]
      readonly tokensRemembered: number
    }
  | { readonly kind: 'failed'; readonly cause: unknown }

if (parentPort === null) throw new TypeError('this file runs as a worker thread')
const port = parentPort
const report = (message: FromWorker) => {
  port.postMessage(message)
}

/** Of the time that a commit may take; the rest is for the commit itself. */
const lockWaitShare = 0.9

const writer = openOrRefuse(workerData as WorkerInput)
if (writer !== undefined) serve(writer)

function openOrRefuse(input: WorkerInput): LedgerWriter | undefined {
  const { file, lockWaitMs, commitTimeoutMs, continues } = input
  const commitLockWaitMs = Math.floor(commitTimeoutMs * lockWaitShare)
  try {
    return openLedgerWriter(file, { lockWaitMs, commitLockWaitMs, continues })
  } catch (error) {
    if (!(error instanceof LedgerFileError)) throw error
    report({ kind: 'refused', code: error.code, message: error.message })
    return undefined
  }
}

function serve(writer: LedgerWriter): void {
  const { standing, tokensRemembered } = writer
  report({ kind: 'opened', standing, tokensRemembered })
  let memory: Buffer = Buffer.alloc(0)
  port.on('message', (message: ToWorker) => {
    if (message === 'close') {
      end()
      return
    }
    if ('memory' in message) {
      memory = Buffer.from(message.memory)
      return
    }
    try {
      const lines = linesIn(memory.subarray(0, message.commitBytes))
      const answers = writer.append(lines, message.changes, message.taking)
      report({ kind: 'committed', answers, tokensRemembered: writer.tokensRemembered })
    } catch (cause) {
      report({ kind: 'failed', cause })
      end()
    }
  })

  function end(): void {
    port.close()
    writer.close()
  }
}

const lineFeed = 0x0a

function linesIn(bytes: Buffer): readonly Uint8Array[] {
  const lines: Uint8Array[] = []
  let from = 0
  for (let to = bytes.indexOf(lineFeed); to !== -1; to = bytes.indexOf(lineFeed, from)) {
    lines.push(bytes.subarray(from, to))
    from = to + 1
  }
  return [...lines, bytes.subarray(from)]
}
