import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { CommandError } from './command-error.ts'

/**
 * Readable by whoever collects it, who sees all of the run before or all of this one.
 *
 * @throws CommandError
 */
export function replaceMetricsFile(file: string, text: string): void {
  // What is renamed over a device takes its place: /dev/null would be a file from then on.
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
    throw new CommandError(`the metrics cannot be written to ${file}: it is not an ordinary file`)
  }
  const beside = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(beside, text, { mode: 0o644 })
    renameSync(beside, file)
  } catch (error) {
    rmSync(beside, { force: true })
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new CommandError(`the metrics cannot be written to ${file} (${code})`)
  }
}
