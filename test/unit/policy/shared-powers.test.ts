import { describe, expect, test } from 'vitest'
import { createPolicy } from '../../../src/policy/policy.ts'
import { sharedPowers } from '../../../src/policy/shared-powers.ts'
import {
  deployAssertion,
  eventHubsToken,
  fabrikam,
  grant,
  northwind,
} from '../../support/grants.ts'

describe('powers that callers of several issuers share', () => {
  test('are named with their tenants and issuers', () => {
    const both = { ...eventHubsToken, tenants: new Set([fabrikam, northwind]) }
    const policy = createPolicy([
      grant('a', { issuer: 'github', may: [both] }),
      grant('b', { issuer: 'cluster', may: [both] }),
      grant('c', { issuer: 'platform', may: [eventHubsToken] }),
    ])
    const power = 'token events https://eventhubs.azure.net/.default'
    expect(sharedPowers(policy)).toEqual([
      { power, tenants: [northwind], issuers: ['cluster', 'github'] },
      { power, tenants: [fabrikam], issuers: ['cluster', 'github', 'platform'] },
    ])
  })

  test('are none when it is one issuer, another tenant, or a token here and an assertion there', () => {
    const elsewhere = { ...eventHubsToken, tenants: new Set([northwind]) }
    const policy = createPolicy([
      grant('a', { issuer: 'github' }),
      grant('b', { issuer: 'github' }),
      grant('c', { issuer: 'cluster', may: [elsewhere, deployAssertion()] }),
    ])
    expect(sharedPowers(policy)).toEqual([])
  })
})
