import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { removeDrafts, writePrivateFile } from '../../../src/agent/private-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-private-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe('a private file', () => {
  test('is for its owner alone, whatever was there before', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'old', { mode: 0o644 })
    await writePrivateFile(file, 'new')
    expect(readFileSync(file, 'utf8')).toBe('new')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['token'])
  })

  test('takes the place of a link, and leaves what it led to', async () => {
    const [file, elsewhere] = [join(folder, 'token'), join(folder, 'elsewhere')]
    writeFileSync(elsewhere, 'as it was')
    symlinkSync(elsewhere, file)
    await writePrivateFile(file, 'new')
    expect(lstatSync(file).isSymbolicLink()).toBe(false)
    expect(readFileSync(elsewhere, 'utf8')).toBe('as it was')
  })

  test('that cannot be written leaves nothing behind', async () => {
    await expect(writePrivateFile(join(folder, 'nowhere/token'), 'x')).rejects.toThrow('ENOENT')
    expect(readdirSync(folder)).toEqual([])
  })

  test('has no drafts left of a writer that was killed, and others keep theirs', async () => {
    const names = ['token', 'token.old', 'tokens.0190a5b0-0000-4000-8000-000000000001']
    const draft = 'token.0190a5b0-0000-4000-8000-000000000002'
    for (const name of [...names, draft]) writeFileSync(join(folder, name), 'x')
    await removeDrafts(join(folder, 'token'))
    expect(readdirSync(folder).toSorted()).toEqual(names)
  })

  test('is whole whenever it is read', async () => {
    const file = join(folder, 'token')
    const texts = ['a'.repeat(50_000), 'b'.repeat(60_000)]
    await writePrivateFile(file, texts[0] ?? '')
    const writing = (async () => {
      for (let i = 0; i < 40; i += 1) await writePrivateFile(file, texts[i % 2] ?? '')
    })()
    for (let i = 0; i < 200; i += 1) {
      expect(texts).toContain(readFileSync(file, 'utf8'))
      await new Promise(setImmediate)
    }
    await writing
  })
})
