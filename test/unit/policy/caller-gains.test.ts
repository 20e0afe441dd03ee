import { describe, expect, test } from 'vitest'
import { callerGains } from '../../../src/policy/caller-gains.ts'
import type { Grant } from '../../../src/policy/grant.ts'
import { createPolicy } from '../../../src/policy/policy.ts'
import { grantWidenings } from '../../../src/policy/widening.ts'
import { eventHubsToken, fabrikam, grant, northwind } from '../../support/grants.ts'

const power = 'token events https://eventhubs.azure.net/.default'
const inBoth = { ...eventHubsToken, tenants: new Set([fabrikam, northwind]) }
const released = { repo: '1', ref: 'main' }

function gains(
  before: readonly Grant[],
  after: readonly Grant[],
  namedBy: readonly string[] = [],
  { issuer = 'cluster', subject = 'api' } = {},
) {
  const [was, is] = [createPolicy(before), createPolicy(after)]
  return callerGains(was, is, grantWidenings(was, is), { issuer, subject, namedBy })
}

describe('a caller that a ledger names', () => {
  test('gains what a grant that named it gives besides', () => {
    const after = grant('a', { claims: released, may: [inBoth] })
    expect(gains([grant('a', { claims: released })], [after], ['a'])).toEqual([
      { grant: 'a', powers: [{ power, tenants: [northwind] }], ifClaims: [] },
    ])
  })

  test('gains it by its subject alone, and another subject does not', () => {
    const wider = [grant('a', { may: [inBoth] })]
    expect(gains([grant('a')], wider)).toMatchObject([{ grant: 'a', ifClaims: [] }])
    expect(gains([grant('a')], wider, [], { subject: 'web' })).toEqual([])
    expect(gains([grant('a')], wider, [], { issuer: 'github' })).toEqual([])
  })

  test('may gain it when that takes claims that are not known, and not when those known are others', () => {
    const before = [grant('a', { claims: released })]
    const wider = (claims: Parameters<typeof grant>[1]) => [...before, grant('b', claims)]
    const ifEnvironment = wider({ claims: { ...released, environment: 'test' }, may: [inBoth] })
    expect(gains(before, ifEnvironment, ['a'])).toEqual([
      {
        grant: 'b',
        powers: [{ power, tenants: [northwind] }],
        ifClaims: [{ claim: 'environment', anyOf: ['test'] }],
      },
    ])
    expect(
      gains(before, wider({ claims: { ...released, ref: 'dev' }, may: [inBoth] }), ['a']),
    ).toEqual([])
  })

  test('gains nothing where another grant that named it gave it all the same', () => {
    const had = grant('b', { claims: released, may: [inBoth] })
    const [before, after] = [
      grant('a', { claims: released }),
      grant('a', { claims: { repo: '1' } }),
    ]
    expect(gains([before, had], [after, had], ['b'])).toEqual([])
    expect(gains([before, had], [after, had])).toMatchObject([
      { grant: 'a', ifClaims: [{ claim: 'repo', anyOf: ['1'] }] },
    ])
  })

  test('is never taken to be as two grants ask at once', () => {
    const before = [grant('a', { claims: { repo: '1' } }), grant('b', { claims: { ref: 'main' } })]
    const after = [...before, grant('c', { claims: released, may: [inBoth] })]
    const found = gains(before, after, ['a', 'b'])
    expect(found.map(({ ifClaims }) => ifClaims.length)).toEqual([1, 1])
  })
})
