import { hash } from 'node:crypto'
import { alivePart } from './page/alive.ts'
import { askersPart } from './page/askers.ts'
import { certificatesPart } from './page/certificates.ts'
import { chainPart } from './page/chain.ts'
import { coveragePart } from './page/coverage.ts'
import { filterData, findingsPart } from './page/findings.ts'
import { Html, html, scriptJson } from './page/html.ts'
import { pageScript } from './page/page-script.ts'
import { pageStyle } from './page/page-style.ts'
import { questionsPart } from './page/questions.ts'
import { fills } from './page/symbols.ts'
import { timelinePart } from './page/timeline.ts'
import { verdictPart, verdictWords } from './page/verdict.ts'
import type { ReportView } from './report-view.ts'

/** Of each kind of source, such as paths of logs. */
const sourcesMax = 100

/** Of a page that a service shows; a file has no such place. */
export interface LivePage {
  /** Where whoever looks may sign out. */
  readonly signOutPath: string
}

/**
 * The auditor's report as one page that needs nothing besides: no request leaves it, and its policy lets
 * none. Whatever a log says is shown as text. Pure.
 */
export function reportPage(view: ReportView, live?: LivePage): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${reportPagePolicy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${verdictWords(view)}: signatures of the key – Countersign</title>
        ${styleElement}
      </head>
      <body>
        ${fills}
        <a class="skip" href="#findings">To the findings</a>
        <header>
          <p class="product">Countersign <span>Account of every signature</span></p>
          ${contents} ${live === undefined ? '' : signOut(live)}
        </header>
        <main>
          ${verdictPart(view)} ${questionsPart(view)} ${timelinePart(view)} ${findingsPart(view)}
          ${coveragePart(view)} ${askersPart(view)} ${alivePart(view)} ${certificatesPart(view)}
          ${chainPart(view)}
        </main>
        <footer>
          <h2>What was read</h2>
          ${sourcesPart(view)}
        </footer>
        ${dataElement(view)} ${scriptElement}
      </body>
    </html> `.text
}

// To the letter what is hashed: nothing may be added to them.
const styleElement = Html.ofOurs(`<style>${pageStyle}</style>`)
const scriptElement = Html.ofOurs(`<script>${pageScript}</script>`)

const dataElement = ({ findings }: ReportView): Html =>
  html`<script type="application/json" id="report-data">
    ${scriptJson(filterData(findings))}
  </script>`

const sourceOf = (text: string): string => `'sha256-${hash('sha256', text, 'base64')}'`

/** Inline style and script are known by their hashes; nothing else is loaded, run or sent. */
export const reportPagePolicy = [
  "default-src 'none'",
  `style-src ${sourceOf(pageStyle)}`,
  `script-src ${sourceOf(pageScript)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const contents = html`<nav aria-label="Sections">
  <ul>
    <li><a href="#signatures">Signatures</a></li>
    <li><a href="#findings">Findings</a></li>
    <li><a href="#coverage">Delivery</a></li>
    <li><a href="#askers">Callers</a></li>
    <li><a href="#alive">Alive</a></li>
    <li><a href="#certificates">Certificates</a></li>
    <li><a href="#chain">Chain</a></li>
  </ul>
</nav>`

const signOut = ({ signOutPath }: LivePage): Html =>
  html`<p class="sign-out"><a href="${signOutPath}">Sign out</a></p>`

const sourcesPart = ({ sources }: ReportView): Html =>
  html`<dl class="facts wide">
    ${sources.slice(0, sourcesMax).map(
      ({ what, name, detail }) =>
        html`<dt>${what}</dt>
          <dd>${name}${detail === undefined ? '' : html` <span class="of">${detail}</span>`}</dd>`,
    )}
  </dl>`
