import { type Curve, readable, type Series } from './curve.ts'

const width = 720
const left = 80
const right = 40
const top = 56
const panelHeight = 170
const panelGap = 56
const bottom = 56

/**
 * A curve as an SVG file: one panel for each series, one above the other, over the same logarithmic
 * axis. It has a background of its own, so that it can be read on pages of any colour.
 *
 * @throws RangeError for what cannot be drawn: no points, an `x` that is not positive or does not rise, a
 *   value that is negative or no number.
 */
export function chartOf(curve: Curve): string {
  assertDrawable(curve)
  const { title, xTitle, xs, series } = curve
  const height = top + series.length * (panelHeight + panelGap) - panelGap + bottom
  const xAt = logScale(xs, left + 30, width - right)
  const panels = series.map((one, index) =>
    panel(one, xs, xAt, top + index * (panelHeight + panelGap)),
  )
  const floor = height - bottom
  const ticks = xs.map((x) => text(xAt(x), floor + 20, readable(x), 'middle'))
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="13" fill="#24292f">`,
    `<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>`,
    `<text x="16" y="26" font-size="15" font-weight="600">${escaped(title)}</text>`,
    ...panels.flat(),
    ...ticks,
    text((left + width - right) / 2, floor + 44, xTitle, 'middle'),
    '</svg>',
  ]
  return `${lines.join('\n')}\n`
}

function panel(
  { title, values }: Series,
  xs: readonly number[],
  xAt: (x: number) => number,
  y: number,
): readonly string[] {
  const ceiling = niceCeiling(Math.max(...values))
  const floor = y + panelHeight
  const yAt = (value: number) => round(floor - (value / ceiling) * (panelHeight - 24))
  const points = values.map((value, index) => ({ value, x: xAt(xs[index] ?? 1), y: yAt(value) }))
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => share * ceiling)
  return [
    text(left - 60, y, title, 'start', ' font-weight="600"'),
    ...grid.flatMap((value) => [
      `<line x1="${left}" y1="${yAt(value)}" x2="${width - right}" y2="${yAt(value)}" stroke="${value === 0 ? '#57606a' : '#d0d7de'}"/>`,
      text(left - 8, yAt(value) + 4, readable(value), 'end', ' fill="#57606a"'),
    ]),
    `<polyline points="${points.map((point) => `${point.x},${point.y}`).join(' ')}" fill="none" stroke="#0969da" stroke-width="2"/>`,
    ...points.flatMap((point) => [
      `<circle cx="${point.x}" cy="${point.y}" r="3.5" fill="#0969da"/>`,
      // White around it: lines pass below.
      text(
        point.x,
        point.y - 9,
        readable(point.value),
        'middle',
        ' paint-order="stroke" stroke="#ffffff" stroke-width="4"',
      ),
    ]),
  ]
}

const text = (x: number, y: number, words: string, anchor: string, more = '') =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${more}>${escaped(words)}</text>`

/** Where an `x` lies between two edges; one alone lies in their middle. */
export function logScale(xs: readonly number[], from: number, to: number): (x: number) => number {
  const [first, last] = [Math.log10(Math.min(...xs)), Math.log10(Math.max(...xs))]
  return (x) =>
    first === last
      ? round((from + to) / 2)
      : round(from + ((Math.log10(x) - first) / (last - first)) * (to - from))
}

/** The next of 1, 2, 2.5, 4, 5 or 8 times a power of ten; 1 where there is nothing. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 2.5, 4, 5, 8].find((one) => one * power >= value) ?? 10
  return step * power
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export const escaped = (words: string) =>
  words.replace(/[&<>"']/g, (character) => entities[character] ?? '')

const round = (value: number) => Math.round(value * 10) / 10

function assertDrawable({ name, xs, series }: Curve): void {
  const rising = xs.every((x, index) => Number.isFinite(x) && x > (xs[index - 1] ?? 0))
  const whole = series.every(
    ({ values }) =>
      values.length === xs.length && values.every((value) => Number.isFinite(value) && value >= 0),
  )
  if (xs.length === 0 || series.length === 0 || !rising || !whole) {
    throw new RangeError(`the curve ${name} cannot be drawn`)
  }
}
