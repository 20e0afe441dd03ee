import { fc } from '../support/drawn-cases.ts'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { worldSchema } from '../../src/emulator/world.ts'
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
 * Two tenants, three applications and twenty resources through one agent, while the vault, Entra and the wire
 * to the service fail as they like: an answer has a token of the mapping that was asked for, or none.
 */

const reportsClientId = '44444444-0000-4000-8000-000000000004'

/** Of Entra; the agent's resources lead to them, some under a name of its own. */
const resources = Array.from({ length: 4 }, (_, i) => ({
  uri: `https://api-${i}.example`,
  clientId: `33333333-0000-4000-8000-0000000001${i}0`,
}))

const world = worldSchema.parse({
  ...longLivedWorld,
  applications: [
    ...longLivedWorld.applications.map((application) =>
      application.name === 'deploy'
        ? {
            ...application,
            presentIn: [
              ...application.presentIn,
              { tenant: 'northwind', objectId: '22222222-0000-4000-8000-0000000000b2' },
            ],
          }
        : application,
    ),
    {
      name: 'reports',
      clientId: reportsClientId,
      objectId: '44444444-0000-4000-8000-0000000000a4',
      homeTenant: 'contoso',
      certificates: ['contoso-hsm/partner-signing'],
      presentIn: ['fabrikam', 'northwind'].map((tenant, i) => ({
        tenant,
        objectId: `44444444-0000-4000-8000-0000000000b${i}`,
      })),
    },
  ],
  resources: [
    ...longLivedWorld.resources,
    ...resources.map(({ uri, clientId }) => ({
      uris: [uri],
      clientId,
      tenants: ['fabrikam', 'northwind'],
    })),
  ],
})

const applications = [
  { application: 'events', appid: cast.eventsClientId },
  { application: 'deploy', appid: cast.deployClientId },
  { application: 'reports', appid: reportsClientId },
]

/** Twenty of the twenty-four that there are: every tenant with every application, and most of the APIs. */
const mappings = resources
  .flatMap(({ uri }) =>
    [cast.fabrikam, cast.northwind].flatMap((tenant) =>
      applications.map((application) => ({
        ...application,
        tenant,
        aud: uri,
        scope: `${uri}/.default`,
      })),
    ),
  )
  .slice(0, 20)
  .map((one, i) => ({ ...one, resource: `https://r${i}.example` }))

let service: TestService
let wire: CuttableProxy

beforeAll(async () => {
  service = await startTestService({
    world,
    configuration: (file) => ({
      ...file,
      applications: {
        ...file.applications,
        reports: {
          clientId: reportsClientId,
          certificate: 'partners',
          tenants: [cast.fabrikam, cast.northwind],
        },
      },
    }),
    grants: [
      ...defaultGrants,
      {
        grant: 'all-of-them',
        caller: { issuer: 'github', claims: { repository_id: '654321' } },
        may: applications.map(({ application }) => ({
          application,
          tenant: 'any-listed',
          scopes: resources.map(({ uri }) => `${uri}/.default`),
        })),
      },
    ],
  })
  wire = await startCuttableProxy(Number(new URL(service.origin).port))
})
afterAll(async () => {
  await wire.close()
  await service.stop()
})

test('there are as many of them as it is said', () => {
  const differing = (name: 'tenant' | 'application' | 'resource') =>
    new Set(mappings.map((mapping) => mapping[name])).size
  expect([differing('tenant'), differing('application'), differing('resource')]).toEqual([2, 3, 20])
  expect(new Set(mappings.map(({ tenant, appid, aud }) => [tenant, appid, aud].join())).size).toBe(
    20,
  )
})

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
      which: fc.array(fc.nat(mappings.length - 1), { minLength: 1, maxLength: 30 }),
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

const everybody = { act: 'ask', which: mappings.map((_, i) => i) } as const

/** What is always walked, whatever chance brings. */
const always: readonly [Act[]][] = [
  // Everybody is served at once, twice and in both orders; then anew, when all of it is over.
  [[everybody, { ...everybody, which: everybody.which.toReversed() }]],
  // In the middle of faults, which strike whomever they meet.
  [
    [
      { act: 'fault', fault: { ...exchanging, kind: 'drop-after', times: 3 } },
      { act: 'fault', fault: { ...exchanging, kind: 'malformed', times: 3 } },
      { act: 'fault', fault: { ...signing, kind: 'drop-before' } },
      everybody,
      { act: 'pass', seconds: 2600 },
      everybody,
      { act: 'cut' },
      everybody,
    ],
  ],
  // One is refused: its own token is over.
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
