import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { filesAt, readLogFile } from '../../../src/reconcile/log-file.ts'
import { allOf } from '../../support/all-of.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-log-file-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

async function* piecesAt(paths: readonly string[]) {
  for (const path of paths) {
    for (const file of await filesAt(path)) yield* readLogFile(file)
  }
}

/** What was read, in short, with the line of what was not understood. */
async function read(...paths: readonly string[]): Promise<readonly unknown[]> {
  const pieces = await allOf(piecesAt(paths))
  return pieces.map((piece) => {
    if (piece.kind === 'unread') return `${piece.line}: ${piece.why}`
    return piece.kind === 'value' ? piece.value : piece.record
  })
}

const record = (n: number) => `${JSON.stringify({ n })}\n`

describe('reading the files of a log', () => {
  it('finds the blobs of hours and of five minutes at any depth, compressed or not, and passes over others', async () => {
    write('am-azkvauditlogs/y=2026/m=11/d=22/h=04/m=05/PT05M.json', record(1))
    write('insights-logs-auditevent/y=2026/m=11/d=22/h=04/m=00/PT1H.json', record(2))
    write('insights-logs-auditevent/y=2026/m=11/d=22/h=05/m=00/PT1H.json.gz', gzipSync(record(3)))
    write('readme.json', record(4))
    expect(await read(folder)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })

  it('tells a compressed file by its bytes, not by its name', async () => {
    const file = write('log.json', Buffer.concat([gzipSync(record(1)), gzipSync(record(2))]))
    expect(await read(file)).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('takes a table for rows by the time in its first line, and anything else for records', async () => {
    expect(await read(write('a.csv', 'OperationName,"TimeGenerated [UTC]"\nKeySign,x\n'))).toEqual([
      { OperationName: 'KeySign', 'TimeGenerated [UTC]': 'x' },
    ])
    expect(await read(write('b.csv', 'OperationName,Time\nKeySign,x\n'))).toEqual([
      '1: it is not a record',
    ])
    expect(await read(write('c.json', '{"TimeGenerated":1}\n'))).toEqual([{ TimeGenerated: 1 }])
  })

  it('reads nothing from an empty file', async () => {
    expect(await read(write('empty', ''))).toEqual([])
  })

  it('says that a path is not there, is no log, or cannot be read', async () => {
    await expect(read(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'LOG_MISSING' })
    await expect(read(folder)).rejects.toMatchObject({ code: 'LOG_WITHOUT_BLOBS' })
    mkdirSync(join(folder, 'PT1H.json'))
    await expect(read(folder)).rejects.toMatchObject({ code: 'LOG_UNREADABLE' })
  })
})

describe('a hostile file', () => {
  it('that ends in the middle of its compression gives what was before, and says so', async () => {
    // Enough to have something before the end that is missing.
    const records = Array.from({ length: 50_000 }, (_, n) => record(n * 7919)).join('')
    const whole = gzipSync(records)
    const file = write('log.gz', whole.subarray(0, whole.length - 1000))
    const pieces = await read(file)
    expect(pieces.at(-1)).toBe('1: its compression is damaged')
    expect(pieces.slice(0, 2)).toEqual([{ n: 0 }, { n: 7919 }])
  })

  it('whose compressed bytes were changed says so', async () => {
    const whole = gzipSync(record(1))
    whole.fill(0xff, 12, 20)
    expect(await read(write('log.gz', whole))).toEqual(['1: its compression is damaged'])
  })

  it('with something behind its compressed part says so', async () => {
    const file = write('log.gz', Buffer.concat([gzipSync(record(1)), Buffer.from(record(2))]))
    expect(await read(file)).toEqual(['1: its compression is damaged'])
  })

  it('that is a bomb is left before it fills anything', async () => {
    const file = join(folder, 'bomb.gz')
    const zeros = Buffer.alloc(1024 * 1024, 0x20)
    await pipeline(
      Readable.from(Array.from({ length: 24 }, () => zeros)),
      createGzip({ level: 9 }),
      createWriteStream(file),
    )
    expect(await read(file)).toEqual(['1: it is compressed more than 200 times, as no log is'])
  })

  it('with one line of eight megabytes costs that line alone', async () => {
    const file = join(folder, 'long.json')
    const part = Buffer.alloc(1024 * 1024, 0x61)
    const parts = [Buffer.from(`${record(1)}{"n":"`), ...Array.from({ length: 8 }, () => part)]
    await pipeline(
      Readable.from([...parts, Buffer.from(`"}\n${record(2)}`)]),
      createWriteStream(file),
    )
    expect(await read(file)).toEqual([{ n: 1 }, '2: it is longer than a record can be', { n: 2 }])
  })

  it('that is not UTF-8 is read as far as it is JSON', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"n":"'),
      Buffer.from([0xff, 0xc0]),
      Buffer.from('"}\n'),
    ])
    expect(await read(write('log.json', bytes))).toEqual([{ n: '\ufffd\ufffd' }])
    const utf16 = Buffer.from(`\ufeff${record(1)}`, 'utf16le')
    expect(await read(write('utf16.json', utf16))).toContain('1: it is not a record')
  })

  it('with a hundred thousand brackets in one another is no record, and breaks nothing', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const pieces = await read(write('deep.json', `{"n":${deep}}\n${record(2)}`))
    expect(pieces.at(-1)).toEqual({ n: 2 })
  })
})
