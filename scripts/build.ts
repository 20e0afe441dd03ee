// Emits dist/ (JavaScript and declarations) from src, from nothing each time, with the one file that
// is not TypeScript. Node strips no types below node_modules, so packages and images need it.
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync('node_modules/.bin/tsc', ['--project', 'tsconfig.build.json'], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
cpSync('src/emulator/default-world.yaml', 'dist/emulator/default-world.yaml')
