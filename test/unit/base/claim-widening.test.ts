import { describe, expect, test } from 'vitest'
import { claimWidenings } from '../../../src/base/claim-widening.ts'
import { parseClaimPattern } from '../../../src/base/claim-pattern.ts'
import type { ClaimRule } from '../../../src/base/claim-rules.ts'
import { required } from '../../support/required.ts'

const like = (text: string) => required(parseClaimPattern(text))
const rule = (claim: string, ...anyOf: ClaimRule['anyOf']): ClaimRule => ({ claim, anyOf })

describe('rules go further', () => {
  test('when a claim is not asked for any more, and not when one more is', () => {
    const [ref, id] = [rule('ref', 'main'), rule('id', '1')]
    expect(claimWidenings([ref, id], [id])).toEqual([{ step: 'claim-removed', claim: 'ref' }])
    expect(claimWidenings([id], [ref, id])).toEqual([])
  })

  test('when a value is added, and not when one is taken out', () => {
    const [one, two] = [rule('ref', 'main'), rule('ref', 'main', 'dev')]
    expect(claimWidenings([one], [two])).toEqual([
      { step: 'claim-widened', claim: 'ref', also: ['dev'] },
    ])
    expect(claimWidenings([two], [one])).toEqual([])
  })

  test('when a value is of another type', () => {
    expect(claimWidenings([rule('level', 1)], [rule('level', '1')])).toEqual([
      { step: 'claim-widened', claim: 'level', also: ['1'] },
    ])
  })

  test.for<readonly [string, string]>([
    ['refs/heads/*', 'refs/heads/release-*'],
    ['a*', 'ab*'],
    ['*a*', '*ba*'],
    ['a*c', 'a*bc'],
    ['*', '*a'],
  ])('from %s to %s never, and always the other way', ([wide, narrow]) => {
    expect(claimWidenings([rule('ref', like(wide))], [rule('ref', like(narrow))])).toEqual([])
    expect(claimWidenings([rule('ref', like(narrow))], [rule('ref', like(wide))])).toEqual([
      { step: 'claim-widened', claim: 'ref', also: [like(wide)] },
    ])
  })

  test.for<readonly [string, string]>([
    ['refs/heads/*', 'refs/heads/*/*'],
    ['a*b', 'a*'],
    ['*a', 'a*'],
  ])('from %s to %s, whichever way', ([one, other]) => {
    expect(claimWidenings([rule('ref', like(one))], [rule('ref', like(other))])).toHaveLength(1)
  })

  test('from a form to a value that is like it never, and to one that is not', () => {
    const form = [rule('ref', like('refs/heads/*'))]
    expect(claimWidenings(form, [rule('ref', 'refs/heads/main')])).toEqual([])
    expect(claimWidenings(form, [rule('ref', 'refs/tags/v1')])).toHaveLength(1)
    expect(claimWidenings([rule('ref', 'refs/heads/main')], form)).toHaveLength(1)
  })
})
