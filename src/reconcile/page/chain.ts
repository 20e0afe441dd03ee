import type { ChainView, HeadsView, KeeperView, ReportView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { amount, code, minuteText, numberText, section } from './page-words.ts'
import { symbol } from './symbols.ts'
import { table } from './table.ts'

const keepersMax = 50

/** Whether the ledger is what was written, and who else can tell. */
export const chainPart = ({ chain }: ReportView): Html =>
  section(
    'chain',
    'Chain, heads and witness',
    html`<dl class="facts wide">
      <dt>Chain</dt>
      <dd>${chainText(chain)}</dd>
      ${
        chain.tipHash === undefined
          ? undefined
          : html`<dt>Last hash</dt>
              <dd>${code(chain.tipHash)}</dd>`
      }
      <dt>Heads</dt>
      <dd>${headsText(chain.heads)}</dd>
      <dt>Kept elsewhere</dt>
      <dd>${keptText(chain.keepers)}</dd>
    </dl>`,
    keepersTable(chain.keepers ?? []),
  )

const chainText = ({ fault, entries }: ChainView): Html =>
  fault === undefined
    ? html`<span class="good">${symbol('good')} Consistent:</span> ${amount(entries, 'line')}, each
        follows the one before it.`
    : html`<span class="bad">${symbol('bad')} Broken:</span> ${fault}. ${amount(entries, 'line')}
        were read.`

function headsText(heads: HeadsView | undefined): Html {
  if (heads === undefined) return html`Nobody looked for signed heads.`
  if (heads.last === undefined) return html`None: ${amount(heads.unsealed, 'line')} unsealed.`
  return html`${numberText(heads.count)}, the last of ${minuteText(heads.last.atMs)} UTC for entry
  ${numberText(heads.last.sequence)}; unsealed: ${numberText(heads.unsealed)}.`
}

function keptText(keepers: readonly KeeperView[] | undefined): Html {
  if (keepers === undefined) {
    return html`Nobody looked. Compare the last hash with a copy that was kept where the service
    cannot reach.`
  }
  return keepers.length === 0
    ? html`By nobody: self-consistent, not proven unrewritten.`
    : html`By ${numberText(keepers.length)}: see the table.`
}

const agreementText = (agrees: boolean | undefined): string => {
  if (agrees === undefined) return 'not all compared'
  return agrees ? 'the same' : 'something else'
}

const keepersTable = (keepers: readonly KeeperView[]): Html | undefined =>
  keepers.length === 0
    ? undefined
    : table({
        caption: 'Who else keeps heads of this ledger',
        columns: ['Name', 'Kind', 'Says', 'Up to entry', 'Of (UTC)'],
        rows: keepers
          .slice(0, keepersMax)
          .map(({ name, kind, agrees, sequence, atMs }) => [
            name,
            kind,
            agreementText(agrees),
            sequence === undefined ? 'none' : numberText(sequence),
            atMs === undefined ? 'unknown' : minuteText(atMs),
          ]),
        numbers: [3],
      })
