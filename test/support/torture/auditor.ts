import { existsSync } from 'node:fs'
import { verifyLedger } from '../../../src/custody/verify-ledger.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import type { Cloud } from './cloud.ts'
import { entriesOf } from './evidence.ts'
import { expectedFindings } from './judge-signatures.ts'
import type { LedgerHome } from './ledger-home.ts'
import type { Workshop } from './workshop.ts'

/**
 * Whether the product itself finds its ledger sound, as the heads in it and those that the anchor keeps have it.
 *
 * @param entries That the ledger had before.
 */
export async function verifyViolations(
  { source }: LedgerHome,
  anchor: string,
  entries: readonly Entry[],
): Promise<readonly string[]> {
  const anchors = existsSync(anchor) ? [anchor] : []
  const found = await verifyLedger(source.pages(), { headKeys: [], certificates: [], anchors })
  const signed = entriesOf(entries, 'head.signed').length
  const rules: readonly (readonly [holds: boolean, otherwise: string])[] = [
    [found.damage === undefined, `verify finds ${JSON.stringify(found.damage)}`],
    [
      found.heads.verified >= signed && found.heads.unknownKey === 0,
      `of ${signed} heads, verify finds ${JSON.stringify(found.heads)}`,
    ],
  ]
  return rules.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise]))
}

/** What `countersign reconcile --json` says, as far as it is judged here. */
export interface Report {
  readonly exitCode: number | null
  readonly findings: readonly {
    readonly kind: string
    /** Of a signature that is not proved. */
    readonly because?: string
    /** Absent from findings that are not about a record. */
    readonly record?: { readonly correlationId: string }
  }[]
  readonly undecided: readonly { readonly reason: string }[]
}

/** Runs `countersign reconcile` over the ledger and all that has been delivered, without any grace. */
export async function reconcile(
  workshop: Workshop,
  cloud: Cloud,
  ledger: LedgerHome,
): Promise<Report> {
  const { code, stdout, stderr } = await workshop.run([
    ...['reconcile', '--ledger', ledger.named, '--vault-log', cloud.endpoints.vaultLogFolder],
    ...['--grace-minutes', '0', '--json'],
  ])
  if (stdout === '') throw new Error(`reconcile could not decide (${code}):\n${stderr}`)
  return { exitCode: code, ...(JSON.parse(stdout) as Omit<Report, 'exitCode'>) }
}

/** What reconcile reports without a reason, and what it does not report. */
export function reportViolations(
  report: Report,
  entries: readonly Entry[],
  records: readonly VaultRecord[],
): readonly string[] {
  const expected = expectedFindings(entries, records)
  // What is killed proves nothing any more; runs are short, and seldom is that due before they end.
  const { unproved = [], others = [] } = Object.groupBy(report.findings, ({ because }) =>
    because === 'process-ended' ? 'unproved' : 'others',
  )
  const reported = new Map(others.map(({ kind, record }) => [record?.correlationId ?? kind, kind]))
  const expectedExit = expected.size + unproved.length === 0 ? 0 : 1
  return [
    ...[...reported].flatMap(([id, kind]) =>
      expected.get(id) === kind ? [] : [`reconcile reports ${kind} of ${id} without a reason`],
    ),
    ...[...expected].flatMap(([id, kind]) =>
      reported.get(id) === kind ? [] : [`reconcile does not report ${kind} of ${id}`],
    ),
    ...report.undecided.map(({ reason }) => `reconcile leaves undecided: ${reason}`),
    ...(report.exitCode === expectedExit ? [] : [`reconcile exits with ${report.exitCode}`]),
  ]
}
