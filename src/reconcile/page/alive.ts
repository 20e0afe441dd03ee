import type { ListView, LiveAssertionView, LiveTokenView, ReportView } from '../report-view.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { atLeastAmount, code, momentFrom, notKnown, numberText, section } from './page-words.ts'
import { table } from './table.ts'

/** Of each list, on the page. */
const rowsMax = 200

/** What may still be used, whatever is stopped now. */
export function alivePart({ tokens, assertions, nowMs }: ReportView): Html {
  const title = 'Still alive'
  if (tokens === undefined || assertions === undefined) {
    return section('alive', title, notKnown('The ledger was not read for it.'))
  }
  return section(
    'alive',
    title,
    html`<p class="lead">
      Nobody here can take back what was issued. Stopping issues nothing new; what is listed ends by
      itself.
    </p>`,
    tokens.count === 0
      ? html`<p>No token that the ledger knows is alive.</p>`
      : tokensTable(tokens, nowMs),
    assertions.count === 0
      ? html`<p>No assertion was handed out of which anything could still live.</p>`
      : assertionsTable(assertions, nowMs),
  )
}

function tokensTable(tokens: ListView<LiveTokenView>, nowMs: number): Html {
  const shown = tokens.shown.slice(0, rowsMax)
  return table({
    caption: `${atLeastAmount(tokens, 'token')} alive${cutNote(shown, tokens)}`,
    columns: ['Ends (UTC)', 'For', 'Last given to', 'SHA-256'],
    rows: shown.map((token) => [
      momentFrom(token.expiresMs, nowMs),
      html`${token.application}: ${token.scope}
        <span class="of">tenant ${code(token.tenant)}</span>`,
      token.lastGivenTo ?? 'nobody yet',
      code(token.tokenSha256),
    ]),
  })
}

function assertionsTable(assertions: ListView<LiveAssertionView>, nowMs: number): Html {
  const shown = assertions.shown.slice(0, rowsMax)
  return table({
    caption: `${atLeastAmount(assertions, 'assertion')} handed out, usable or with tokens that may live${cutNote(shown, assertions)}`,
    columns: [
      'Usable until (UTC)',
      'Tokens until',
      'Tokens of a day until',
      'For',
      'Given to',
      'SHA-256',
    ],
    rows: shown.map((assertion) => [
      assertion.expiresMs > nowMs ? momentFrom(assertion.expiresMs, nowMs) : 'over',
      assertion.tokensUntilMs > nowMs ? momentFrom(assertion.tokensUntilMs, nowMs) : 'over',
      momentFrom(assertion.longLivedTokensUntilMs, nowMs),
      html`${assertion.application} <span class="of">tenant ${code(assertion.tenant)}</span>`,
      assertion.givenTo,
      code(assertion.assertionSha256),
    ]),
  })
}

const cutNote = (shown: readonly unknown[], { count }: ListView<unknown>): string =>
  shown.length === count ? '' : `; the ${numberText(shown.length)} that end last`
