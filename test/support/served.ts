import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Entry } from '../../src/ledger/entry.ts'
import type { TestEmulator } from './emulator.ts'
import { verifiedEntries } from './ledger-store.ts'
import { required } from './required.ts'
import { type TestServiceOptions, writeConfiguration } from './test-service.ts'

/** One line of the service's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string }

/** `countersign serve` in a process of its own: only HTTP, signals, the log and the ledger file reach it. */
export interface Served {
  readonly log: readonly LogLine[]
  /** Resolves with the first line of the log that says this. */
  said(msg: string): Promise<LogLine>
  /** `http://127.0.0.1:41234`, once it listens. */
  origin(): Promise<string>
  /** What Node itself has said, besides the log. */
  errors(): string
  signal(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' | 'SIGHUP' | 'SIGUSR1'): void
  /** Resolves with the exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>
  readonly ledgerFile: string
  entries(): readonly Entry[]
  /** Ends it if it still runs, and removes its folder. */
  remove(): Promise<void>
}

export interface ServedOptions extends Pick<TestServiceOptions, 'configuration' | 'grants'> {
  /** What its platform gives it; absent: the emulator's managed identity `countersign`, in the App Service shape. */
  readonly environment?: Readonly<Record<string, string>>
  /** File that Node runs; absent: the source. */
  readonly program?: string
}

const source = join(import.meta.dirname, '../../src/cli/countersign.ts')

/** @throws Error from {@link Served.said} with the whole log, when the process ends without saying it. */
export function serveFrom(emulator: TestEmulator, options: ServedOptions = {}): Served {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-served-'))
  const file = writeConfiguration(folder, emulator, {
    ...options,
    configuration: (written) => {
      const trusting = { ...written, trust: { caFiles: [emulator.endpoints.caFile] } }
      return options.configuration?.(trusting) ?? trusting
    },
  })
  const environment =
    options.environment ?? required(emulator.endpoints.environments['countersign']?.['app-service'])
  const child = spawn(process.execPath, [options.program ?? source, 'serve', '--config', file], {
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: LogLine[] = []
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8')
    process.stderr.write(chunk)
  })
  const ended = endOf(child)
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.push(JSON.parse(line) as LogLine)
    child.emit('logged')
  })
  const said = async (msg: string): Promise<LogLine> => {
    for (;;) {
      const line = log.find((one) => one.msg === msg)
      if (line !== undefined) return line
      const more = await Promise.race([once(child, 'logged'), ended])
      if (!Array.isArray(more)) throw new Error(`it never said "${msg}": ${JSON.stringify(log)}`)
    }
  }
  const ledgerFile = join(folder, 'countersign.db')
  return {
    log,
    said,
    origin: async () => String((await said('listening'))['origin']),
    errors: () => errors,
    signal: (signal) => child.kill(signal),
    ended,
    ledgerFile,
    entries: () => verifiedEntries(ledgerFile),
    remove: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}
