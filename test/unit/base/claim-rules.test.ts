import { describe, expect, test } from 'vitest'
import { parseClaimPattern } from '../../../src/base/claim-pattern.ts'
import { claimsMatch } from '../../../src/base/claim-rules.ts'
import { required } from '../../support/required.ts'

const rules = [
  { claim: 'ref', anyOf: ['main', 'release'] },
  { claim: 'level', anyOf: [1] },
]

describe('claim rules', () => {
  test('hold when each claim has one of its values', () => {
    expect(claimsMatch(rules, { ref: 'release', level: 1, more: [] })).toBe(true)
  })

  test.for([
    { ref: 'main' },
    { ref: 'main', level: 2 },
    { ref: 'main', level: '1' },
    { ref: 'Main', level: 1 },
    { ref: ['main'], level: 1 },
    { ref: { 0: 'main' }, level: 1 },
    { ref: null, level: 1 },
    Object.create({ ref: 'main', level: 1 }) as Record<string, unknown>,
  ])('do not hold of %j', (claims) => {
    expect(claimsMatch(rules, claims)).toBe(false)
  })

  describe('with a pattern', () => {
    const release = required(parseClaimPattern('release-*'))
    const either = [{ claim: 'ref', anyOf: ['main', release] }]

    test.for(['main', 'release-2'])('hold of ref %j', (ref) => {
      expect(claimsMatch(either, { ref })).toBe(true)
    })

    test.for(['release-', 'Main', '', ['release-2'], { like: 'release-2' }, null, 2])(
      'do not hold of ref %j',
      (ref) => {
        expect(claimsMatch(either, { ref })).toBe(false)
      },
    )

    test('do not hold where the claim is absent', () => {
      expect(claimsMatch(either, {})).toBe(false)
    })

    test('hold of no number, whatever it looks like', () => {
      const ones = [{ claim: 'id', anyOf: [required(parseClaimPattern('1*'))] }]
      expect(claimsMatch(ones, { id: '12' })).toBe(true)
      expect(claimsMatch(ones, { id: 12 })).toBe(false)
    })
  })

  test('hold of everything when there are none: whoever takes rules must ask for one', () => {
    expect(claimsMatch([], {})).toBe(true)
  })
})
