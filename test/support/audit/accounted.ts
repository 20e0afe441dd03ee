import type { Row } from '../../../src/ledger/chain.ts'
import { account } from '../../../src/reconcile/reconcile.ts'
import type { Accounts, Accounting } from '../../../src/reconcile/reconcile.ts'
import { directoryAuditFrom } from '../../../src/reconcile/directory-audit.ts'
import { signInRecordFrom } from '../../../src/reconcile/sign-in-record.ts'
import { vaultRecordFrom } from '../../../src/reconcile/vault-record.ts'
import type { NotUnderstood } from '../../../src/reconcile/vault-record.ts'

/** Logs as JSON lines, in memory. */
export interface Logs {
  readonly vault: readonly string[]
  readonly signIns?: readonly string[]
  readonly audits?: readonly string[]
}

/** What is found when a ledger of these rows meets these logs. */
export function accounted(
  rows: readonly Row[],
  logs: Logs,
  options: Omit<Accounts, 'pages' | 'vaultRecords' | 'signIns' | 'audits' | 'keys'> &
    Partial<Pick<Accounts, 'keys'>>,
): Promise<Accounting> {
  const { vault, signIns, audits } = logs
  return account({
    keys: [],
    ...options,
    pages: () => inPages(rows),
    vaultRecords: () => batches(vault, vaultRecordFrom),
    ...(signIns === undefined ? {} : { signIns: () => batches(signIns, signInRecordFrom) }),
    ...(audits === undefined ? {} : { audits: () => batches(audits, directoryAuditFrom) }),
  })
}

// eslint-disable-next-line @typescript-eslint/require-await -- a ledger may be waited for, this one is here
async function* inPages(rows: readonly Row[]): AsyncGenerator<readonly Row[], void, undefined> {
  for (let start = 0; start < rows.length; start += 1000) yield rows.slice(start, start + 1000)
}

// eslint-disable-next-line @typescript-eslint/require-await -- likewise
async function* batches<LogRecord extends { readonly kind: string }>(
  lines: readonly string[],
  recordFrom: (value: unknown) => LogRecord | NotUnderstood,
): AsyncGenerator<readonly LogRecord[], void, undefined> {
  yield lines.map((line) => {
    const record = recordFrom(JSON.parse(line))
    if (record.kind === 'not-understood')
      throw new Error(`${(record as NotUnderstood).why}: ${line}`)
    return record as LogRecord
  })
}
