import { isoTimeFrom } from '../../base/clock.ts'
import { html } from './html.ts'
import type { Html, HtmlValue } from './html.ts'

/** How the page says numbers and times: the same everywhere, whatever the language of the browser. */

/** `1,204`. */
export const numberText = (value: number): string => value.toLocaleString('en-US')

/** `1 signature`, `1,204 signatures`. */
export const amount = (value: number, noun: string): string =>
  `${numberText(value)} ${noun}${value === 1 ? '' : 's'}`

/** `at least 2,000 tokens` where not all were counted. */
export const atLeastAmount = (
  { count, atLeast }: { readonly count: number; readonly atLeast?: true },
  noun: string,
): string => `${atLeast === true ? 'at least ' : ''}${amount(count, noun)}`

/** `2026-11-22 04:56`, UTC; a time that nobody can mean is said so. */
export const minuteText = (ms: number): string =>
  Math.abs(ms) > 8.64e15 || Number.isNaN(ms)
    ? 'no time that could be read'
    : isoTimeFrom(ms).slice(0, 16).replace('T', ' ')

/** The same as an element, with its zone. */
export const timeOf = (ms: number): Html => html`<time>${minuteText(ms)}</time> UTC`

/** `in 54 min`, `3 h ago`. */
export function distanceText(ms: number, nowMs: number): string {
  const words = durationText(Math.abs(ms - nowMs))
  return ms >= nowMs ? `in ${words}` : `${words} ago`
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** The same moment for a cell of a table, with how far it is. */
export const momentFrom = (ms: number, nowMs: number): Html =>
  html`${momentOf(ms)} <span class="of">${distanceText(ms, nowMs)}</span>`

export const momentOf = (ms: number): Html => html`<time class="moment">${minuteText(ms)}</time>`

/** In the unit that tells enough, rounded down. */
export function durationText(ms: number): string {
  if (ms < 2 * hourMs && ms % hourMs !== 0) return `${numberText(Math.floor(ms / minuteMs))} min`
  if (ms < 3 * dayMs) return `${numberText(Math.floor(ms / hourMs))} h`
  return `${numberText(Math.floor(ms / dayMs))} days`
}

/** An id that people compare, and do not read. */
export const code = (text: string): Html => html`<code>${text}</code>`

/** Nothing is known, and that is said. */
export const notKnown = (text: string): Html => html`<p class="not-known">${text}</p>`

export const section = (id: string, title: string, ...content: readonly HtmlValue[]): Html =>
  html`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    ${content}
  </section>`
