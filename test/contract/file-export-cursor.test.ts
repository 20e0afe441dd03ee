import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createFileExportCursor } from '../../src/custody/file-export-cursor.ts'
import { describeExportCursor } from './export-cursor.contract.ts'

const createPlace = () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-cursor-'))
  return {
    open: (destination: string) =>
      Promise.resolve(createFileExportCursor(join(folder, 'cursor'), destination)),
    remove: () => {
      rmSync(folder, { recursive: true })
      return Promise.resolve()
    },
  }
}

describeExportCursor('a cursor in a file', createPlace)

test('the next process goes on where the one before was', async () => {
  const place = createPlace()
  const link = { sequence: 9, hash: Buffer.alloc(32, 9) }
  await (await place.open('a')).advance(link)
  expect(await (await place.open('a')).take()).toEqual(link)
  await place.remove()
})
