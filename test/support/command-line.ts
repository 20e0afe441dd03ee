import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** What a command wrote, and how it ended. */
export interface CommandResult {
  readonly code: unknown
  readonly stdout: string
  readonly stderr: string
}

/**
 * Makes programs for a reader's shell: `countersign`, and others by their shell script.
 *
 * @returns `PATH` that begins with them.
 */
export function programsIn(folder: string, scripts: Readonly<Record<string, string>> = {}): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const entry = resolve('src/cli/countersign.ts')
  const all = { countersign: `exec '${process.execPath}' '${entry}' "$@"`, ...scripts }
  for (const [name, script] of Object.entries(all)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  return `${bin}:${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`
}

/** Runs a command as a reader would, in a shell of its own that knows this environment and no other. */
export async function runCommand(
  command: string,
  environment: Readonly<Record<string, string>>,
  folder = '.',
): Promise<CommandResult> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', command], {
    cwd: folder,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      output[name] += chunk
    })
  }
  const [code] = (await once(child, 'close')) as [unknown]
  return { code, ...output }
}
