import { join } from 'node:path'
import type { z } from 'zod'
import type { configForm } from '../../../src/config/config-form.ts'
import {
  ledgerInDatabase,
  ledgerInFile,
  type LedgerSource,
} from '../../../src/ledger/ledger-source.ts'
import { ledgerAt } from '../postgres-store.ts'
import { type LedgerEvidence, readLedger, readLedgerAt } from './ledger-evidence.ts'

/** Where the ledger of a scene is kept, for each who has to do with it. */
export interface LedgerHome {
  /** Section of `countersign.yaml`. */
  readonly section: z.input<typeof configForm>['ledger']
  /** What `--ledger` is given. */
  readonly named: string
  /** As the product reads it. */
  readonly source: LedgerSource
  /** As a stranger does. */
  read(): Promise<LedgerEvidence>
}

/** For one process. */
export function homeInFolder(folder: string): LedgerHome {
  const file = join(folder, 'countersign.db')
  return {
    section: { sqlite: file },
    named: file,
    source: ledgerInFile(file),
    read: () => Promise.resolve(readLedger(file)),
  }
}

/** For any number of replicas. */
export const homeInDatabase = (url: string): LedgerHome => ({
  section: { postgres: url },
  named: url,
  source: ledgerInDatabase(ledgerAt(url)),
  read: () => readLedgerAt(url),
})
