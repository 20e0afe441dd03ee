import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { verifyPages } from '../../../src/ledger/verify.ts'
import type { Cloud } from './cloud.ts'
import { expectedFindings } from './judge-signatures.ts'
import type { LedgerHome } from './ledger-home.ts'
import type { Workshop } from './workshop.ts'

/** Whether the product itself finds its ledger sound. */
export async function verifyViolations({ source }: LedgerHome): Promise<readonly string[]> {
  const verification = await verifyPages(source.pages())
  return verification.ok ? [] : [`verify finds ${JSON.stringify(verification.fault)}`]
}

/** What `countersign reconcile --json` says, as far as it is judged here. */
export interface Report {
  readonly exitCode: number | null
  readonly findings: readonly {
    readonly kind: string
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
  const reported = new Map(
    report.findings.map(({ kind, record }) => [record?.correlationId ?? kind, kind]),
  )
  const expectedExit = expected.size === 0 ? 0 : 1
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
