import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { findingsShownMax } from '../../../../src/reconcile/page/findings.ts'
import { pageStyle } from '../../../../src/reconcile/page/page-style.ts'
import { reportPage } from '../../../../src/reconcile/report-page.ts'
import type { ReportView } from '../../../../src/reconcile/report-view.ts'
import { textOf } from '../../../support/audit/page-text.ts'
import {
  bareView,
  calmView,
  foundView,
  hourMs,
  unexplainedFinding,
  viewNowMs,
  viewStartMs,
} from '../../../support/audit/report-views.ts'

/** What a reader sees of one section. */
function sectionOf(
  view: ReportView,
  id: string,
): { readonly markup: string; readonly text: string } {
  const [, markup = ''] =
    new RegExp(`<section id="${id}"[^>]*>([^]*?)</section>`).exec(reportPage(view)) ?? []
  return { markup, text: textOf(markup) }
}

describe('the page', () => {
  it('begins with the verdict in one sentence', () => {
    const headings = [...reportPage(foundView).matchAll(/<h([1-6])[^>]*>([^]*?)<\/h\1>/g)]
    expect(textOf(headings[0]?.[2] ?? '')).toBe(
      'Not accounted for: the ledger does not know 2 signatures of the vault’s log; ledger and log disagree on 1 signature; 1 signature can only be assumed to be ours, because the vault’s answer was lost or no good.',
    )
    expect(headings.filter(([, level]) => level === '1')).toHaveLength(1)
    expect(textOf(reportPage(calmView))).toContain('Accounted for: the ledger knows every')
    expect(textOf(reportPage(bareView))).toContain('Not decided: a log without any record.')
  })

  it('lets itself load, send and run nothing but what it carries', () => {
    const page = reportPage(foundView)
    const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(page) ?? []
    const hashOf = (element: string) => {
      const [, text = ''] = new RegExp(`<${element}>([^]*?)</${element}>`).exec(page) ?? []
      expect(text.length).toBeGreaterThan(500)
      return `&#39;sha256-${createHash('sha256').update(text).digest('base64')}&#39;`
    }
    expect(policy.split('; ')).toEqual([
      'default-src &#39;none&#39;',
      `style-src ${hashOf('style')}`,
      `script-src ${hashOf('script')}`,
      'base-uri &#39;none&#39;',
      'form-action &#39;none&#39;',
    ])
    expect(page).not.toMatch(/\s(style|on[a-z]+)=|\b(src|action)=|href="(?!#)/)
  })

  it('has an id once, and every link and label leads to one', () => {
    for (const view of [calmView, foundView, bareView]) {
      const page = reportPage(view)
      const ids = [...page.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id)
      expect(new Set(ids).size).toBe(ids.length)
      const named = [
        ...page.matchAll(/(?:href="#|aria-labelledby="|aria-describedby="|url\(#)([^")]*)/g),
      ].flatMap(([, names = '']) => names.split(' '))
      expect(named.length).toBeGreaterThan(10)
      expect(named.filter((name) => !ids.includes(name))).toEqual([])
    }
  })

  it('has tables with captions, and headings of columns and rows', () => {
    const tables = [...reportPage(foundView).matchAll(/<table[^]*?<\/table>/g)].map(([all]) => all)
    expect(tables.length).toBeGreaterThan(5)
    for (const one of tables) {
      expect(one).toMatch(/<caption>\s*\S/)
      expect(one).toContain('scope="col"')
      expect(one).toContain('scope="row"')
    }
  })

  it('has drawings with a title and a description', () => {
    const drawings = [...reportPage(foundView).matchAll(/<svg\s[^>]*role="img"[^]*?<\/desc>/g)]
    expect(drawings.length).toBeGreaterThan(8)
    for (const [drawing] of drawings)
      expect(drawing).toMatch(/<title id="\S+">\s*\S[^]*<desc id="\S+">\s*\S/)
  })

  it('says of every part that is not known that it is not', () => {
    for (const id of ['signatures', 'askers', 'alive', 'certificates']) {
      expect(sectionOf(bareView, id).text).toContain('was not read for')
    }
    expect(sectionOf(bareView, 'coverage').text).toContain('No log was delivered')
    expect(sectionOf(bareView, 'chain').text).toContain('Nobody looked for signed heads')
    expect(textOf(reportPage(calmView))).not.toMatch(/was not read|Nobody looked/)
  })

  it('says what was read', () => {
    const text = textOf(reportPage(calmView))
    expect(text).toContain('/var/lib/countersign/countersign.db 61,204 lines')
  })
})

describe('signatures over time', () => {
  it('puts what is not ours first, and says where it is told', () => {
    const { markup, text } = sectionOf(foundView, 'signatures')
    const lanes = [...markup.matchAll(/<div class="lane-name">([^]*?)<\/div>/g)].map(
      ([, name = '']) => textOf(name),
    )
    expect(lanes.slice(0, 3)).toEqual([
      'Not ours',
      'billing-export (github)',
      'orders-api (platform)',
    ])
    expect(text).toContain(
      '2 in all, from 2026-11-21 02:00 to 2026-11-21 03:00 UTC; at most 2 in 1 h.',
    )
    expect(markup).toContain('href="#finding-1"')
    expect(text).toContain('sign.unexplained, 2026-11-21 02:24')
  })

  it('says that none was found, and warns of nothing', () => {
    const { markup, text } = sectionOf(calmView, 'signatures')
    expect(text).toContain('none found')
    expect(markup).not.toMatch(/class="(lane alarm|band|diamond|others)"/)
  })

  it('has the numbers of the picture in a table', () => {
    const view: ReportView = {
      ...calmView,
      timeline: {
        startMs: viewStartMs,
        pieceMs: hourMs,
        pieces: 3,
        callers: [{ name: 'api', counts: [5, 0, 1200] }],
        applications: [{ name: 'events', counts: [5, 0, 1200] }],
      },
    }
    const { text } = sectionOf(view, 'signatures')
    expect(text).toContain('From (UTC) Not ours api 2026-11-19 00:00 0 5 2026-11-19 02:00 0 1,200')
    expect(text).not.toContain('2026-11-19 01:00 0 0')
  })
})

describe('findings', () => {
  it('are said to be none', () => {
    expect(sectionOf(calmView, 'findings').text).toBe('Findings None.')
  })

  it('stand in order, the worst first, with evidence, differences and what to do', () => {
    const { markup, text } = sectionOf(foundView, 'findings')
    const kinds = [...markup.matchAll(/<code class="kind">([^<]*)/g)].map(([, kind = '']) =>
      kind.trim(),
    )
    expect(kinds).toEqual(['sign.unexplained', 'sign.unexplained', 'sign.differs', 'sign.assumed'])
    expect(text).toContain('from 198.51.100.77 client nightly-build/2.1')
    expect(text).toContain(
      'What differs What In the ledger In the vault’s log algorithm PS256 RS256',
    )
    expect(text).toContain('Joined by the vault’s request id, in both')
    expect(text).toContain('What to do Ask what that principal did')
  })

  it('are counted where they are too many for a page, and the worst are on it', () => {
    const low = Array.from({ length: findingsShownMax }, () =>
      unexplainedFinding(viewStartMs, { severity: 'low', evidence: [] }),
    )
    const view = {
      ...foundView,
      findings: [...low, unexplainedFinding(viewStartMs, { kind: 'the.worst' })],
    }
    const { markup, text } = sectionOf(view, 'findings')
    expect(markup.match(/<details/g)).toHaveLength(findingsShownMax)
    expect(markup).toContain('the.worst')
    expect(text).toContain('1 more are not on this page')
    expect(text).toContain('countersign reconcile --json has all 2,001')
  })
})

describe('a finding with more evidence than is shown', () => {
  it('says how much is left out, of lines, facts and differences', () => {
    const many = <Item>(length: number, item: Item) => Array.from({ length }, () => item)
    const finding = unexplainedFinding(viewStartMs, {
      evidence: many(5, { of: 'x', facts: many(23, ['changed', 'y'] as const) }),
      differences: many(21, { what: 'key', ledger: 'a', vault: 'b' }),
    })
    const { text } = sectionOf({ ...foundView, findings: [finding] }, 'findings')
    expect(text.match(/3 more facts not on this page/g)).toHaveLength(4)
    expect(text).toContain('1 more line not on this page')
    expect(text).toContain('1 more difference not on this page')
    const { text: whole } = sectionOf(foundView, 'findings')
    expect(whole).not.toContain('not on this page')
  })
})

describe('findings with long texts', () => {
  it('are fewer, so that a browser can open the page', () => {
    const facts = [['client', '<'.repeat(10_000)]] as const
    const long = unexplainedFinding(viewStartMs, {
      evidence: Array.from({ length: 4 }, () => ({
        of: 'x',
        facts: Array.from({ length: 20 }, () => facts).flat(),
      })),
    })
    const page = reportPage({ ...foundView, findings: Array.from({ length: 2000 }, () => long) })
    expect(page.length).toBeLessThan(12_000_000)
    expect(textOf(page)).toMatch(/1,9\d\d more are not on this page/)
  })
})

describe('what was delivered', () => {
  it('draws and says each gap', () => {
    const { markup, text } = sectionOf(foundView, 'coverage')
    expect(markup.match(/class="delivered"/g)).toHaveLength(3)
    expect(text).toContain(
      'contoso-ci.vault.azure.net: 2026-11-20 07:00 to 2026-11-20 12:00 UTC (5 h)',
    )
    expect(text).toContain('Not decided, and to be looked at by a later run: 12 signatures')
  })

  it('draws a vault without any record as missing, and claims no gap of it', () => {
    const view = {
      ...calmView,
      coverage: [
        ...calmView.coverage,
        { of: 'silent.vault.azure.net', spans: [], precision: 'hours' as const },
      ],
    }
    const { markup, text } = sectionOf(view, 'coverage')
    expect(text).toContain('silent.vault.azure.net Nothing was delivered.')
    expect(markup.match(/class="missing"/g)).toHaveLength(view.coverage.length)
    const none = { ...calmView, coverage: view.coverage.slice(-1) }
    expect(sectionOf(none, 'coverage').text).toContain('No log was delivered')
  })

  it('claims nothing of hours where only ends are known', () => {
    const spans = [{ fromMs: viewStartMs, toMs: viewNowMs }]
    const view = { ...calmView, coverage: [{ of: 'v', spans, precision: 'ends' as const }] }
    expect(sectionOf(view, 'coverage').text).toContain('was not looked at')
    expect(sectionOf(view, 'coverage').text).not.toContain('no gap')
    expect(sectionOf(calmView, 'coverage').text).toContain('no gap')
    expect(sectionOf(calmView, 'coverage').text).not.toContain('was not looked at')
    expect(sectionOf(calmView, 'coverage').text).toContain('Nothing is left undecided.')
  })
})

describe('who asked for what', () => {
  it('names caller, what for, how it ended and by which grant', () => {
    const { text } = sectionOf(calmView, 'askers')
    expect(text).toContain('project_path:contoso/sandbox:ref_type:branch:ref:try-things gitlab')
    expect(text).toContain(
      'fabrikam-ci: an assertion tenant fab00000-0000-4000-8000-000000000002 0 4 0 none',
    )
  })

  it('says that nobody did, and how many are left out', () => {
    const nobody = { ...calmView, askers: { shown: [], count: 0 } }
    expect(sectionOf(nobody, 'askers').text).toContain('Nobody asked for anything.')
    const many = {
      ...calmView,
      askers: { shown: calmView.askers?.shown ?? [], count: 20_000, atLeast: true as const },
    }
    expect(sectionOf(many, 'askers').text).toContain(
      'at least 20,000 pairs of a caller and what it asked for, the 4 that asked last',
    )
  })
})

describe('what is alive', () => {
  it('says when each ends, and who had it last', () => {
    const { text } = sectionOf(calmView, 'alive')
    expect(text).toContain('3 tokens alive')
    expect(text).toContain('2026-11-22 00:58 in 58 min')
    expect(text).toContain('nobody yet')
    expect(text).toContain('over 2026-11-22 01:01 in 61 min 2026-11-23 03:31 in 27 h')
  })

  it('says that nothing is', () => {
    const none = { shown: [], count: 0 }
    const { text } = sectionOf({ ...calmView, tokens: none, assertions: none }, 'alive')
    expect(text).toContain('No token that the ledger knows is alive.')
    expect(text).toContain('No assertion was handed out')
  })
})

describe('certificates', () => {
  const [first] = calmView.certificates ?? []
  const ending = (notAfterMs: number): ReportView => ({
    ...calmView,
    certificates: first === undefined ? [] : [{ ...first, notAfterMs }],
  })

  it('name the next to end', () => {
    const { markup, text } = sectionOf(calmView, 'certificates')
    expect(text).toContain('Next to end: partners , 2027-06-22 00:00 UTC (in 212 days).')
    expect(markup).toContain('class="next good"')
  })

  it('warn a month before, and say when all are over', () => {
    expect(sectionOf(ending(viewNowMs + 29 * 24 * hourMs), 'certificates').markup).toContain(
      'class="next unsure"',
    )
    expect(sectionOf(ending(viewNowMs), 'certificates').text).toContain(
      'Every certificate has ended',
    )
  })
})

describe('chain, heads and witness', () => {
  it('say what is proven, and by whom', () => {
    const { text } = sectionOf(calmView, 'chain')
    expect(text).toContain('Consistent: 61,204 lines')
    expect(text).toContain(
      '4,320, the last of 2026-11-21 23:59 UTC for entry 61,180; unsealed: 24.',
    )
    expect(text).toContain('witness.audit.contoso.example witness the same 61,180')
  })

  it('say what is broken, and that nobody keeps heads', () => {
    const chain = { entries: 9, fault: 'entry 3 is not what was written', keepers: [] }
    const { text } = sectionOf({ ...calmView, chain }, 'chain')
    expect(text).toContain('Broken: entry 3 is not what was written.')
    expect(text).toContain('self-consistent, not proven unrewritten')
    expect(text).not.toContain('Consistent:')
  })
})

describe('colours', () => {
  const luminance = (hex: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const contrast = (one: string, other: string) => {
    const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (light + 0.05) / (dark + 0.05)
  }
  const schemes = [...pageStyle.matchAll(/:root \{([^}]*)\}/g)].map(
    ([, block = '']) =>
      new Map(
        [...block.matchAll(/--([a-z-]+): (#[0-9a-f]+)/g)].map(([, name = '', hex = '']) => [
          name,
          hex.length === 4 ? hex.replaceAll(/[0-9a-f]/g, '$&$&') : hex,
        ]),
      ),
  )
  const grounds = ['ground', 'raised', 'good-ground', 'bad-ground', 'unsure-ground']
  const pairs = [
    ...['ink', 'soft', 'link'].flatMap((name) => grounds.map((on) => [name, on] as const)),
    ...['good', 'bad', 'unsure'].flatMap((name) =>
      ['ground', 'raised', `${name}-ground`].map((on) => [name, on] as const),
    ),
  ]

  it('are three sets: light, dark and print', () => {
    expect(schemes).toHaveLength(3)
  })

  it.each(
    ['light', 'dark', 'print'].map((name, index) => ({
      name,
      scheme: schemes[index] ?? new Map<string, string>(),
    })),
  )('let text be read in $name (WCAG AA)', ({ scheme }) => {
    const ratios = pairs.map(([name, on]) => ({
      pair: `${name} on ${on}`,
      ratio: contrast(scheme.get(name) ?? '', scheme.get(on) ?? ''),
    }))
    expect(ratios.filter(({ ratio }) => !(ratio >= 4.5))).toEqual([])
  })
})
