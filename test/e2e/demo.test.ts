import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { demoOutputIn, masked } from '../support/readme.ts'

test("the README's first screen is what the demo prints", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['src/cli/countersign.ts', 'demo'],
    { encoding: 'utf8' },
  )
  expect(status, stderr).toBe(0)
  expect(masked(stdout)).toBe(masked(demoOutputIn(readFileSync('README.md', 'utf8'))))
})
