import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Entry } from '../../src/ledger/entry.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'

/** What reconcile is given: a ledger file and a folder in which a storage account was copied. */
export interface ReconcileFiles {
  readonly folder: string
  readonly ledgerFile: string
  readonly logFolder: string
  /** @param hour Of the blob, 0 to 23. */
  writeBlob(hour: number, text: string): string
  write(name: string, text: string): string
  remove(): void
}

export async function createReconcileFiles(entries: readonly Entry[]): Promise<ReconcileFiles> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-reconcile-'))
  const ledgerFile = join(folder, 'countersign.db')
  const ledger = await createSqliteLedger({ file: ledgerFile })
  await ledger.append(entries)
  await ledger.close()
  const write = (name: string, text: string) => {
    const file = join(folder, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }
  const vault = 'SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM'
  return {
    folder,
    ledgerFile,
    logFolder: join(folder, 'log'),
    writeBlob: (hour, text) =>
      write(
        `log/insights-logs-auditevent/resourceId=/${vault}/y=2026/m=11/d=22/h=${String(hour).padStart(2, '0')}/m=00/PT1H.json`,
        text,
      ),
    write,
    remove: () => {
      rmSync(folder, { recursive: true })
    },
  }
}
