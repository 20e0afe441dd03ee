import { fc } from '../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { shownText } from '../../src/reconcile/page/html.ts'
import { reportPage } from '../../src/reconcile/report-page.ts'
import type { ReportView, SeriesView } from '../../src/reconcile/report-view.ts'
import { tagsOf, textOf } from '../support/audit/page-text.ts'
import { calmView, foundView } from '../support/audit/report-views.ts'

/** What is of a closed set of ours, and no text of anybody. */
const closed = ['verdict', 'severity', 'concern', 'precision', 'place']

/** The view with this text wherever somebody else could have chosen one. */
function withText(view: ReportView, text: string): ReportView {
  const replaced = (value: unknown): unknown => {
    if (typeof value === 'string') return text
    if (Array.isArray(value)) return value.map(replaced)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [
        name,
        closed.includes(name) ? one : replaced(one),
      ]),
    )
  }
  return replaced(view) as ReportView
}

const known = [
  `<script>alert(1)</script>`,
  `</script></style></title></textarea><img src=x onerror=alert(1)>`,
  `" onmouseover="alert(1)" x="`,
  `' onfocus='alert(1)' autofocus='`,
  `<!--`,
  `]]><svg/onload=alert(1)>`,
  '\u202egnp.exe\u202c',
  `=cmd|' /C calc'!A0`,
  '{{constructor.constructor("alert(1)")()}}',
  '${alert(1)}',
  '\u0000\u001b[31mred',
  '&lt;b&gt;&amp;',
  'x'.repeat(10_000),
  '',
]

const hostile = fc.oneof(
  fc.constantFrom(...known),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(fc.constantFrom(...known, '<', '>', '"', "'", '&', '\u2028', '\ud800'), { maxLength: 6 })
    .map((parts) => parts.join('')),
)

/** With few pieces of time: many say no more, and take long. */
function short(view: ReportView): ReportView {
  const { timeline } = view
  if (timeline === undefined) return view
  const cut = (series: readonly SeriesView[]) =>
    series.map(({ name, counts }) => ({ name, counts: counts.slice(8, 12) }))
  const { callers, applications, ...rest } = timeline
  return {
    ...view,
    timeline: { ...rest, pieces: 4, callers: cut(callers), applications: cut(applications) },
  }
}

const views = fc.constantFrom<ReportView>(short(calmView), short(foundView))

describe('a page about hostile logs', () => {
  it('has the elements and attributes of one about harmless logs, and no other', () => {
    fc.assert(
      fc.property(views, hostile, (view, text) => {
        expect(tagsOf(reportPage(withText(view, text)))).toEqual(
          tagsOf(reportPage(withText(view, 'x'))),
        )
      }),
      { numRuns: 60 },
    )
  })

  it('shows every text, written out where it does not print', () => {
    fc.assert(
      fc.property(views, hostile, (view, text) => {
        const page = textOf(reportPage(withText(view, text)))
        expect(page).toContain(shownText(text).replaceAll(/\s+/g, ' ').trim())
        expect(page).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u0000\u001b]/)
      }),
      { numRuns: 60 },
    )
  })

  it('is no longer than a page of long texts can be', () => {
    const page = reportPage(withText(foundView, '<'.repeat(1_000_000)))
    expect(page.length).toBeLessThan(3_000_000)
  })
})
