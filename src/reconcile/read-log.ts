import { directoryAuditFrom } from './directory-audit.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import { readLogFiles } from './log-file.ts'
import type { UnreadPlace } from './log-file.ts'
import { signInRecordFrom } from './sign-in-record.ts'
import type { SignInRecord } from './sign-in-record.ts'
import { vaultRecordFrom } from './vault-record.ts'
import type { NotUnderstood, VaultRecord } from './vault-record.ts'

/** Records of one log, many at a time, and the places that are not understood. */
export type LogReading<LogRecord> = AsyncGenerator<
  readonly (LogRecord | UnreadPlace)[],
  void,
  undefined
>

/**
 * Every record of vaults below the paths, as a stream in bounded memory, in no particular order and as
 * often as it was delivered. See `readLogFiles` for the paths and errors, and `vaultRecordFrom` for who
 * may have written them: files of different kinds may stand beside one another.
 */
export const readVaultLog = (paths: readonly string[]): LogReading<VaultRecord> =>
  readRecords(paths, vaultRecordFrom)

/** The same of Entra's sign-ins of service principals. */
export const readSignInLog = (paths: readonly string[]): LogReading<SignInRecord> =>
  readRecords(paths, signInRecordFrom)

/** The same of Entra's directory audits. */
export const readDirectoryLog = (paths: readonly string[]): LogReading<DirectoryAudit> =>
  readRecords(paths, directoryAuditFrom)

async function* readRecords<LogRecord extends { readonly kind: string }>(
  paths: readonly string[],
  recordFrom: (value: unknown) => LogRecord | NotUnderstood,
): LogReading<LogRecord> {
  for await (const values of readLogFiles(paths)) {
    yield values.map((read) => {
      if (read.kind === 'unread') return read
      const record = recordFrom(read.value)
      return isNotUnderstood(record)
        ? { kind: 'unread', file: read.file, line: read.line, why: record.why }
        : record
    })
  }
}

const isNotUnderstood = (record: { readonly kind: string }): record is NotUnderstood =>
  record.kind === 'not-understood'
