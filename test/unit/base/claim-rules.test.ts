import { describe, expect, test } from 'vitest'
import { claimsMatch } from '../../../src/base/claim-rules.ts'

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

  test('hold of everything when there are none: whoever takes rules must ask for one', () => {
    expect(claimsMatch([], {})).toBe(true)
  })
})
