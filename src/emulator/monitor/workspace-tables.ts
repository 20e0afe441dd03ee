import { msFromIso, type EmulatorClock } from '../emulator-clock.ts'
import { directoryAuditRow, type CredentialsChange } from '../entra-log/directory-audit.ts'
import { signInRow, type SignIn } from '../entra-log/sign-in.ts'
import type { SeededRandom } from '../random.ts'
import { createDelivery, type DeliveryDials } from '../vault-log/delivery.ts'
import type { VaultRecord } from '../vault-log/record.ts'
import { auditRow, wideRow } from '../vault-log/table-rows.ts'

/** A row as it lies in a table, with what `ingestion_time()` says of it. */
export interface TableRow {
  readonly cells: Readonly<Record<string, unknown>>
  readonly ingestedMs: number
}

/** The tables of the workspaces: what has come to them, in its own time, and sometimes twice. */
export interface WorkspaceTables {
  vaultRecord(record: VaultRecord): void
  signIn(signIn: SignIn): void
  credentialsChanged(change: CredentialsChange): void
  /** What a data collection rule has let through to a table of one's own. */
  row(table: string, cells: TableRow['cells']): void
  /** Undefined before the first row: Azure knows no table to which nothing came. The newest so many. */
  table(name: string): readonly TableRow[] | undefined
  heldBack(): number
  deliverDue(): void
  flush(): void
  close(): void
}

/** Half of them are forgotten at once, so that forgetting stays cheap. */
const rememberedMax = 50_000

export function createWorkspaceTables(deps: {
  readonly dials: DeliveryDials
  readonly clock: EmulatorClock
  readonly random: SeededRandom
}): WorkspaceTables {
  const tables = new Map<string, TableRow[]>()
  const delivery = createDelivery<Pick<TableRow, 'cells'> & { readonly table: string }>({
    ...deps,
    deliver: ({ table, cells }) => {
      const rows = tables.get(table) ?? []
      if (rows.length === rememberedMax) rows.splice(0, rememberedMax / 2)
      rows.push({ cells, ingestedMs: deps.clock.nowMs() })
      tables.set(table, rows)
    },
  })
  const accept = (cells: Readonly<Record<string, unknown>> & { readonly Type: string }) => {
    delivery.accept({ table: cells.Type, cells })
  }
  return {
    vaultRecord: (record) => {
      accept(auditRow(record))
      accept(wideRow(record))
    },
    signIn: (signIn) => {
      accept(signInRow(signIn))
    },
    credentialsChanged: (change) => {
      accept(directoryAuditRow(change))
    },
    row: (table, cells) => {
      accept({ ...cells, Type: table })
    },
    table: (name) => tables.get(name),
    heldBack: () => delivery.heldBack(),
    deliverDue: () => {
      delivery.deliverDue()
    },
    flush: () => {
      delivery.flush()
    },
    close: () => {
      delivery.close()
    },
  }
}

/** Columns whose type is `datetime`; a value that is no time is null there. */
const timeColumns: ReadonlySet<string> = new Set([
  'TimeGenerated',
  'CreatedDateTime',
  'ActivityDateTime',
])

/** A time of Kusto: as written, with more decimals than the milliseconds have. */
export class KustoTime {
  readonly ms: number
  readonly text: string

  constructor(ms: number, text: string) {
    this.ms = ms
    this.text = text
  }
}

/** What a query sees of a row in that column. */
export function valueIn({ cells }: TableRow, column: string): unknown {
  const value = cells[column] ?? null
  if (!timeColumns.has(column)) return value
  if (typeof value !== 'string') return null
  const ms = msFromIso(value)
  return ms === undefined ? null : new KustoTime(ms, value)
}
