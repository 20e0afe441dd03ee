// Measures us beside our peers in one run: interleaved, several rounds, medians. Machines differ, so
// what counts are the ratios. Prints a table, and writes bench/results.json and docs/performance.md.
//
//   npm run bench [-- --rounds 5 --seconds 3]
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { format } from 'prettier'
import { assertionMeasure } from './assertion.ts'
import { startCloud, stopEverything } from './cloud.ts'
import { coldBurst } from './cold-burst.ts'
import { fleetMeasure } from './fleet.ts'
import { ledgerMeasure } from './ledger.ts'
import { manyTokens } from './many-tokens.ts'
import { performancePage } from './performance-page.ts'
import { printTable, type Row } from './table.ts'
import { warmMeasure } from './warm.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    tenants: { type: 'string', default: '1000' },
    scopes: { type: 'string', default: '100' },
    callers: { type: 'string', default: '10000' },
  },
})

async function main(): Promise<void> {
  const build = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
  if (build.status !== 0) throw new Error('the build failed')
  const tenants = Number(values.tenants)
  const scopes = Number(values.scopes)
  const cloud = await startCloud(tenants, scopes)
  const durationMs = Number(values.seconds) * 1000
  const rows: Row[] = []
  try {
    rows.push(...(await coldBurst(cloud, Number(values.callers))))
    rows.push(...(await fleetMeasure(cloud, { callers: Number(values.callers), tenants })))
    rows.push(
      ...(await warmMeasure(cloud, {
        rounds: Number(values.rounds),
        durationMs,
        tenants,
      })),
    )
    rows.push(
      ...(await manyTokens(cloud, {
        rounds: Number(values.rounds),
        durationMs,
        tenants,
        scopes,
      })),
    )
    rows.push(...(await assertionMeasure(cloud, Number(values.rounds))))
    rows.push(...(await ledgerMeasure({ rounds: Number(values.rounds), durationMs })))
  } finally {
    await stopEverything()
    await cloud.stop()
  }
  printTable(rows)
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model }
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const results = { version: manifest.version, machine, rows }
  writeFileSync('bench/results.json', `${JSON.stringify(results, null, 2)}\n`)
  const page = await format(performancePage(results), { parser: 'markdown', printWidth: 100 })
  writeFileSync('docs/performance.md', page)
  const missed = rows.filter(({ met }) => met === false)
  if (missed.length > 0) console.log(`\n${missed.length} bar(s) missed in this run.`)
}

await main()
