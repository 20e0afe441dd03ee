/** How measured things change with how many there are of something. */
export interface Curve {
  /** Of its picture: `docs/performance-NAME.svg`. */
  readonly name: string
  readonly title: string
  /** With its unit, if it has one. */
  readonly xTitle: string
  /** Rising, and more than nothing: they are drawn by their logarithm. */
  readonly xs: readonly number[]
  /** Each has as many values as there are `xs`. */
  readonly series: readonly Series[]
}

export interface Series {
  /** With its unit, such as `answers per second`. */
  readonly title: string
  readonly values: readonly number[]
}

/** Three digits of it, and thousands apart: more would claim what no run can repeat. */
export function readable(value: number): string {
  const rounded = Number(value.toPrecision(3))
  return rounded.toLocaleString('en-US', { maximumSignificantDigits: 3 })
}
