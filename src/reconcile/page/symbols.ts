import { html } from './html.ts'
import type { Html } from './html.ts'

/** How an answer sounds. Each has a shape of its own, because colour alone tells nothing to many. */
export type Tone = 'good' | 'bad' | 'unsure' | 'told'

const shapes: Readonly<Record<Tone, Html>> = {
  good: html`<circle cx="12" cy="12" r="10" /><path d="M7.5 12.5l3 3 6-7" />`,
  bad: html`<path d="M12 1.5L22.5 12 12 22.5 1.5 12z" /><path d="M12 7v6M12 16v.6" />`,
  unsure: html`<circle cx="12" cy="12" r="10" class="open" /><path
      d="M9.2 9.5a2.9 2.9 0 1 1 4.2 2.6c-1 .5-1.4 1-1.4 2M12 16.7v.6"
    />`,
  told: html`<rect x="2" y="2" width="20" height="20" rx="4" /><path d="M12 11v6M12 7v.6" />`,
}

/** Beside words that say the same. */
export const symbol = (tone: Tone): Html =>
  html`<svg class="symbol ${tone}" viewBox="0 0 24 24" aria-hidden="true">${shapes[tone]}</svg>`

/** Fills that tell areas apart without their colour; the page has them once. */
export const fills: Html = html`<svg class="fills" width="0" height="0" aria-hidden="true">
  <defs>
    <pattern
      id="hatch"
      width="6"
      height="6"
      patternUnits="userSpaceOnUse"
      patternTransform="rotate(45)"
    >
      <rect width="6" height="6" class="hatch-ground" />
      <rect width="2" height="6" class="hatch-line" />
    </pattern>
  </defs>
</svg>`
