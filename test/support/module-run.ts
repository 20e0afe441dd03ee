import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** How a program ended. */
export interface ModuleRun {
  readonly code: number | null
  /** What it printed. */
  readonly stdout: string
  readonly stderr: string
}

const closedNetwork = join(import.meta.dirname, 'closed-network.ts')

/**
 * Runs a module in a process of its own, with this environment and nothing of ours, so that a library in
 * it finds what an operator sets, and keeps nothing from one run to the next. It reaches this machine alone.
 *
 * @param module Source text, or the path of a file that ends in `.mjs` or `.ts`.
 * @param folder Where it is, so that it finds the packages that are installed there.
 */
export async function runModule(
  module: string,
  environment: Readonly<Record<string, string>>,
  folder = '.',
): Promise<ModuleRun> {
  const source = /^[\w./-]+\.(mjs|ts)$/.test(module)
    ? [module]
    : ['--input-type=module', '--eval', module]
  const child = spawn(process.execPath, ['--import', closedNetwork, ...source], {
    cwd: folder,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ])
  return { code, stdout, stderr }
}
