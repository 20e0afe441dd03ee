import fc from 'fast-check'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCuttableProxy, type CuttableProxy } from '../support/cuttable-proxy.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import type { AgentAnswer } from '../support/test-agent.ts'
import { startTestAgent, type TestAgent } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  longLivedWorld,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/**
 * Several tenants, applications and resources through one agent, while the vault, Entra and the wire to the
 * service fail as they like: an answer has a token of the mapping that was asked for, or none.
 */

let service: TestService
let wire: CuttableProxy

beforeAll(async () => {
  service = await startTestService({
    world: longLivedWorld,
    grants: [
      ...defaultGrants,
      {
        grant: 'all-of-them',
        caller: { issuer: 'github', claims: { repository_id: '654321' } },
        may: [
          {
            application: 'events',
            tenant: 'any-listed',
            scopes: [cast.orders, cast.eventHubs],
          },
          {
            application: 'deploy',
            tenant: 'any-listed',
            scopes: [cast.orders, cast.eventHubs],
          },
        ],
      },
    ],
  })
  wire = await startCuttableProxy(Number(new URL(service.origin).port))
})
afterAll(async () => {
  await wire.close()
  await service.stop()
})

const combinations = [
  { application: 'events', appid: cast.eventsClientId, tenant: cast.fabrikam },
  { application: 'events', appid: cast.eventsClientId, tenant: cast.northwind },
  { application: 'deploy', appid: cast.deployClientId, tenant: cast.fabrikam },
].flatMap((one) =>
  [cast.orders, cast.eventHubs].map((scope) => ({ ...one, scope, aud: scope.slice(0, -9) })),
)

const mappings = combinations.map((one, i) => ({ ...one, resource: `https://r${i}.example` }))

type Act =
  | { readonly act: 'ask'; readonly which: readonly number[] }
  | { readonly act: 'pass'; readonly seconds: number }
  | { readonly act: 'fault'; readonly fault: Parameters<typeof strike>[1] }
  | { readonly act: 'cut' }

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant('ask' as const),
      which: fc.array(fc.nat(mappings.length - 1), { minLength: 1, maxLength: 12 }),
    }),
  },
  fc.record({
    act: fc.constant('pass' as const),
    seconds: fc.constantFrom(1, 20, 400, 2600, 3595, 4000),
  }),
  fc.record({
    act: fc.constant('fault' as const),
    fault: fc.constantFrom<Parameters<typeof strike>[1]>(
      { ...exchanging, kind: 'throttle' },
      { ...exchanging, kind: 'drop-after' },
      { ...exchanging, kind: 'malformed' },
      { ...exchanging, kind: 'server-error' },
      { ...signing, kind: 'throttle' },
      { ...signing, kind: 'drop-before' },
      { ...signing, kind: 'wrong-signature' },
    ),
  }),
  fc.constant({ act: 'cut' as const }),
)

/** What is always walked, whatever chance brings: everybody served, and one refused whose own token is over. */
const always: readonly [Act[]][] = [
  [[{ act: 'ask', which: mappings.map((_, i) => i) }]],
  [
    [
      { act: 'pass', seconds: 4000 },
      { act: 'ask', which: [0] },
    ],
  ],
]

test('no answer ever has a token of another mapping, or one that is over', async () => {
  let given = 0
  let refused = 0
  const judge = (which: number, { status, body }: AgentAnswer) => {
    const text = body['access_token']
    if (status !== 200) {
      refused += 1
      expect(text).toBeUndefined()
      expect([429, 403, 502, 503]).toContain(status)
      return
    }
    given += 1
    const { aud, tid, appid, exp = 0 } = decodeJwt(String(text))
    const asked = mappings[which]
    expect({ aud, tid, appid }).toEqual({
      aud: asked?.aud,
      tid: asked?.tenant,
      appid: asked?.appid,
    })
    expect(exp).toBeGreaterThan(service.clock.nowSeconds())
  }
  const perform = async (one: Act, agent: TestAgent) => {
    switch (one.act) {
      case 'ask':
        await Promise.all(
          one.which.map(async (which) => {
            judge(which, await agent.askFor(mappings[which]?.resource ?? ''))
          }),
        )
        return
      case 'pass':
        service.emulator.clock.shift(one.seconds)
        return
      case 'fault':
        strike(service.emulator, one.fault)
        return
      case 'cut':
        wire.cut()
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 3, maxLength: 12 }), async (acts) => {
      service.emulator.faults.clear()
      const agent = await startTestAgent({
        origin: `http://127.0.0.1:${wire.port}`,
        clock: service.clock,
        ownToken: await service.callerToken('github', {
          claims: { repository_id: '654321' },
          lifetimeSeconds: 3600,
        }),
        file: (written) => ({
          ...written,
          resources: Object.fromEntries(
            mappings.map(({ resource, application, tenant, scope }) => [
              resource,
              { application, tenant, scope },
            ]),
          ),
        }),
      })
      try {
        for (const one of acts) await perform(one, agent)
      } finally {
        await agent.stop()
      }
    }),
    { numRuns: 20, examples: [...always] },
  )
  // It was looked at: neither did all fail nor did nothing.
  expect(given).toBeGreaterThanOrEqual(mappings.length)
  expect(refused).toBeGreaterThan(0)
}, 120_000)
