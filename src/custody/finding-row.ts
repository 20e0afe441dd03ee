import { type ColumnType, fieldBytesMax, type ValueOf } from './entry-row.ts'

/**
 * The columns of what `countersign reconcile --watch` tells, as flat rows. As with entries, columns may be added and
 * never change their type.
 */
export const findingColumns = {
  /** Of the event. Azure replaces one that is more than two days old; `At` stays. */
  TimeGenerated: 'datetime',
  At: 'datetime',
  /** Of the event: a row that was sent twice has the same. */
  EventId: 'string',
  /** `finding.new` or `finding.resolved`. */
  Event: 'string',
  /** The same in both events of a finding. */
  FindingId: 'string',
  Kind: 'string',
  Severity: 'string',
  /** When what it is about happened. */
  HappenedAt: 'datetime',
  /** `publicUrl` of the deployment. */
  Deployment: 'string',
  Ledger: 'string',
  Summary: 'string',
  Next: 'string',
  /** Names and values of the evidence, as JSON. */
  Facts: 'string',
  /** There are more facts than a column may hold: the last ones are left out, and reconcile's report has them. */
  IsCut: 'boolean',
} as const satisfies Readonly<Record<string, ColumnType>>

export type FindingRow = {
  readonly [Name in keyof typeof findingColumns]?: ValueOf<(typeof findingColumns)[Name]>
}

/** The first facts, as many as the column holds: Azure would cut the text wherever it is full, and it were no JSON. */
export function factColumns(facts: readonly unknown[]): Pick<FindingRow, 'Facts' | 'IsCut'> {
  const texts = facts.map((fact) => JSON.stringify(fact))
  let bytes = '[]'.length
  const count = texts.findIndex((text) => {
    bytes += Buffer.byteLength(text) + ','.length
    return bytes > fieldBytesMax
  })
  return count === -1
    ? { Facts: `[${texts.join(',')}]` }
    : { Facts: `[${texts.slice(0, count).join(',')}]`, IsCut: true }
}
