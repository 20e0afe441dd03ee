import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readGrantFolder } from '../../../src/policy/grant-folder.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'grants-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const put = (name: string, text: string | Uint8Array = 'grant: x\n') =>
  writeFile(join(folder, name), text)
const namesOf = async () => {
  const { files } = await readGrantFolder(folder)
  return files.map(({ file, ok }) => [basename(file), ok])
}

describe('the folder of grants', () => {
  test('gives its *.yaml and *.yml by name, and nothing else', async () => {
    await Promise.all(
      ['b.yml', 'a.yaml', 'README.md', 'c.yaml.bak', '.d.yaml', 'e.json'].map((name) => put(name)),
    )
    await mkdir(join(folder, 'within'))
    await writeFile(join(folder, 'within', 'f.yaml'), 'grant: f\n')
    expect(await namesOf()).toEqual([
      ['a.yaml', true],
      ['b.yml', true],
    ])
  })

  test('follows links, which is how a cluster mounts files', async () => {
    await mkdir(join(folder, '..data'))
    await writeFile(join(folder, '..data', 'a.yaml'), 'grant: a\n')
    await symlink(join('..data', 'a.yaml'), join(folder, 'a.yaml'))
    await symlink('nowhere.yaml', join(folder, 'b.yaml'))
    expect(await namesOf()).toEqual([
      ['a.yaml', true],
      ['b.yaml', false],
    ])
  })

  test('says of each file that cannot be read why, and reads the others', async () => {
    await put('a.yaml')
    await put('b.yaml', Buffer.from([0x67, 0xff]))
    await mkdir(join(folder, 'c.yaml'))
    await put('d.yaml', Buffer.alloc(4_000_001, 0x20))
    const { files } = await readGrantFolder(folder)
    expect(files.map((file) => (file.ok ? 'read' : file.fault))).toEqual([
      'read',
      'It is not UTF-8: save it in that encoding.',
      'It is not an ordinary file: put one there.',
      'It is larger than 4 MB: split it.',
    ])
  })

  test('has no files and a problem when it is missing, a file, or empty', async () => {
    await put('file')
    for (const [path, rule, severity] of [
      [join(folder, 'missing'), 'grants.unreadable', 'error'],
      [join(folder, 'file'), 'grants.unreadable', 'error'],
      [folder, 'grants.empty', 'warning'],
    ] as const) {
      const read = await readGrantFolder(path)
      expect(read).toMatchObject({ files: [], problems: [{ file: path, rule, severity }] })
    }
  })

  test('that is not there is told from one that cannot be read, which says nothing', async () => {
    await put('file')
    await symlink('circle', join(folder, 'circle'))
    for (const [path, state] of [
      [folder, 'read'],
      [join(folder, 'missing'), 'absent'],
      [join(folder, 'file'), 'absent'],
      [join(folder, 'circle'), 'unreadable'],
    ] as const) {
      expect(await readGrantFolder(path)).toMatchObject({ state, files: [] })
    }
  })
})
