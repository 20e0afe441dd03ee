import { expect, test } from 'vitest'
import { createRevocationsInForce } from '../../../src/revocation/revocations-in-force.ts'
import { createUnrevokedPolicy } from '../../../src/revocation/unrevoked-policy.ts'
import { createPolicy, mayRevoke } from '../../../src/policy/policy.ts'
import { revokedEntry } from '../../support/entries.ts'
import { grant, issuerName } from '../../support/grants.ts'

const [first, second] = [revokedEntry('first', 1), revokedEntry('second', 2)]

test('whoever watches is told of each revocation once, those that stand already first', () => {
  const inForce = createRevocationsInForce()
  const told: string[] = []
  inForce.heard({ epoch: 1, made: [first] })
  inForce.watch((made) => told.push(...made.map(({ revocation }) => revocation)))
  expect(told).toEqual([first.revocation])
  inForce.heard({ epoch: 2, made: [first, second] })
  inForce.heard({ epoch: 2, made: [first, second] })
  expect(told).toEqual([first.revocation, second.revocation])
})

test('one that is lifted and made again is told of again', () => {
  const inForce = createRevocationsInForce()
  const told: number[] = []
  inForce.watch((made) => told.push(made.length))
  inForce.heard({ epoch: 1, made: [first] })
  inForce.heard({ epoch: 2, made: [] })
  expect(inForce.current()).toMatchObject({ epoch: 2, made: [] })
  inForce.heard({ epoch: 3, made: [{ ...first, epoch: 3 }] })
  expect(told).toEqual([1, 1])
})

test('the policy is without the grants that are revoked, and the same one while nothing changes', () => {
  const inForce = createRevocationsInForce()
  const whole = createPolicy([grant('first'), grant('second'), grant('third')])
  const unrevoked = createUnrevokedPolicy(
    () => whole,
    () => inForce.current(),
  )
  expect(unrevoked()).toBe(whole)
  inForce.heard({ epoch: 1, made: [first] })
  expect(unrevoked().grants.map(({ name }) => name)).toEqual(['second', 'third'])
  expect(unrevoked()).toBe(unrevoked())
  inForce.heard({ epoch: 2, made: [{ ...second, revoked: { what: 'issuer', issuer: 'cluster' } }] })
  expect(unrevoked().grants).toEqual([])
  inForce.heard({ epoch: 3, made: [] })
  expect(unrevoked()).toBe(whole)
})

const caller = { issuer: issuerName('cluster'), claims: { sub: 'api' } }

const mayRevokeToo = { mayRevoke: true } as const

test.each([
  ['by a grant that says so', { ...grant('one'), ...mayRevokeToo }, true],
  ['not by one that gives tokens', grant('one'), false],
  [
    'not by one that is only tried',
    { ...grant('one', { mode: 'dry-run' }), ...mayRevokeToo },
    false,
  ],
  [
    'not by one that has ended',
    { ...grant('one', { untilSeconds: 1000 }), ...mayRevokeToo },
    false,
  ],
  [
    'not by one of somebody else',
    { ...grant('one', { claims: { sub: 'other' } }), ...mayRevokeToo },
    false,
  ],
])('a caller may revoke %s', (_, one, is) => {
  expect(mayRevoke(createPolicy([one]), caller, 1000).ok).toBe(is)
})
