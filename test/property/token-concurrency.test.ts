import { fc } from '../support/drawn-cases.ts'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { alterations, droppable, type Happening, keys } from '../support/token-world/happening.ts'
import { createTokenWorld } from '../support/token-world/world.ts'

/**
 * What is asked for, dropped and altered while exchanges, statements and replies are under way, in any
 * order. Every answer is judged by what its token says of itself.
 */

/** Daily; `TOKEN_RUNS=20000` for as many as an issue is resolved with. */
const runs = Number(process.env['TOKEN_RUNS'] ?? 500)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
  // So that a seed is the same story again.
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

const replica = fc.nat(1)
/** Some are asked for much more often, so that many meet. */
const key = fc.oneof(fc.nat(1), fc.nat(keys.length - 1))
/** Too short to be kept, hardly long enough, and long. */
const lifetimeSeconds = fc.constantFrom(60, 330, 900, 3600, 3600)

/** @param legsMax A request takes one step, or many: what is under way is to be some of it. */
const happeningsOf = (legsMax: number): fc.Arbitrary<Happening[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          what: fc.constant('ask'),
          replica,
          key,
          lifetimeSeconds,
          signs: fc.constantFrom(true, true, true, true, false),
          agoSeconds: fc.constantFrom(undefined, undefined, undefined, -60, 0, 120),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ what: fc.constant('refresh'), replica, key, lifetimeSeconds }),
      },
      {
        weight: 8,
        arbitrary: fc.record({
          what: fc.constant('goes on'),
          which: fc.array(fc.nat(11), { minLength: 1, maxLength: legsMax }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          what: fc.constant('fails'),
          which: fc.nat(11),
          isTold: fc.boolean(),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          what: fc.constant('drop'),
          replica,
          by: fc.constantFrom(...droppable),
          key,
        }),
      },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('next certificate'), replica, key }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('look'), replica }) },
      {
        weight: 2,
        arbitrary: fc.record({
          what: fc.constant('time passes'),
          seconds: fc.constantFrom(1, 5, 9, 60, 600, 3000),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          what: fc.constant('somebody sets the clock'),
          seconds: fc.constantFrom(-4000, -10, 10, 4000),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          what: fc.constant('somebody alters a row'),
          key,
          how: fc.constantFrom(...alterations),
          nth: fc.nat(2000),
        }),
      },
    ),
    { maxLength: 80, size: 'max' },
  )

const ask = { what: 'ask', replica: 0, key: 0, lifetimeSeconds: 3600, signs: true } as const
const goesOn = (...which: readonly number[]): Happening => ({ what: 'goes on', which })
/** What is under way first, so many times. */
const inOrder = (times: number) => goesOn(...Array<number>(times).fill(0))
const dropsVersion = { what: 'drop', by: 'key version', key: 0 } as const

/** Tried first, because they hardly ever come about by themselves. */
const stories: readonly (readonly Happening[])[] = [
  // The second exchange takes the place of the first, which goes on.
  [ask, { ...ask, agoSeconds: -60 }, { ...dropsVersion, replica: 0 }],
  // Only the statement that is to store it has the token.
  [
    ask,
    inOrder(6),
    { what: 'look', replica: 0 },
    goesOn(1, 1),
    { ...dropsVersion, replica: 0 },
    goesOn(1, 1, 1, 1),
  ],
  // It was read before it was dropped, and has arrived when all is told.
  [
    { what: 'look', replica: 1 },
    inOrder(2),
    ask,
    inOrder(7),
    { ...ask, replica: 1, signs: false },
    inOrder(1),
    { ...dropsVersion, replica: 1 },
    goesOn(1, 1, 1, 1, 1),
    goesOn(0, 2),
    { ...ask, replica: 1 },
  ],
  // The token of an hour is put where that of a day was, of which no exchange says a difference.
  [
    ask,
    { ...ask, key: 6 },
    inOrder(14),
    { what: 'somebody alters a row', key: 6, how: 'another row', nth: 1 },
    { ...ask, replica: 1, key: 6 },
    inOrder(4),
  ],
]

const always = ['at hand', 'obtained here', 'refreshed', 'evicted', 'ToldFailure', 'Broken']
const alone = [...always, 'NothingToSignWith', 'TokenCacheError']

const fleetOnly = ['obtained elsewhere', 'hit', 'led', 'joined', 'lost', 'not-shared', 'looked']
const fleet = [...alone, ...fleetOnly, 'altered', 'malformed']

describe.each([
  ['one process', { replicas: 1, sharing: false }, 2, alone],
  ['two replicas', { replicas: 2, sharing: true }, 12, fleet],
] as const)('%s, whatever meets whatever', (_, options, legsMax, mustHappen) => {
  test(
    'gives no token of another key, none that is dead, none that was dropped, and takes no row that was altered',
    { timeout: Math.max(120_000, runs * 1000) },
    async () => {
      const happened = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(happeningsOf(legsMax), async (happenings) => {
          const world = createTokenWorld(options)
          for (const one of happenings) await world.happen(one)
          await world.end()
          vi.clearAllTimers()
          for (const [what, times] of world.counts) {
            happened.set(what, (happened.get(what) ?? 0) + times)
          }
          expect(world.violations).toEqual([])
        }),
        { numRuns: runs, examples: stories.map((story) => [[...story]]) },
      )
      // So that the test cannot pass by nothing that happens.
      expect([...happened.keys()]).toEqual(expect.arrayContaining([...mustHappen]))
    },
  )
})
