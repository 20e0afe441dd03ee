import { type Curve, readable } from './curve.ts'

/** One measured thing. */
export interface Row {
  readonly measure: string
  readonly value: number
  readonly unit: string
  /** What design and README promise of it; absent for figures that are shown for comparison. */
  readonly bar?: string
  readonly met?: boolean
  /** Where its time or room goes, for a machine on which the bar is missed. */
  readonly limit?: string
}

export function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ measure, bar = '', met, ...row }) => [
    measure,
    formatted(row),
    bar,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ])
  console.log('')
  printCells(cells)
}

export function printCurves(curves: readonly Curve[]): void {
  for (const { title, xTitle, xs, series } of curves) {
    console.log(`\n${title}`)
    printCells([
      [xTitle, ...series.map((one) => one.title)],
      ...xs.map((x, index) =>
        [x, ...series.map(({ values }) => values[index] ?? Number.NaN)].map(readable),
      ),
    ])
  }
}

/** In columns. */
export function printCells(cells: readonly (readonly string[])[]): void {
  const columns = [...(cells[0] ?? []).keys()]
  const widths = columns.map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  for (const row of cells) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  }
}

/** Three digits of it: more would claim what no run can repeat. */
export const formatted = ({ value, unit }: Pick<Row, 'value' | 'unit'>) =>
  `${round(value)} ${unit}`.trim()

const round = (value: number) =>
  Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
