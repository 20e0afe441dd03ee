import type { DifferenceView, EvidenceView, FindingView, ReportView } from '../report-view.ts'
import { html, textLengthMax } from './html.ts'
import type { Html } from './html.ts'
import { amount, minuteText, notKnown, numberText, section } from './page-words.ts'
import { symbol } from './symbols.ts'
import type { Tone } from './symbols.ts'
import { table } from './table.ts'

/** On the page, which a browser is to open at once. */
export const findingsShownMax = 2000
/** Of all their texts together: hostile ones are long. */
const charactersMax = 2_000_000

const severities = ['high', 'medium', 'low'] as const
const tones: Readonly<Record<FindingView['severity'], Tone>> = {
  high: 'bad',
  medium: 'unsure',
  low: 'told',
}

/** Of one side; records have a dozen members. */
const factsMax = 20
/** Lines of evidence for one finding. */
const sidesMax = 4

export const findingId = (index: number): string => `finding-${index + 1}`

/** Those that have room: the worst first, and then the oldest. */
export function findingsOnPage(findings: readonly FindingView[]): readonly FindingView[] {
  const shown = findings
    .toSorted(
      (one, other) =>
        severities.indexOf(one.severity) - severities.indexOf(other.severity) ||
        (one.atMs ?? 0) - (other.atMs ?? 0),
    )
    .slice(0, findingsShownMax)
  let characters = 0
  const full = shown.findIndex((finding) => (characters += charactersOf(finding)) > charactersMax)
  return full === -1 ? shown : shown.slice(0, full)
}

/** As the page shows them, with what it does not show of the longest. */
const charactersOf = ({ evidence, summary, next }: FindingView): number =>
  evidence
    .slice(0, sidesMax)
    .flatMap(({ facts }) => facts.slice(0, factsMax).flat())
    .concat(summary, next)
    .reduce((sum, text) => sum + Math.min(text.length, textLengthMax), 0)

/** Everything that does not fit, to be filtered and opened; without a script all of it is there to be read. */
export function findingsPart({ findings }: ReportView): Html {
  if (findings.length === 0) {
    return section('findings', 'Findings', html`<p>None.</p>`)
  }
  const shown = findingsOnPage(findings)
  const more = findings.length - shown.length
  return section(
    'findings',
    'Findings',
    filterPart(shown),
    more === 0
      ? undefined
      : html`<p class="cut">
          ${numberText(more)} more are not on this page, none of them worse than these:
          <code>countersign reconcile --json</code> has all ${numberText(findings.length)}.
        </p>`,
    html`<div id="finding-list">${shown.map(findingPart)}</div>`,
  )
}

/** Of no use without the script that shows it. */
function filterPart(shown: readonly FindingView[]): Html {
  const kinds = [...new Set(shown.map(({ kind }) => kind))].sort()
  return html`<div class="filter" id="finding-filter" role="search" aria-label="Findings" hidden>
    <label
      >Words
      <input id="filter-words" type="search" autocomplete="off" spellcheck="false" />
    </label>
    <label
      >Severity
      <select id="filter-severity">
        <option value="">all</option>
        ${severities.map((name) => html`<option value="${name}">${name}</option>`)}
      </select>
    </label>
    <label
      >Kind
      <select id="filter-kind">
        <option value="">all</option>
        ${kinds.map((kind, index) => html`<option value="${index}">${kind}</option>`)}
      </select>
    </label>
    <button type="button" id="open-all">Open all</button>
    <button type="button" id="close-all">Close all</button>
    <p id="filter-count" role="status">${amount(shown.length, 'finding')}</p>
  </div>`
}

/** For the filter: what it needs to know of each finding on the page, in order. */
export function filterData(findings: readonly FindingView[]) {
  const shown = findingsOnPage(findings)
  const kinds = [...new Set(shown.map(({ kind }) => kind))].sort()
  return {
    findings: shown.map(({ kind, severity }) => ({ kind: kinds.indexOf(kind), severity })),
  }
}

function findingPart(finding: FindingView, index: number): Html {
  const { kind, severity, summary, atMs, evidence, differences, joinedBy, next } = finding
  return html`<details class="finding ${severity}" id="${findingId(index)}">
    <summary>
      ${symbol(tones[severity])}
      <span class="severity">${severity}</span>
      <code class="kind">${kind}</code>
      <span class="summary">${summary}</span>
      <span class="when">${atMs === undefined ? 'no time' : `${minuteText(atMs)} UTC`}</span>
    </summary>
    <div class="evidence">
      ${evidence.length === 0 ? notKnown('There is no line of evidence to show.') : undefined}
      ${evidence.slice(0, sidesMax).map(evidencePart)}
      ${cutNote(evidence.length - sidesMax, 'more line')} ${differencesPart(differences)}
      ${joinedBy === undefined ? undefined : html`<p><strong>Joined by</strong> ${joinedBy}</p>`}
      <p><strong>What to do</strong> ${next}</p>
    </div>
  </details>`
}

const evidencePart = ({ of, facts }: EvidenceView): Html =>
  html`<div class="side">
    <h3>${of}</h3>
    <dl class="facts">
      ${facts.slice(0, factsMax).map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>
    ${cutNote(facts.length - factsMax, 'more fact')}
  </div>`

/** Whatever is not shown is said to be. */
const cutNote = (left: number, noun: string): Html | undefined =>
  left <= 0
    ? undefined
    : html`<p class="cut">
        ${amount(left, noun)} not on this page: <code>countersign reconcile --json</code> has all.
      </p>`

const differencesPart = (differences: readonly DifferenceView[] = []): Html | undefined =>
  differences.length === 0
    ? undefined
    : html`${table({
        caption: 'What differs',
        columns: ['What', 'In the ledger', 'In the vault’s log'],
        rows: differences
          .slice(0, factsMax)
          .map(({ what, ledger, vault }) => [what, ledger, vault]),
      })}
      ${cutNote(differences.length - factsMax, 'more difference')}`
