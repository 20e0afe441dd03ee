import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Curve } from './curve.ts'
import type { Row } from './table.ts'

/** Of a wall clock, and of the processors, of whatever thread. */
export interface Times {
  readonly seconds: number
  readonly cpuSeconds: number
}

export interface AuditFigures {
  readonly signatures: number
  /** The making of rows left out: of the wall clock as far as a thread beside it was not spared by it. */
  readonly reconcile: Times
  /** Once: the ledger that reconcile reads, and that is verified, is made as it is read. */
  readonly makingRows: Times
  /** Of the chain of as many entries as there are signatures, the making of rows left out. */
  readonly verify: Times
  /** The most that the kernel counted of the process (`VmHWM`), the making of rows included. */
  readonly megabytes: number
}

const program = fileURLToPath(new URL('audit-run.ts', import.meta.url))

/** In a process of its own, so that nothing that was measured before is in its memory. */
export async function measureAudit(signatures: number): Promise<AuditFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-audit-'))
  try {
    await run('write', folder, signatures)
    return JSON.parse(await run('measure', folder, signatures)) as AuditFigures
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What it prints. The code that the first step compiles is kept for the next one, as the command keeps its own. */
async function run(step: 'write' | 'measure', folder: string, signatures: number): Promise<string> {
  const args = [program, step, join(folder, 'log.json'), String(signatures)]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'code') },
  })
  const exited = once(child, 'exit')
  const out = await text(child.stdout)
  const [code] = (await exited) as [number | null]
  if (code !== 0) throw new Error(`the audit of ${signatures} signatures failed`)
  return out
}

/** Daily; ten million are measured on request (`npm run bench:audit -- 10000000`). */
const daily = [10_000, 100_000, 1_000_000]
/** A tenth of what ten million may take. */
const secondsMax = { reconcile: 12, verify: 6 }
const megabytesMax = 512

/** For the page of all measurements. */
export async function auditMeasure(): Promise<{
  readonly rows: readonly Row[]
  readonly curves: readonly Curve[]
}> {
  const figures: AuditFigures[] = []
  for (const count of daily) figures.push(await measureAudit(count))
  const most = figures.at(-1)
  return { rows: most === undefined ? [] : rowsOf(most), curves: [curveOf(figures)] }
}

function rowsOf({ signatures, reconcile, verify, megabytes }: AuditFigures): readonly Row[] {
  const many = signatures.toLocaleString('en-US')
  const timeRow = (measure: string, { seconds, cpuSeconds }: Times, max: number): Row => ({
    measure,
    value: seconds,
    unit: 's',
    bar: `≤ ${max} s`,
    met: seconds <= max,
    limit: `${cpuSeconds.toFixed(1)} s of it were spent computing.`,
  })
  return [
    timeRow(
      `Reconcile ${many} vault records with one settling entry each`,
      reconcile,
      secondsMax.reconcile,
    ),
    {
      measure: 'Memory of it',
      value: megabytes,
      unit: 'MB',
      bar: `≤ ${megabytesMax} MB`,
      met: megabytes <= megabytesMax,
    },
    timeRow(`Verify a chain of ${many} entries`, verify, secondsMax.verify),
  ]
}

const curveOf = (figures: readonly AuditFigures[]): Curve => ({
  name: 'audit',
  title: 'Signatures that are reconciled, each with its record',
  xTitle: 'signatures',
  xs: figures.map(({ signatures }) => signatures),
  series: [
    { title: 'seconds', values: figures.map(({ reconcile }) => reconcile.seconds) },
    { title: 'seconds of CPU', values: figures.map(({ reconcile }) => reconcile.cpuSeconds) },
    { title: 'memory, MB', values: figures.map(({ megabytes }) => megabytes) },
  ],
})
