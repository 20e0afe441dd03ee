import { readLogFiles } from './log-file.ts'
import type { LogValue, UnreadPlace } from './log-file.ts'
import { vaultRecordFrom } from './vault-record.ts'
import type { VaultRecord } from './vault-record.ts'

/**
 * Every record of vaults below the paths, as a stream in bounded memory, in no particular order and as
 * often as it was delivered. See `readLogFiles` for the paths and errors, and `vaultRecordFrom` for who
 * may have written them: files of different kinds may stand beside one another.
 */
export async function* readVaultLog(
  paths: readonly string[],
): AsyncGenerator<readonly (VaultRecord | UnreadPlace)[], void, undefined> {
  for await (const values of readLogFiles(paths)) yield values.map(recordFrom)
}

function recordFrom(read: LogValue | UnreadPlace): VaultRecord | UnreadPlace {
  if (read.kind === 'unread') return read
  const record = vaultRecordFrom(read.value)
  if (record.kind !== 'not-understood') return record
  return { kind: 'unread', file: read.file, line: read.line, why: record.why }
}
