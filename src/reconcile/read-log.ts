import { directoryAuditFrom } from './directory-audit.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import { KnownVaultLines } from './known-vault-lines.ts'
import type { KnownRecord, LogValue, UnreadPlace } from './log-file.ts'
import type { KnownLines } from './record-splitter.ts'
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

/** How the records of one log are understood, wherever they are read. */
export interface LogForm<LogRecord> {
  readonly recordFrom: (value: unknown) => LogRecord | NotUnderstood
  /** Of one reading; absent: every line is parsed. */
  readonly knownLines?: () => KnownLines<LogRecord>
}

/** See `vaultRecordFrom` for who may have written them: files of different kinds may stand beside one another. */
export const vaultLogForm: LogForm<VaultRecord> = {
  recordFrom: vaultRecordFrom,
  knownLines: () => new KnownVaultLines(),
}

/** Entra's sign-ins of service principals. */
export const signInLogForm: LogForm<SignInRecord> = { recordFrom: signInRecordFrom }

/** Entra's directory audits. */
export const directoryLogForm: LogForm<DirectoryAudit> = { recordFrom: directoryAuditFrom }

/** @param read With the known lines of the form, or without any. */
export async function* readRecords<LogRecord extends { readonly kind: string }>(
  read: AsyncIterable<readonly (LogValue | KnownRecord<LogRecord> | UnreadPlace)[]>,
  { recordFrom }: LogForm<LogRecord>,
): LogReading<LogRecord> {
  for await (const values of read) {
    yield values.map((value) => {
      if (value.kind === 'unread') return value
      if (value.kind === 'known') return value.record
      const record = recordFrom(value.value)
      return isNotUnderstood(record)
        ? { kind: 'unread', file: value.file, line: value.line, why: record.why }
        : record
    })
  }
}

const isNotUnderstood = (record: { readonly kind: string }): record is NotUnderstood =>
  record.kind === 'not-understood'
