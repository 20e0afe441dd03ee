import type {
  ConcernView,
  FindingView,
  ListView,
  LiveAssertionView,
  ReportView,
  SeriesView,
  SignatureCountsView,
} from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { amount, atLeastAmount, distanceText, minuteText, numberText } from './page-words.ts'
import { symbol } from './symbols.ts'
import type { Tone } from './symbols.ts'

/** What an auditor comes with, answered in a word and a sentence. */
export interface AuditAnswer {
  readonly question: string
  readonly tone: Tone
  readonly word: string
  readonly text: string
  /** Id of the section that has the rest. */
  readonly section: string
}

export function answersFrom(view: ReportView): readonly AuditAnswer[] {
  return [
    { question: 'Was the key used by anyone else?', section: 'findings', ...othersUse(view) },
    { question: 'By whom was it used on our behalf?', section: 'signatures', ...ourUse(view) },
    { question: 'Is evidence missing?', section: 'coverage', ...missing(view) },
    { question: 'Has the ledger been altered?', section: 'chain', ...altered(view) },
    { question: 'What is still valid if we stop now?', section: 'alive', ...stillValid(view) },
  ]
}

type Said = Pick<AuditAnswer, 'tone' | 'word' | 'text'>

function othersUse(view: ReportView): Said {
  const found = ofConcern(view, 'others-use')
  if (found.length > 0) {
    return { tone: 'bad', word: 'Yes', text: `${kindsText(found)}${firstTime(found)}.` }
  }
  if (isAltered(view)) {
    return unsure('The ledger does not verify, and so it explains no signature.')
  }
  if (!isAnyDelivered(view)) return unsure('There is no log of a vault to tell it.')
  const maybe = ofConcern(view, 'maybe-others-use')
  if (maybe.length > 0) return unsure(`Nothing says so outright: ${kindsText(maybe)}.`)
  if (view.undecided.length > 0) {
    return unsure('Nothing found so far, and not everything could be decided.')
  }
  if (gapsIn(view) > 0) {
    return unsure('Nothing found in the records, and there are hours without any.')
  }
  const text = knownText(view.signatures)
  return isWhole(view)
    ? { tone: 'good', word: 'No', text }
    : { tone: 'unsure', word: 'Not that the logs show', text }
}

const knownText = ({ recorded, explained, agreed = 0 }: SignatureCountsView): string =>
  agreed === 0
    ? `${amount(recorded, 'signature')} by the watched keys in the vaults’ logs, and the ledger knows each.`
    : `${amount(recorded, 'signature')} by the watched keys in the vaults’ logs: the ledger knows ${numberText(explained)}, and ${numberText(agreed)} were by others, as was agreed.`

function ourUse({ timeline }: ReportView): Said {
  if (timeline === undefined) return unsure('The ledger was not read for it, or has no signature.')
  const total = sumOf(timeline.callers.flatMap(({ counts }) => counts))
  const most = timeline.callers.slice(0, 3)
  const rest = timeline.callers.slice(3)
  const named = most.map(({ name, counts }) => `${cut(name)} ${numberText(sumOf(counts))}`)
  const others = rest.length === 0 ? [] : [`others ${numberText(seriesSum(rest))}`]
  const text = total === 0 ? 'The ledger has none.' : `For ${[...named, ...others].join(', ')}.`
  return { tone: 'told', word: amount(total, 'signature'), text }
}

function missing(view: ReportView): Said {
  const found = ofConcern(view, 'missing-evidence')
  const gaps = gapsIn(view)
  const facts = found.length === 0 ? [] : [kindsText(found)]
  const doubts = [
    ...(isAnyDelivered(view) ? [] : ['no log was delivered']),
    ...(gaps === 0 ? [] : [`${amount(gaps, 'gap')} without any record`]),
    ...(view.signatures.unread === 0
      ? []
      : [`${amount(view.signatures.unread, 'place')} could not be read`]),
    ...(view.undecided.length === 0 ? [] : ['not everything could be decided']),
  ]
  const text = `${capital([...facts, ...doubts].join('; '))}.`
  if (facts.length > 0) return { tone: 'bad', word: 'Yes', text }
  if (doubts.length > 0) return unsure(text)
  const fits = 'the logs have all that the ledger has'
  return isWhole(view)
    ? {
        tone: 'good',
        word: 'No',
        text: `From the first hour to the last each has records, and ${fits}.`,
      }
    : {
        tone: 'unsure',
        word: 'Not that it shows',
        text: `${capital(fits)}. Whether hours are missing was not looked at.`,
      }
}

const isAnyDelivered = ({ coverage }: ReportView): boolean =>
  coverage.some(({ spans }) => spans.length > 0)

/** Somebody looked whether hours are missing. */
const isWhole = ({ coverage }: ReportView): boolean =>
  coverage.every(({ precision }) => precision === 'hours')

const gapsIn = ({ coverage }: ReportView): number =>
  sumOf(
    coverage.map(({ precision, spans }) =>
      precision === 'hours' ? Math.max(0, spans.length - 1) : 0,
    ),
  )

function altered(view: ReportView): Said {
  const { chain } = view
  if (isAltered(view)) {
    return { tone: 'bad', word: 'Yes', text: `${capital(alterations(view).join('; '))}.` }
  }
  const [open] = chain.undecided ?? []
  if (open !== undefined) return unsure(`${capital(cut(open))}.`)
  const witnessed = (chain.keepers ?? []).flatMap(({ agrees, sequence }) =>
    agrees === true ? (sequence ?? []) : [],
  )
  const entries =
    chain.entries === 1 ? 'the one entry stands' : `all ${numberText(chain.entries)} entries`
  if (witnessed.length > 0) {
    const upTo = Math.max(...witnessed)
    const text = `Up to entry ${numberText(upTo)} of ${numberText(chain.entries)}, somebody else keeps what it was.`
    return { tone: 'good', word: 'No', text }
  }
  return {
    tone: 'unsure',
    word: 'Not that the chain shows',
    text: `${capital(entries)} follow one another. Nobody outside keeps heads of it that were compared, so a ledger written anew as a whole would look the same.`,
  }
}

function stillValid({ tokens, assertions, nowMs }: ReportView): Said {
  if (tokens === undefined || assertions === undefined) {
    return unsure('The ledger was not read for it.')
  }
  if (tokens.count === 0 && assertions.count === 0) {
    return { tone: 'good', word: 'Nothing', text: 'All that the ledger says was issued is over.' }
  }
  const lastMs = Math.max(
    ...tokens.shown.map(({ expiresMs }) => expiresMs),
    ...assertions.shown.map(({ longLivedTokensUntilMs }) => longLivedTokensUntilMs),
  )
  const usable = usableAt(nowMs, assertions)
  return {
    tone: 'told',
    word: atLeastAmount(tokens, 'token'),
    text: `${usable.count === 0 ? 'No assertion' : capital(atLeastAmount(usable, 'assertion'))} can still be exchanged. What was bought with handed-out assertions included, nothing lives longer than ${minuteText(lastMs)} UTC (${distanceText(lastMs, nowMs)}).`,
  }
}

/** Those that end last are shown first: where all that are shown are usable, others may be. */
function usableAt(nowMs: number, { shown, count }: ListView<LiveAssertionView>) {
  const usable = shown.filter(({ expiresMs }) => expiresMs > nowMs).length
  return usable === shown.length && count > usable
    ? ({ count: usable, atLeast: true } as const)
    : { count: usable }
}

const unsure = (text: string): Said => ({ tone: 'unsure', word: 'Not decided', text })

const isAltered = (view: ReportView): boolean => alterations(view).length > 0

function alterations(view: ReportView): readonly string[] {
  const { fault, keepers = [] } = view.chain
  const found = ofConcern(view, 'altered-ledger')
  return [
    ...(fault === undefined ? [] : [fault]),
    ...keepers
      .filter(({ agrees }) => agrees === false)
      .map(({ name }) => `${cut(name)} holds something else`),
    ...(found.length === 0 || fault !== undefined ? [] : [kindsText(found)]),
  ]
}

const ofConcern = ({ findings }: ReportView, concern: ConcernView): readonly FindingView[] =>
  findings.filter((finding) => finding.concern === concern)

/** `2 × sign.unexplained, 1 × key.exposed`. */
function kindsText(findings: readonly FindingView[]): string {
  const kinds = [...new Set(findings.map(({ kind }) => kind))]
  return kinds
    .map((kind) => `${numberText(findings.filter((one) => one.kind === kind).length)} × ${kind}`)
    .join(', ')
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

const seriesSum = (series: readonly SeriesView[]): number =>
  sumOf(series.flatMap(({ counts }) => counts))

function firstTime(findings: readonly FindingView[]): string {
  const firstMs = findings.reduce((first, { atMs = Infinity }) => Math.min(first, atMs), Infinity)
  return firstMs === Infinity ? '' : `; the first at ${minuteText(firstMs)} UTC`
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Names are somebody else's: three of them have to leave room for the rest. */
const cut = (name: string): string => (name.length > 60 ? `${name.slice(0, 60)}…` : name)

/** All five on one screen. */
export const questionsPart = (view: ReportView): Html =>
  html`<section class="questions" aria-labelledby="questions-title">
    <h2 id="questions-title">Five questions</h2>
    <dl>
      ${answersFrom(view).map(
        ({ question, tone, word, text, section }) =>
          html`<div class="answer ${tone}">
            <dt>${question}</dt>
            <dd>
              ${symbol(tone)}
              <p>
                <strong>${word}.</strong> ${text}
                <a href="#${section}" aria-label="Evidence: ${question}">Evidence</a>
              </p>
            </dd>
          </div>`,
      )}
    </dl>
  </section>`
