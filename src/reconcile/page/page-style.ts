/**
 * How the page looks: calm, with one colour kept for what must not be missed. Text on its ground has a
 * contrast of 4.5 or more in both schemes (WCAG 2.2 AA); a test measures it.
 */
export const pageStyle = `
:root {
  --ground: #faf9f6; --raised: #ffffff; --ink: #1c2326; --soft: #566066; --line: #dcdad2;
  --bar: #4d6b76; --link: #1d5a74; --focus: #0b6fa4;
  --good: #1d6644; --good-ground: #eaf3ed;
  --bad: #a8201a; --bad-ground: #fbeceb; --band: #a8201a22;
  --unsure: #7d5100; --unsure-ground: #f9f1df;
  --told: #46565e; --told-ground: #eef0ef;
  --hatch: #a9a69a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181a; --raised: #1b2123; --ink: #e4e8e8; --soft: #a2adb1; --line: #323a3d;
    --bar: #86a5b0; --link: #8cc4dc; --focus: #6cc1ee;
    --good: #7cc9a0; --good-ground: #182a22;
    --bad: #ff8d82; --bad-ground: #351a19; --band: #ff8d8233;
    --unsure: #e3b45c; --unsure-ground: #2e2615;
    --told: #aebbc0; --told-ground: #22292b;
    --hatch: #626d70;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0 auto; max-width: 72rem; padding: 0 1.5rem 4rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 2px; }
[hidden] { display: none !important; }
h1, h2, h3, p, dl, dd, ul, figure { margin: 0; padding: 0; }
h2 { font-size: 1.25rem; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 0.75rem; }
h3 { font-size: 0.875rem; font-weight: 650; color: var(--soft); }
code { font: 0.875em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
.fills { position: absolute; }
.of { display: block; color: var(--soft); font-size: 0.875rem; }
.moment { white-space: nowrap; }
.lead, .note, .cut { color: var(--soft); max-width: 46rem; margin-bottom: 1rem; }
.not-known { color: var(--unsure); }

header {
  display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; justify-content: space-between; align-items: baseline;
  padding: 1.5rem 0 1rem;
}
.product { font-weight: 650; }
.product span { color: var(--soft); font-weight: 400; margin-left: 0.5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; list-style: none; font-size: 0.9375rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { margin-top: 3.25rem; }

.symbol { flex: none; width: 1.25em; height: 1.25em; vertical-align: -0.25em; fill: none; stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round; }
.symbol > :first-child { fill: currentColor; stroke: currentColor; }
.symbol > .open { fill: none; stroke-dasharray: 4 2.8; }
.symbol > :last-child { stroke: var(--ground); }
.symbol.unsure > :last-child { stroke: currentColor; }
.symbol.good, span.good { color: var(--good); }
.symbol.bad, span.bad { color: var(--bad); }
.symbol.unsure { color: var(--unsure); }
.symbol.told { color: var(--told); }

.verdict { display: flex; gap: 1.1rem; padding: 1.5rem 1.75rem; border-radius: 10px; border-left: 6px solid; }
.verdict > .symbol { width: 2.5rem; height: 2.5rem; margin-top: 0.1rem; }
.verdict h1 { font-size: clamp(1.3rem, 1rem + 1.6vw, 1.875rem); line-height: 1.25; font-weight: 500; letter-spacing: -0.015em; }
.verdict p { margin-top: 0.6rem; color: var(--soft); }
.verdict.good { background: var(--good-ground); border-color: var(--good); }
.verdict.bad { background: var(--bad-ground); border-color: var(--bad); }
.verdict.unsure { background: var(--unsure-ground); border-color: var(--unsure); }
.verdict.good strong { color: var(--good); }
.verdict.bad strong { color: var(--bad); }
.verdict.unsure strong { color: var(--unsure); }

.questions { margin-top: 1.75rem; }
.questions h2 { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.answer { display: grid; grid-template-columns: 19.5rem 1fr; gap: 0.15rem 1.5rem; padding: 0.7rem 0; border-bottom: 1px solid var(--line); }
.answer dt { color: var(--soft); }
.answer dd { display: flex; gap: 0.7rem; }
.answer .symbol { margin-top: 0.15rem; }
.answer.good strong { color: var(--good); }
.answer.bad strong { color: var(--bad); }
.answer.unsure strong { color: var(--unsure); }
.answer a { white-space: nowrap; font-size: 0.9375rem; }

.lanes { margin: 1.25rem 0 0.75rem; }
figcaption, caption { text-align: left; font-size: 0.9375rem; font-weight: 650; padding: 0 0 0.4rem; }
.lane { display: grid; grid-template-columns: 15rem 1fr 5rem; gap: 0 1rem; align-items: center; border-top: 1px solid var(--line); }
.lane-name { font-size: 0.9375rem; line-height: 1.3; }
.lane-number { text-align: right; }
.lane.alarm { border-top: 2px solid var(--bad); background: var(--bad-ground); color: var(--bad); font-weight: 650; }
.lane.alarm .lane-name { padding-left: 0.6rem; }
.lane.alarm .lane-number { padding-right: 0.6rem; }
.lane.axis { color: var(--soft); }
.plot { display: block; width: 100%; overflow: visible; }
.plot text { font-size: 0.8125rem; fill: var(--soft); }
.axis .plot { overflow: hidden; }
.bar { fill: var(--bar); }
.band { fill: var(--band); }
.diamond path { fill: var(--bad); }
.plot .diamond text { font-size: 0.6875rem; font-weight: 700; fill: var(--ground); }
.missing { fill: url(#hatch); stroke: var(--hatch); }
.hatch-ground { fill: var(--raised); }
.hatch-line { fill: var(--hatch); }
.delivered { fill: var(--bar); stroke: var(--bar); }
.others { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 0.75rem 0; padding: 0.6rem 0.75rem; background: var(--bad-ground); border-radius: 6px; }
.others strong { color: var(--bad); }
.others ul { display: flex; flex-wrap: wrap; gap: 0.15rem 1rem; list-style: none; }
.gaps, .undecided { margin-top: 1rem; padding: 0.75rem 1rem; background: var(--unsure-ground); border-radius: 6px; }
.gaps strong, .undecided strong { color: var(--unsure); }
.gaps ul, .undecided ul { padding-left: 1.25rem; }

.table-frame { overflow-x: auto; margin: 0.75rem 0 1.5rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9375rem; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 1.1rem 0.45rem 0; border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; font-size: 0.875rem; border-top: 0; }
tbody th { font-weight: 500; min-width: 8rem; }
thead th { overflow-wrap: break-word; }
th.number, td.number { text-align: right; white-space: nowrap; }
details > summary { cursor: pointer; color: var(--link); }
section > details { margin: 0.5rem 0 1.5rem; font-size: 0.9375rem; }

.filter { display: flex; flex-wrap: wrap; gap: 0.75rem 1rem; align-items: end; margin-bottom: 1rem; }
.filter label { display: grid; gap: 0.2rem; font-size: 0.875rem; color: var(--soft); }
input, select, button {
  font: inherit; color: var(--ink); background: var(--raised); border: 1px solid var(--soft); border-radius: 6px;
  padding: 0.4rem 0.6rem; min-height: 2.5rem; max-width: 100%;
}
button { cursor: pointer; }
button:hover { border-color: var(--ink); }
#filter-words { width: 18rem; }
#filter-count { color: var(--soft); min-height: 2.5rem; display: flex; align-items: center; }
.finding { background: var(--raised); border: 1px solid var(--line); border-left: 5px solid; border-radius: 6px; margin-bottom: 0.5rem; }
.finding.high { border-left-color: var(--bad); }
.finding.medium { border-left-color: var(--unsure); border-left-style: double; }
.finding.low { border-left-color: var(--told); border-left-style: dotted; }
.finding > summary {
  display: grid; grid-template-columns: 1.4rem 4.2rem 12rem 1fr auto; gap: 0 0.6rem; align-items: baseline;
  padding: 0.65rem 0.9rem; color: var(--ink); list-style: none;
}
.finding .symbol { align-self: center; }
.finding > summary::-webkit-details-marker { display: none; }
.finding > summary::after { content: "+"; grid-column: 6; color: var(--soft); width: 1ch; }
.finding[open] > summary::after { content: "–"; }
.finding .symbol > :last-child { stroke: var(--raised); }
.finding .symbol.unsure > :last-child { stroke: currentColor; }
.severity { font-size: 0.875rem; color: var(--soft); }
.high .severity { color: var(--bad); font-weight: 650; }
.kind { font-weight: 650; }
.when { color: var(--soft); font-size: 0.875rem; white-space: nowrap; }
.evidence { padding: 0.25rem 0.9rem 1rem 2.9rem; display: grid; gap: 0.9rem; }
.facts { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: 0.15rem 1.25rem; font-size: 0.9375rem; }
.facts dt { color: var(--soft); }
.facts.wide { grid-template-columns: 10rem 1fr; gap: 0.4rem 1.25rem; }
.next { display: flex; gap: 0.6rem; align-items: center; margin-bottom: 1rem; }
footer { margin-top: 4rem; padding-top: 1.5rem; border-top: 1px solid var(--line); font-size: 0.9375rem; }

@media (max-width: 46rem) {
  body { padding: 0 1rem 3rem; }
  .verdict { padding: 1.1rem; gap: 0.8rem; }
  .verdict > .symbol { width: 1.75rem; height: 1.75rem; }
  section { margin-top: 2.5rem; }
  .answer, .facts, .facts.wide { grid-template-columns: 1fr; }
  .facts dd { margin-bottom: 0.4rem; }
  .lane { grid-template-columns: 1fr auto; padding: 0.35rem 0; }
  .lane .plot { grid-row: 2; grid-column: 1 / -1; }
  .lane.axis .lane-name { display: none; }
  .axis .middle { display: none; }
  .lane.alarm { padding: 0.35rem 0.6rem; }
  .lane.alarm .lane-name, .lane.alarm .lane-number { padding: 0; }
  .lane.alarm .plot { margin: 0 -0.6rem; width: calc(100% + 1.2rem); }
  .finding > summary { grid-template-columns: 1.4rem auto 1fr 1.2ch; row-gap: 0.15rem; }
  .finding > summary::after { grid-row: 1; grid-column: 4; }
  .summary, .when { grid-column: 2 / -1; }
  .finding .symbol { align-self: start; margin-top: 0.15rem; }
  .evidence { padding-left: 0.9rem; }
  #filter-words { width: 100%; }
  .filter label:first-child { flex: 1 0 100%; }
  table, tbody, tr, tbody th, td, caption { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border-top: 1px solid var(--line); padding: 0.5rem 0; }
  tbody th, td { border: 0; padding: 0.1rem 0; }
  td.number { text-align: left; white-space: normal; }
  td::before { content: attr(data-column) ": "; color: var(--soft); }
}

@media print {
  :root {
    --ground: #fff; --raised: #fff; --ink: #000; --soft: #444; --line: #bbb; --bar: #444; --link: #000;
    --good: #0b4d2c; --bad: #8e1510; --unsure: #5e3d00; --told: #333; --band: #8e151022;
    --good-ground: #fff; --bad-ground: #fff; --unsure-ground: #fff; --told-ground: #fff; --hatch: #999;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .filter, .skip, .answer a, .finding > summary::after { display: none !important; }
  section { margin-top: 1.5rem; }
  .verdict, .answer, .lane, .finding, tr { break-inside: avoid; }
  .verdict { border: 1pt solid; border-left-width: 6pt; }
  h2, figcaption, caption { break-after: avoid; }
  .finding::details-content { content-visibility: visible; block-size: auto; }
  * { print-color-adjust: exact; }
}
`
