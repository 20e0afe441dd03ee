import type { ReportView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { amount, durationText, numberText, timeOf } from './page-words.ts'
import { symbol } from './symbols.ts'
import type { Tone } from './symbols.ts'

const words: Readonly<Record<ReportView['verdict'], readonly [tone: Tone, words: string]>> = {
  'accounted-for': ['good', 'Accounted for'],
  findings: ['bad', 'Not accounted for'],
  undecided: ['unsure', 'Not decided'],
}

export const verdictWords = ({ verdict }: ReportView): string => words[verdict][1]

/** What the page is for: one sentence, before anything else. */
export function verdictPart(view: ReportView): Html {
  const [tone, name] = words[view.verdict]
  const { recorded, explained } = view.signatures
  return html`<div class="verdict ${tone}">
    ${symbol(tone)}
    <div>
      <h1><strong>${name}:</strong> ${view.sentence}.</h1>
      <p>
        As of ${timeOf(view.nowMs)}, with ${durationText(view.graceMs)} of grace for late records.
        ${amount(recorded, 'signature')} in the vaults’ logs, ${numberText(explained)} explained by
        the ledger. ${amount(view.findings.length, 'finding')}.
      </p>
    </div>
  </div>`
}
