import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileAnchor } from '../../../src/custody/file-anchor.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { makeStuckFile } from '../../support/stuck-file.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-anchor-'))
  file = join(folder, 'heads.jsonl')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const clock = fixedClock(1000)
const lines = () => readFileSync(file, 'utf8').split('\n')

test('keeps each head in a line of its own, for its owner to write and its group to read', async () => {
  const anchor = createFileAnchor(file, clock)
  await anchor.keep('one')
  await anchor.keep('two')
  expect(lines()).toEqual([
    '{"anchoredAtMs":1000000,"head":"one"}',
    '{"anchoredAtMs":1000000,"head":"two"}',
    '',
  ])
  expect(statSync(file).mode & 0o137).toBe(0)
})

test('ends a line that a crash has torn, and changes nothing of it', async () => {
  appendFileSync(file, '{"anchoredAtMs":1,"he')
  await createFileAnchor(file, clock).keep('whole')
  expect(lines()).toEqual(['{"anchoredAtMs":1,"he', '{"anchoredAtMs":1000000,"head":"whole"}', ''])
})

test('makes no folder: a volume that is not mounted is said to be missing', async () => {
  const anchor = createFileAnchor(join(folder, 'not-mounted', 'heads.jsonl'), clock)
  await expect(anchor.keep('one')).rejects.toMatchObject({ code: 'ANCHOR_MISSING' })
})

test('says that what is no file cannot be written', async () => {
  await expect(createFileAnchor(folder, clock).keep('one')).rejects.toMatchObject({
    code: 'ANCHOR_FAILED',
  })
})

test('gives up a file that hangs, and asks no more of it until it has answered', async () => {
  const stuck = makeStuckFile(file)
  const anchor = createFileAnchor(file, clock, 100)
  try {
    await expect(anchor.keep('one')).rejects.toMatchObject({
      code: 'ANCHOR_TIMEOUT',
      cause: { name: 'TimeoutError' },
    })
    const refused = await anchor.keep('two').catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'ANCHOR_TIMEOUT' })
    // At once: no deadline has passed.
    expect(refused).not.toHaveProperty('cause')
  } finally {
    stuck.remove()
  }
  // A pipe cannot be synced, which is another thing than hanging.
  await expect
    .poll(() => anchor.keep('three').catch((error: unknown) => error))
    .toMatchObject({ code: 'ANCHOR_FAILED' })
})
