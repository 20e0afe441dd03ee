import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  blobPath,
  openStorageAccount,
  type BlobShape,
} from '../../../../src/emulator/vault-log/storage-account.ts'
import { vaultLogPlace } from '../../../../src/emulator/vault-log/vault-log.ts'
import { vaultRecord } from '../../../support/vault-records.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storage-account-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const hourIso = '2026-11-22T04:56:16.0000000Z'
const blob = blobPath(vaultLogPlace('/SUBSCRIPTIONS/S/VAULTS/V'), hourIso)
const record = (correlationId: string) => vaultRecord({ correlationId, resultDescription: 'café' })

const textOf = () => readFileSync(join(folder, blob), 'utf8')

function append(shape: BlobShape, ids: readonly string[]): void {
  const account = openStorageAccount(folder, shape, [])
  for (const id of ids) account.append(record(id), blob)
  account.close()
}

test('paths are those of Azure Monitor', () => {
  expect(blobPath(vaultLogPlace('/SUBSCRIPTIONS/S'), hourIso)).toBe(
    'insights-logs-auditevent/resourceId=/SUBSCRIPTIONS/S/y=2026/m=11/d=22/h=04/m=00/PT1H.json',
  )
})

test('JSON Lines: one record per line, no array, no commas', () => {
  append('json-lines', ['a', 'b'])
  expect(textOf()).toBe(`${JSON.stringify(record('a'))}\n${JSON.stringify(record('b'))}\n`)
})

test.each([
  ['records', (text: string) => (JSON.parse(text) as { records: unknown }).records],
  ['array', (text: string) => JSON.parse(text) as unknown],
] as const)('%s: one JSON value, continued by the next run', (shape, recordsIn) => {
  append(shape, ['a'])
  expect(recordsIn(textOf())).toEqual([record('a')])
  append(shape, ['b', 'c'])
  expect(recordsIn(textOf())).toEqual([record('a'), record('b'), record('c')])
})

test('JSON Lines of an earlier run are continued', () => {
  append('json-lines', ['a'])
  append('json-lines', ['b'])
  expect(textOf().match(/\n/g)).toHaveLength(2)
})
