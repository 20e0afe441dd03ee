/** One measured thing. */
export interface Row {
  readonly measure: string
  readonly value: number
  readonly unit: string
  /** What design and README promise of it; absent for figures that are shown for comparison. */
  readonly bar?: string
  readonly met?: boolean
}

export function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ measure, bar = '', met, ...row }) => [
    measure,
    formatted(row),
    bar,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ])
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  )
  console.log('')
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
