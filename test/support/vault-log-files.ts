import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'

/** The blobs below a storage account, by path; all three shapes are understood. */
export function readVaultLog(folder: string): ReadonlyMap<string, readonly VaultRecord[]> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    files.map((file) => [relative(folder, file), recordsIn(readFileSync(file, 'utf8'))]),
  )
}

/** All of them, in the order of the blobs and of the lines within. */
export const readVaultRecords = (folder: string): readonly VaultRecord[] =>
  [...readVaultLog(folder).values()].flat()

function recordsIn(text: string): readonly VaultRecord[] {
  if (text.startsWith('[')) return JSON.parse(text) as VaultRecord[]
  if (text.startsWith('{"records"')) {
    return (JSON.parse(text) as { records: VaultRecord[] }).records
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as VaultRecord)
}
