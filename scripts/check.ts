// Asserts everything that must hold before a commit: types, lint, format and the whole test suite,
// each as its own process, stopping at the first that fails so that its output is the last thing read.
import { spawnSync } from 'node:child_process'

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types', 'tsc', '--noEmit'],
  ['lint', 'eslint', '--max-warnings', '0', '.'],
  ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
  ['tests', 'vitest', 'run', ...process.argv.slice(2)],
]

for (const [name, command, ...args] of steps) {
  console.log(`— ${name}`)
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit' })
  if (status !== 0) {
    console.error(`check failed at: ${name}`)
    process.exit(status ?? 1)
  }
}
