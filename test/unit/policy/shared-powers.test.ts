import { describe, expect, test } from 'vitest'
import type { TenantId } from '../../../src/base/ids.ts'
import { createPolicy } from '../../../src/policy/policy.ts'
import { sharedPowers } from '../../../src/policy/shared-powers.ts'
import {
  deployAssertion,
  eventHubsToken,
  fabrikam,
  grant,
  northwind,
  tenantId,
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

  test('are told of tenants that several sets reach, each by other issuers', () => {
    const any = new Set([fabrikam, northwind])
    const policy = createPolicy([
      grant('a', { issuer: 'github', may: [{ ...eventHubsToken, tenants: any }] }),
      grant('b', { issuer: 'cluster', may: [{ ...eventHubsToken, tenants: any }] }),
      grant('c', { issuer: 'cluster' }),
      grant('d', { issuer: 'github', may: [{ ...eventHubsToken, tenants: new Set([northwind]) }] }),
    ])
    expect(sharedPowers(policy)).toMatchObject([
      { tenants: [northwind, fabrikam], issuers: ['cluster', 'github'] },
    ])
  })

  test('go through the tenants once, however many grants are for all of them', () => {
    const tenants = new CountedTenants(100_000)
    const grants = Array.from({ length: 60 }, (_, i) =>
      grant(`g${i}`, { issuer: `issuer-${i % 3}`, may: [{ ...eventHubsToken, tenants }] }),
    )
    const shared = sharedPowers(createPolicy(grants))

    expect(shared).toMatchObject([{ issuers: ['issuer-0', 'issuer-1', 'issuer-2'] }])
    expect(shared[0]?.tenants).toHaveLength(100_000)
    expect(tenants.read).toBe(100_000)
  })

  test('do not go through them at all when one issuer has the power', () => {
    const tenants = new CountedTenants(1000)
    const may = [{ ...eventHubsToken, tenants }]

    expect(sharedPowers(createPolicy([grant('a', { may }), grant('b', { may })]))).toEqual([])
    expect(tenants.read).toBe(0)
  })
})

/** That many tenants, and how many were read out of it one by one. */
class CountedTenants extends Set<TenantId> {
  read = 0

  constructor(count: number) {
    super()
    for (let i = 0; i < count; i += 1) {
      this.add(tenantId(`fab00000-0000-4000-8000-${String(i).padStart(12, '0')}`))
    }
  }

  override *[Symbol.iterator]() {
    for (const tenant of super[Symbol.iterator]()) {
      this.read += 1
      yield tenant
    }
    return undefined
  }
}
