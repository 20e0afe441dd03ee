import type { SpanView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { minuteText, numberText } from './page-words.ts'

/**
 * Pictures over time as lanes, one below the other on one scale: a name, a drawing, a number. Positions in a
 * drawing are percentages, so that it fits any screen without its marks being stretched.
 */
export interface Lane {
  /** Unique in the page. */
  readonly id: string
  readonly name: string
  /** Says in words what the drawing shows. */
  readonly description: string
  readonly drawing: Html
  readonly number: string
  readonly isAlarm?: true
}

export const laneHeight = 40

const lanePart = ({ id, name, description, drawing, number, isAlarm }: Lane): Html =>
  html`<div class="lane ${isAlarm === true ? 'alarm' : 'calm'}">
    <div class="lane-name">${name}</div>
    <svg
      class="plot"
      height="${laneHeight}"
      role="img"
      aria-labelledby="${id}-t"
      aria-describedby="${id}-d"
    >
      <title id="${id}-t">${name}</title>
      <desc id="${id}-d">${description}</desc>
      ${drawing}
    </svg>
    <div class="lane-number">${number}</div>
  </div>`

export const lanesFigure = (caption: string, lanes: readonly Lane[], span: SpanView): Html =>
  html`<figure class="lanes">
    <figcaption>${caption}</figcaption>
    ${lanes.map(lanePart)} ${axis(span)}
  </figure>`

function axis({ fromMs, toMs }: SpanView): Html {
  const middleMs = (fromMs + toMs) / 2
  return html`<div class="lane axis" aria-hidden="true">
    <div class="lane-name">UTC</div>
    <svg class="plot" height="20">
      <text x="0" y="15">${minuteText(fromMs)}</text>
      <text x="50%" y="15" text-anchor="middle" class="middle">${minuteText(middleMs)}</text>
      <text x="100%" y="15" text-anchor="end">${minuteText(toMs)}</text>
    </svg>
    <div class="lane-number"></div>
  </div>`
}

/** `12.5%` of the way; never outside of the drawing. */
export const shareOf = (ms: number, { fromMs, toMs }: SpanView): number =>
  toMs <= fromMs ? 0 : Math.min(100, Math.max(0, ((ms - fromMs) / (toMs - fromMs)) * 100))

export const percent = (share: number): string => `${Number(share.toFixed(3))}%`

/** Bars of one series, by the highest of all series of the picture. */
export const bars = (counts: readonly number[], highest: number): Html => {
  const width = 100 / counts.length
  return html`${counts.map((count, index) => {
    if (count === 0) return undefined
    const height = Math.max(3, Math.round((count / highest) * (laneHeight - 4)))
    return html`<rect
      class="bar"
      x="${percent(index * width + width * 0.1)}"
      width="${percent(width * 0.8)}"
      y="${laneHeight - height}"
      height="${height}"
    >
      <title>${numberText(count)}</title>
    </rect>`
  })}`
}
