import type { ReportView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { atLeastAmount, code, momentOf, notKnown, numberText, section } from './page-words.ts'
import { table } from './table.ts'

/** On the page; the ledger has all. */
const rowsMax = 300

/** Who asked for what, and what became of it. */
export function askersPart({ askers }: ReportView): Html {
  const title = 'Who asked for what'
  if (askers === undefined) {
    return section('askers', title, notKnown('The ledger was not read for it.'))
  }
  if (askers.count === 0) return section('askers', title, html`<p>Nobody asked for anything.</p>`)
  const shown = askers.shown.slice(0, rowsMax)
  return section(
    'askers',
    title,
    table({
      caption: `${atLeastAmount(askers, 'pair')} of a caller and what it asked for${shown.length === askers.count ? '' : `, the ${numberText(shown.length)} that asked last`}`,
      columns: ['Caller', 'For', 'Issued', 'Refused', 'Failed', 'Grant', 'Last (UTC)'],
      rows: shown.map((asker) => [
        html`${asker.subject} <span class="of">${asker.issuer}</span>`,
        html`${asker.application}: ${asker.scope ?? 'an assertion'}
          <span class="of">tenant ${code(asker.tenant)}</span>`,
        numberText(asker.issued),
        numberText(asker.refused),
        numberText(asker.failed),
        asker.grant ?? 'none',
        momentOf(asker.lastMs),
      ]),
      numbers: [2, 3, 4],
    }),
    html`<p class="note">
      What the service refreshes ahead of need has no caller, and is in the picture above alone.
    </p>`,
  )
}
