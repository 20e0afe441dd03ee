import type { CoverageView, ReportView, SpanView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { lanesFigure, percent, shareOf } from './lanes.ts'
import type { Lane } from './lanes.ts'
import { amount, durationText, minuteText, notKnown, numberText, section } from './page-words.ts'
import { table } from './table.ts'

/** Logs that are drawn; the rest is counted. */
const lanesMax = 50
/** Rows of one log in the table. */
const spansMax = 100
/** In words. */
const gapsMax = 20

/** Which hours of which log were delivered, and what could not be decided for want of others. */
export function coveragePart(view: ReportView): Html {
  return section(
    'coverage',
    'What was delivered',
    view.coverage.every(({ spans }) => spans.length === 0)
      ? notKnown('No log was delivered: nothing can be said of what the key did.')
      : coverageFigure(view),
    undecidedList(view),
  )
}

function coverageFigure(view: ReportView): Html {
  const span = wholeSpan(view)
  const shown = view.coverage.slice(0, lanesMax)
  const more = view.coverage.length - shown.length
  return html`<p class="lead">
      Solid: records were delivered. Hatched: none were. ${endsNote(shown)}
      ${more > 0 ? `${amount(more, 'more log')} not drawn.` : ''}
    </p>
    ${lanesFigure(
      'By log',
      shown.map((one, index) => laneOf(one, index, span)),
      span,
    )}
    ${gapsList(shown)}
    <details>
      <summary>The delivered times as a table</summary>
      ${table({
        caption: 'Times from which records were delivered (UTC)',
        columns: ['Log', 'From', 'To', 'Length'],
        rows: shown.flatMap(({ of, spans }) =>
          spans
            .slice(0, spansMax)
            .map(({ fromMs, toMs }) => [
              of,
              minuteText(fromMs),
              minuteText(toMs),
              durationText(toMs - fromMs),
            ]),
        ),
      })}
    </details>`
}

/** Said in words, because they are what an auditor has to ask for: nothing happened, or it was not delivered. */
function gapsList(coverage: readonly CoverageView[]): Html | undefined {
  const gaps = coverage.flatMap(({ of, spans, precision }) =>
    precision === 'hours' ? gapsBetween(spans).map((gap) => ({ of, ...gap })) : [],
  )
  if (gaps.length === 0) return undefined
  const items = gaps
    .slice(0, gapsMax)
    .map(
      ({ of, fromMs, toMs }) =>
        html`<li>
          ${of}: ${minuteText(fromMs)} to ${minuteText(toMs)} UTC (${durationText(toMs - fromMs)})
        </li>`,
    )
  return html`<div class="gaps">
    <p><strong>Without any record:</strong> ${amount(gaps.length, 'gap')}</p>
    <ul>
      ${items}
    </ul>
  </div>`
}

const gapsBetween = (spans: readonly SpanView[]): readonly SpanView[] =>
  spans
    .slice(1)
    .map(({ fromMs }, index) => ({ fromMs: spans[index]?.toMs ?? fromMs, toMs: fromMs }))

const endsNote = (coverage: readonly CoverageView[]): string =>
  coverage.some(({ precision }) => precision === 'ends')
    ? 'Only the first and the last record of each log are known here: whether an hour between them is missing was not looked at.'
    : ''

/** Of all logs and of the ledger: a log that ends early is seen to. */
function wholeSpan({ coverage, timeline }: ReportView): SpanView {
  const spans = coverage.flatMap((one) => one.spans)
  const ledger =
    timeline === undefined
      ? []
      : [
          {
            fromMs: timeline.startMs,
            toMs: timeline.startMs + timeline.pieceMs * timeline.pieces,
          },
        ]
  const all = [...spans, ...ledger]
  const fromMs = all.reduce((first, one) => Math.min(first, one.fromMs), Infinity)
  const toMs = all.reduce((last, one) => Math.max(last, one.toMs), -Infinity)
  return fromMs <= toMs ? { fromMs, toMs } : { fromMs: 0, toMs: 0 }
}

function laneOf({ of, spans, precision }: CoverageView, index: number, span: SpanView): Lane {
  const gaps = precision === 'ends' ? 'ends only' : gapsText(spans.length - 1)
  const first = spans[0]
  const last = spans.at(-1)
  const reach =
    first === undefined || last === undefined
      ? 'Nothing was delivered.'
      : `Delivered from ${minuteText(first.fromMs)} to ${minuteText(last.toMs)} UTC, ${gaps}.`
  return {
    id: `coverage-${index + 1}`,
    name: of,
    description: reach,
    drawing: html`<rect class="missing" x="0" width="100%" y="11" height="18" rx="3" />
      ${spans.map((one) => deliveredRect(one, span))}`,
    number: gaps,
  }
}

/** Of a vault without any record: all of it is one. */
function gapsText(gaps: number): string {
  if (gaps < 0) return 'nothing'
  return gaps === 0 ? 'no gap' : amount(gaps, 'gap')
}

function deliveredRect(one: SpanView, span: SpanView): Html {
  const from = shareOf(one.fromMs, span)
  // A single record is a moment, and still has to be seen.
  const width = Math.max(0.4, shareOf(one.toMs, span) - from)
  return html`<rect
    class="delivered"
    x="${percent(from)}"
    width="${percent(width)}"
    y="11"
    height="18"
    rx="3"
  />`
}

const undecidedList = ({ undecided }: ReportView): Html =>
  undecided.length === 0
    ? html`<p>Nothing is left undecided.</p>`
    : html`<div class="undecided">
        <p><strong>Not decided,</strong> and to be looked at by a later run:</p>
        <ul>
          ${undecided.slice(0, spansMax).map(({ text, count }) => html`<li>${text}${countNote(text, count)}</li>`)}
        </ul>
      </div>`

/** Most sentences say their number themselves. */
const countNote = (text: string, count: number): string =>
  /\d/.test(text) || count === 1 ? '' : ` (${numberText(count)})`
