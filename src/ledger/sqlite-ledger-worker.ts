import { parentPort, workerData } from 'node:worker_threads'
import { LedgerFileError } from './ledger-file.ts'
import type { LedgerFileErrorCode } from './ledger-file.ts'
import { openLedgerWriter } from './ledger-writer.ts'
import type { FileIdentity, LedgerWriter } from './ledger-writer.ts'

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
 * One commit, or the end. The entries are one text, a line each (canonical JSON has no line feed of its
 * own): a list is copied to the thread string by string, which costs more than writing them.
 */
export type ToWorker = { readonly commit: string } | 'close'

export type FromWorker =
  | { readonly kind: 'opened' }
  | { readonly kind: 'refused'; readonly code: LedgerFileErrorCode; readonly message: string }
  | { readonly kind: 'committed' }
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
  report({ kind: 'opened' })
  port.on('message', (message: ToWorker) => {
    if (message === 'close') {
      end()
      return
    }
    try {
      writer.append(message.commit.split('\n'))
      report({ kind: 'committed' })
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
