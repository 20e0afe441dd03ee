import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { demoOutputIn, masked } from '../support/readme.ts'

const demo = ['src/cli/countersign.ts', 'demo']

test("the README's first screen is what the demo prints", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, demo, { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  expect(masked(stdout)).toBe(masked(demoOutputIn(readFileSync('README.md', 'utf8'))))
})

test('what a demo that is kept running says to paste works for each user', async ({
  onTestFinished,
}) => {
  const child = spawn(process.execPath, [...demo, '--keep'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  // Also when it takes too long: what it has started would outlive the tests.
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  const lines = await pasteLinesOf(child.stdout)
  const [workload, job, security] = lines
    .split(/\n\n(?=[A-Z].*:\n)/)
    .slice(1)
    .map((block) => block.slice(block.indexOf('\n')))
  expectOf(workload, 0, /^\{"access_token":"eyJ/)
  expectOf(job, 0, /"aud":"https:\/\/eventhubs/)
  expectOf(security, 1, /^NOT ACCOUNTED FOR/)
}, 120_000)

/** All of it, once its last line is there. */
async function pasteLinesOf(stdout: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stdout) {
    text += String(chunk)
    if (/--grace-minutes 0\n\s*$/.test(text)) break
  }
  return text.slice(text.indexOf('Running until'))
}

function expectOf(script: string | undefined, status: number, output: RegExp): void {
  if (script === undefined) throw new Error('a user has nothing to paste')
  const ran = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  expect(ran.status, ran.stderr).toBe(status)
  expect(ran.stdout).toMatch(output)
}
