import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFileTokenUses, type FileTokenUses } from '../../../src/token-use/file-token-uses.ts'
import { rememberedAfterSeconds, type TokenUse } from '../../../src/token-use/token-uses.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const clock = fixedClock(1_790_000_000)
let folder: string
let file: string
let opened: FileTokenUses | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-uses-'))
  file = join(folder, 'uses')
})
afterEach(async () => {
  await opened?.close()
  opened = undefined
  await rm(folder, { recursive: true })
})

/** As the next process does, after the one before has ended in whatever way. */
async function open(growthBytesMax = 1_000_000): Promise<FileTokenUses> {
  await opened?.close()
  opened = await createFileTokenUses({ file, clock, tokensMax: 100, growthBytesMax })
  return opened
}

const use = (tokenId: string, about: Partial<TokenUse> = {}): TokenUse => ({
  tokenId,
  purpose: 'deploy fabrikam',
  usesMax: 1,
  expiresAtSeconds: clock.nowSeconds() + 300,
  ...about,
})

describe('the file of token uses', () => {
  test('is for its owner alone, and is there with the first use', async () => {
    const uses = await open()
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' })
    await uses.take(use('a'))
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('holds a use before it counts', async () => {
    const uses = await open()
    await uses.take(use('a'))
    await uses.take(use('b'))
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as string[])[0])).toEqual(['a', 'b'])
  })

  test('may end in the middle of a line that its process was killed over, and nothing else is lost', async () => {
    await (await open()).take(use('a'))
    await appendFile(file, '["half of a li')
    expect(await (await open()).take(use('a'))).toEqual({ ok: false, why: 'spent' })
    await (await open()).take(use('b'))
    const again = await open()
    expect(await again.take(use('a'))).toEqual({ ok: false, why: 'spent' })
    expect(await again.take(use('b'))).toEqual({ ok: false, why: 'spent' })
  })

  test.each([
    ['is no line of ours', 'once upon a time\n'],
    ['is JSON of another form', '["a",1,2]\n'],
  ])('is refused when what stands in it %s', async (_, text) => {
    await writeFile(file, text)
    await expect(open()).rejects.toMatchObject({
      code: 'TOKEN_USES_UNREADABLE',
      message: expect.stringContaining(file) as string,
    })
  })

  test('is written anew when it has grown, without what has expired', async () => {
    const uses = await open(2000)
    for (let i = 0; i < 10; i += 1) await uses.take(use(`early ${i}`))
    clock.advance(300 + rememberedAfterSeconds)
    for (let i = 0; i < 40; i += 1) await uses.take(use(`late ${i}`))
    const text = await readFile(file, 'utf8')
    expect(text).not.toContain('early')
    const again = await open()
    expect(again.remembered).toBe(40)
    expect(await again.take(use('late 7'))).toEqual({ ok: false, why: 'spent' })
  })

  test('remembers what a wall clock that was set would have it forget', async () => {
    const uses = await open()
    await uses.take(use('a'))
    clock.jump(86_400)
    await uses.tidy()
    clock.jump(-86_400)
    expect(await uses.take(use('a'))).toEqual({ ok: false, why: 'spent' })
  })
})
