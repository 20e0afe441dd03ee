import { describe, expect, it } from 'vitest'
import { answersFrom } from '../../../../src/reconcile/page/questions.ts'
import type { FindingView, ReportView } from '../../../../src/reconcile/report-view.ts'
import {
  bareView,
  calmView,
  foundView,
  unexplainedFinding,
  viewStartMs,
} from '../../../support/audit/report-views.ts'

const answered = (view: ReportView) =>
  answersFrom(view).map(({ tone, word, text }) => ({ tone, word, text }))

const one = unexplainedFinding(viewStartMs)
const withFinding = (concern: FindingView['concern'], kind: string): ReportView => ({
  ...calmView,
  findings: [{ ...one, concern, kind }],
})

describe("the auditor's five questions", () => {
  it('are these, in this order, each with the section that has the rest', () => {
    expect(answersFrom(bareView).map(({ question, section }) => [question, section])).toEqual([
      ['Was the key used by anyone else?', 'findings'],
      ['By whom was it used on our behalf?', 'signatures'],
      ['Is evidence missing?', 'coverage'],
      ['Has the ledger been altered?', 'chain'],
      ['What is still valid if we stop now?', 'alive'],
    ])
  })

  it('are answered well when everything is known and fits', () => {
    const [others, ours, missing, altered, valid] = answered(calmView)
    expect(others).toMatchObject({ tone: 'good', word: 'No' })
    expect(ours).toMatchObject({ tone: 'told' })
    expect(ours?.text).toMatch(
      /^For billing-export \(github\) [\d,]+, orders-api .*, others \d+\.$/,
    )
    expect(missing).toMatchObject({ tone: 'good', word: 'No' })
    expect(altered).toMatchObject({ tone: 'good', word: 'No' })
    expect(altered?.text).toContain('Up to entry 61,180 of 61,204')
    expect(valid).toMatchObject({ tone: 'told', word: '3 tokens' })
    expect(valid?.text).toContain('1 assertion can still be exchanged')
    expect(valid?.text).toContain('2026-11-23 04:03 UTC (in 28 h)')
  })

  it('are not answered by guessing when nothing is known', () => {
    const answers = answered(bareView)
    expect(answers.map(({ tone }) => tone)).toEqual(Array(5).fill('unsure'))
    expect(answers.map(({ word }) => word)).not.toContain('No')
  })
})

describe('was the key used by anyone else', () => {
  const answer = (view: ReportView) => answered(view)[0]

  it('yes, with kinds and the first time', () => {
    expect(answer(foundView)).toEqual({
      tone: 'bad',
      word: 'Yes',
      text: '2 × sign.unexplained; the first at 2026-11-21 02:12 UTC.',
    })
  })

  it('is not decided while something is undecided, or the ledger explains nothing', () => {
    const undecided = { ...calmView, undecided: [{ text: 'too young', count: 1 }] }
    expect(answer(undecided)?.tone).toBe('unsure')
    const broken = { ...calmView, chain: { ...calmView.chain, fault: 'entry 3 is wrong' } }
    expect(answer(broken)?.tone).toBe('unsure')
  })

  it('is no more than the logs show where hours could be missing, or are', () => {
    const coverage = calmView.coverage.map((one) => ({ ...one, precision: 'ends' as const }))
    expect(answer({ ...calmView, coverage })).toMatchObject({
      tone: 'unsure',
      word: 'Not that the logs show',
    })
    const gapped = { ...calmView, coverage: foundView.coverage }
    expect(answer(gapped)).toMatchObject({ tone: 'unsure' })
  })

  it('is left open by a finding that may mean it', () => {
    expect(answer(withFinding('maybe-others-use', 'sign.assumed'))).toEqual({
      tone: 'unsure',
      word: 'Not decided',
      text: 'Nothing says so outright: 1 × sign.assumed.',
    })
    expect(answer(withFinding('missing-evidence', 'sign.unrecorded'))?.word).toBe('No')
  })

  it('counts what others may do by itself', () => {
    const view = { ...calmView, signatures: { recorded: 9, explained: 7, agreed: 2, unread: 0 } }
    expect(answer(view)?.text).toContain('the ledger knows 7, and 2 were by others, as was agreed')
    expect(answer(calmView)?.text).toContain('the ledger knows each')
  })
})

describe('is evidence missing', () => {
  const answer = (view: ReportView) => answered(view)[2]

  it('is not decided for a gap, and is yes for a signature that the log does not have', () => {
    expect(answer(foundView)).toEqual({
      tone: 'unsure',
      word: 'Not decided',
      text: '1 gap without any record; 3 places could not be read; not everything could be decided.',
    })
    const unrecorded = answer(withFinding('missing-evidence', 'sign.unrecorded'))
    expect(unrecorded).toMatchObject({ tone: 'bad', text: '1 × sign.unrecorded.' })
  })

  it('says that nobody looked for hours where only the ends of a log are known', () => {
    const [first] = calmView.coverage
    const view = { ...calmView, coverage: first ? [{ ...first, precision: 'ends' as const }] : [] }
    expect(answer(view)).toMatchObject({ tone: 'unsure', word: 'Not that it shows' })
    expect(answer(view)?.text).toContain('was not looked at')
  })

  it('is not decided where lines could not be read', () => {
    const view = { ...calmView, signatures: { ...calmView.signatures, unread: 3 } }
    expect(answer(view)).toMatchObject({ tone: 'unsure', text: '3 places could not be read.' })
  })
})

describe('has the ledger been altered', () => {
  const answer = (view: ReportView) => answered(view)[3]

  it('yes when the chain is broken, a keeper disagrees, or a finding says so', () => {
    const fault = {
      ...calmView,
      chain: { ...calmView.chain, fault: 'entry 3 is not what was written' },
    }
    expect(answer(fault)).toMatchObject({ word: 'Yes', text: 'Entry 3 is not what was written.' })
    const keepers = (calmView.chain.keepers ?? []).map((keeper) => ({ ...keeper, agrees: false }))
    const disagreeing = { ...calmView, chain: { ...calmView.chain, keepers } }
    expect(answer(disagreeing)).toMatchObject({ tone: 'bad', word: 'Yes' })
    expect(answer(withFinding('altered-ledger', 'ledger.broken'))?.word).toBe('Yes')
  })

  it('never says no without somebody outside who agrees', () => {
    expect(answer(foundView)).toMatchObject({ tone: 'unsure', word: 'Not that the chain shows' })
    const nobody = { ...calmView, chain: { ...calmView.chain, keepers: [] } }
    expect(answer(nobody)?.tone).toBe('unsure')
  })
})

describe('what is still valid', () => {
  it('nothing, when all that was issued is over', () => {
    const none = { shown: [], count: 0 }
    const view = { ...calmView, tokens: none, assertions: none }
    expect(answered(view)[4]).toMatchObject({ tone: 'good', word: 'Nothing' })
  })

  it('counts assertions that can be exchanged, and says where there may be more', () => {
    const { assertions = { shown: [], count: 0 } } = calmView
    const [usable, over] = assertions.shown
    const textWith = (shown: readonly (typeof usable)[]) => {
      const known = shown.flatMap((one) => one ?? [])
      return answered({ ...calmView, assertions: { shown: known, count: 3000 } })[4]?.text
    }
    expect(textWith([usable])).toMatch(/^At least 1 assertion can/)
    expect(textWith([over, over])).toMatch(/^No assertion can/)
    expect(textWith([usable, over])).toMatch(/^1 assertion can/)
  })

  it('at least so many, when there were more than were counted', () => {
    const view = { ...calmView, tokens: { shown: [], count: 50_000, atLeast: true as const } }
    expect(answered(view)[4]?.word).toBe('at least 50,000 tokens')
  })
})
