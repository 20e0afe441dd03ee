import type { FindingView, ReportView, SeriesView, SpanView, TimelineView } from '../report-view.ts'
import { findingId, findingsOnPage } from './findings.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { bars, laneHeight, lanesFigure, percent } from './lanes.ts'
import type { Lane } from './lanes.ts'
import { amount, durationText, minuteText, notKnown, numberText, section } from './page-words.ts'
import { table } from './table.ts'

/** Links to findings beside the picture; all of them are in the list. */
const linkedMax = 8

/** Signatures over time, by caller and by application; those of others above all. */
export function timelinePart(view: ReportView): Html {
  const { timeline } = view
  if (timeline === undefined) {
    return section(
      'signatures',
      title,
      notKnown('The ledger was not read for it, or has no signature.'),
    )
  }
  const others = othersOverTime(view.findings, timeline)
  return section(
    'signatures',
    title,
    html`<p class="lead">
      Each bar stands for ${durationText(timeline.pieceMs)}. Signatures that the ledger says were
      made, under the caller whose request led to each; one signature may serve several requests.
      The first lane is what the vaults’ logs show of others.
    </p>`,
    figureOf('By caller', 'caller', timeline.callers, others, timeline),
    otherLinks(view.findings),
    figureOf('By application', 'application', timeline.applications, others, timeline),
  )
}

const title = 'Signatures over time'

const spanOf = ({ startMs, pieceMs, pieces }: TimelineView): SpanView => ({
  fromMs: startMs,
  toMs: startMs + pieceMs * pieces,
})

/** Findings of somebody else's use, in the pieces of the picture. */
function othersOverTime(findings: readonly FindingView[], timeline: TimelineView) {
  const counts = new Array<number>(timeline.pieces).fill(0)
  for (const { concern, atMs } of findings) {
    if (concern !== 'others-use' || atMs === undefined) continue
    const piece = Math.floor((atMs - timeline.startMs) / timeline.pieceMs)
    const index = Math.min(timeline.pieces - 1, Math.max(0, piece))
    counts[index] = (counts[index] ?? 0) + 1
  }
  return counts
}

function figureOf(
  caption: string,
  noun: string,
  series: readonly SeriesView[],
  others: readonly number[],
  timeline: TimelineView,
): Html {
  const highest = Math.max(1, ...series.flatMap(({ counts }) => counts))
  const lanes = series.map(({ name, counts }, index): Lane => ({
    id: `${noun}-${index + 1}`,
    name,
    description: describe(counts, timeline),
    drawing: html`${bands(others)} ${bars(counts, highest)}`,
    number: numberText(sumOf(counts)),
  }))
  return html`${lanesFigure(caption, [othersLane(noun, others, timeline), ...lanes], spanOf(timeline))}
    <details>
      <summary>The numbers of the picture, by ${noun}</summary>
      ${numbersTable(noun, series, others, timeline)}
    </details>`
}

function othersLane(noun: string, others: readonly number[], timeline: TimelineView): Lane {
  const total = sumOf(others)
  const lane = { id: `${noun}-others`, name: 'Not ours', number: numberText(total) }
  if (total === 0) return { ...lane, description: 'None.', drawing: noneText }
  const drawing = html`${bands(others)} ${diamonds(others)}`
  return { ...lane, description: describe(others, timeline), drawing, isAlarm: true }
}

const noneText = html`<text x="0" y="${laneHeight / 2 + 4}" class="none">none found</text>`

/** A stripe through all lanes at that time: who else was at work then is seen at once. */
function bands(others: readonly number[]): Html {
  const width = 100 / others.length
  return html`${others.map((count, index) =>
    count === 0
      ? undefined
      : html`<rect
          class="band"
          x="${percent(index * width)}"
          width="${percent(width)}"
          y="0"
          height="${laneHeight}"
        />`,
  )}`
}

function diamonds(others: readonly number[]): Html {
  const width = 100 / others.length
  return html`${others.map((count, index) =>
    count === 0
      ? undefined
      : html`<svg
          class="diamond"
          x="${percent((index + 0.5) * width)}"
          y="${laneHeight / 2}"
          overflow="visible"
        >
          <path d="M0-11L11 0 0 11-11 0z" />
          <text y="4" text-anchor="middle">${count > 99 ? '+' : count}</text>
        </svg>`,
  )}`
}

/** Where each of them is told. */
function otherLinks(findings: readonly FindingView[]): Html | undefined {
  const others = findingsOnPage(findings).flatMap(({ concern, kind, atMs }, index) =>
    concern === 'others-use' ? [{ kind, atMs, id: findingId(index) }] : [],
  )
  if (others.length === 0) return undefined
  const links = others.slice(0, linkedMax).map(
    ({ kind, atMs, id }) =>
      html`<li>
        <a href="#${id}">${kind}${atMs === undefined ? '' : `, ${minuteText(atMs)}`}</a>
      </li>`,
  )
  const more = others.length - linkedMax
  return html`<div class="others">
    <p><strong>Not ours:</strong> ${amount(others.length, 'finding')}</p>
    <ul>
      ${links}
      ${more > 0 ? html`<li><a href="#findings">and ${numberText(more)} more</a></li>` : undefined}
    </ul>
  </div>`
}

function describe(counts: readonly number[], { startMs, pieceMs }: TimelineView): string {
  const used = counts.flatMap((count, index) => (count === 0 ? [] : [index]))
  const [first] = used
  const last = used.at(-1)
  if (first === undefined || last === undefined) return 'None.'
  const at = (index: number) => minuteText(startMs + index * pieceMs)
  return `${numberText(sumOf(counts))} in all, from ${at(first)} to ${at(last + 1)} UTC; at most ${numberText(Math.max(...counts))} in ${durationText(pieceMs)}.`
}

function numbersTable(
  noun: string,
  series: readonly SeriesView[],
  others: readonly number[],
  { startMs, pieceMs }: TimelineView,
): Html {
  const rows = others.flatMap((count, index) => {
    const numbers = [count, ...series.map(({ counts }) => counts[index] ?? 0)]
    if (sumOf(numbers) === 0) return []
    return [[minuteText(startMs + index * pieceMs), ...numbers.map(numberText)]]
  })
  return table({
    caption: `Signatures by ${noun}, in pieces of ${durationText(pieceMs)}; those without any are left out`,
    columns: ['From (UTC)', 'Not ours', ...series.map(({ name }) => name)],
    rows,
    numbers: [1, ...series.map((_, index) => index + 2)],
  })
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)
