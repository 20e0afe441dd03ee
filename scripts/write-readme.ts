// Puts into README.md what it quotes: the output of scripts/demo, and the files of the quick start. A
// test compares both, so that the first screen is always what really happens.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { withDemoOutput, withQuotedFiles } from '../test/support/readme.ts'

const demo = spawnSync('scripts/demo', { encoding: 'utf8' })
if (demo.status !== 0) throw new Error(`the demo failed:\n${demo.stdout}${demo.stderr}`)
const readme = readFileSync('README.md', 'utf8')
writeFileSync('README.md', withQuotedFiles(withDemoOutput(readme, demo.stdout)))
