// Measures us beside our peers in one run: interleaved, several rounds, medians. Machines differ, so
// what counts are the ratios. Prints a table; a whole run also writes bench/results.json,
// docs/performance.md and the pictures beside it, and takes some ten minutes on two quiet cores.
//
//   npm run bench                                         all of it
//   npm run bench -- --only warm,curves --rounds 1        prints these parts, and writes nothing
//   npm run bench -- --help                               parts and options
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { format } from 'prettier'
import { assertionMeasure } from './assertion.ts'
import { auditMeasure } from './audit-figures.ts'
import { chartOf } from './chart.ts'
import { type BenchCloud, startCloud, stopEverything } from './cloud.ts'
import { coldBurst } from './cold-burst.ts'
import type { Curve } from './curve.ts'
import { curvesMeasure } from './curves.ts'
import { decisionMeasure } from './decision.ts'
import { fleetMeasure } from './fleet.ts'
import { ledgerMeasure } from './ledger.ts'
import { manyTokens } from './many-tokens.ts'
import { chartFile, performancePage } from './performance-page.ts'
import { type BenchPlan, isWhole, parsePlan, type PartName, usage } from './plan.ts'
import { startMeasure } from './start.ts'
import { printCurves, printTable, type Row } from './table.ts'
import { throttledMeasure } from './throttled.ts'
import { warmMeasure } from './warm.ts'

interface Measurements {
  readonly rows?: readonly Row[]
  readonly curves?: readonly Curve[]
}

type Measure = (cloud: BenchCloud, plan: BenchPlan) => Promise<Measurements>

const measures: Readonly<Record<PartName, Measure>> = {
  start: async (cloud, { rounds }) => ({ rows: await startMeasure(cloud, rounds) }),
  cold: async (cloud, { callers }) => ({ rows: await coldBurst(cloud, callers) }),
  fleet: async (_cloud, plan) => ({ rows: await fleetMeasure(plan) }),
  warm: async (cloud, plan) => ({ rows: await warmMeasure(cloud, plan) }),
  tokens: async (cloud, plan) => ({ rows: await manyTokens(cloud, plan) }),
  assertion: async (cloud, { rounds }) => ({ rows: await assertionMeasure(cloud, rounds) }),
  decision: async () => ({ rows: await decisionMeasure() }),
  ledger: async (_cloud, plan) => ({ rows: await ledgerMeasure(plan) }),
  audit: async () => auditMeasure(),
  curves: async (cloud, plan) => ({ curves: await curvesMeasure(cloud, curvesPlanFrom(plan)) }),
  throttled: async () => ({ rows: await throttledMeasure() }),
}

/** Many points: each of them may be measured with less care. */
const curvesPlanFrom = ({ rounds, durationMs, tenants, curveTokens }: BenchPlan) => ({
  rounds: Math.min(rounds, 3),
  durationMs: Math.min(durationMs, 1000),
  tenants,
  tokens: curveTokens,
})

async function main(plan: BenchPlan): Promise<void> {
  const build = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
  if (build.status !== 0) throw new Error('the build failed')
  const { rows, curves } = await measureAll(plan)
  printTable(rows)
  printCurves(curves)
  const missed = rows.filter(({ met }) => met === false)
  if (missed.length > 0) console.log(`\n${missed.length} bar(s) missed in this run.`)
  if (isWhole(plan)) await write(rows, curves)
  else console.log('\nNothing was written: that takes a whole run.')
}

async function measureAll(plan: BenchPlan): Promise<Required<Measurements>> {
  const cloud = await startCloud(plan)
  const rows: Row[] = []
  const curves: Curve[] = []
  try {
    for (const part of plan.parts) {
      const startedMs = performance.now()
      const measured = await measures[part](cloud, plan)
      rows.push(...(measured.rows ?? []))
      curves.push(...(measured.curves ?? []))
      console.log(`${part}: measured in ${Math.round((performance.now() - startedMs) / 1000)} s`)
    }
  } finally {
    await stopEverything()
    await cloud.stop()
  }
  return { rows, curves }
}

async function write(rows: readonly Row[], curves: readonly Curve[]): Promise<void> {
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model }
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const results = { version: manifest.version, machine, rows, curves }
  writeFileSync('bench/results.json', `${JSON.stringify(results, null, 2)}\n`)
  for (const curve of curves) writeFileSync(`docs/${chartFile(curve)}`, chartOf(curve))
  const page = await format(performancePage(results), { parser: 'markdown', printWidth: 100 })
  writeFileSync('docs/performance.md', page)
}

const plan = parsePlan(process.argv.slice(2))
if (plan === undefined) {
  console.log(usage)
  process.exitCode = process.argv.includes('--help') ? 0 : 2
} else await main(plan)
