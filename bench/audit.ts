// How long reconcile takes for so many signatures, and how much memory, up to a million:
//
//   npm run bench:audit                          the curve
//   npm run bench:audit -- 10000000              what is asked for; ten million take 10 GB of the disk
import { type AuditFigures, measureAudit } from './audit-figures.ts'
import { formatted, printCells } from './table.ts'

const asked = process.argv.slice(2).map(Number)
const counts = asked.length > 0 ? asked : [10_000, 30_000, 100_000, 300_000, 1_000_000]

const seconds = (value: number) => formatted({ value, unit: 's' })
const cellsOf = (figures: AuditFigures) => [
  String(figures.signatures),
  seconds(figures.reconcile.seconds),
  seconds(figures.reconcile.cpuSeconds),
  seconds(figures.makingRows.seconds),
  seconds(figures.makingRows.cpuSeconds),
  seconds(figures.verify.seconds),
  seconds(figures.verify.cpuSeconds),
  `${Math.round(figures.megabytes)} MB`,
]

const rows = [
  ['signatures', 'reconcile', 'of CPU', 'making rows', 'of CPU', 'verify', 'of CPU', 'memory'],
]
for (const count of counts) rows.push(cellsOf(await measureAudit(count)))
printCells(rows)
