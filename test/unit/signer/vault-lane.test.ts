import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../../src/emulator/random.ts'
import type { PermitOutcome } from '../../../src/signer/governor.ts'
import { createWindowBudget } from '../../../src/signer/sign-budget.ts'
import { SignerError, type SignerErrorCode } from '../../../src/signer/signer.ts'
import { VaultCircuits } from '../../../src/signer/vault-circuits.ts'
import { VaultLane } from '../../../src/signer/vault-lane.ts'
import {
  anArrival,
  type Arrival,
  jainIndex,
  simulate,
  type Simulated,
  type SimulatedLane,
} from '../../support/lane-simulation.ts'
import { required } from '../../support/required.ts'

const bounds = { underWayMax: 64, waitingMax: 100, waitingPerLineMax: 40 }

const laneOf = (
  unitsMax: number,
  options: Partial<typeof bounds & { handOutsMax: number }> = {},
): SimulatedLane =>
  new VaultLane(
    {
      whole: createWindowBudget(unitsMax),
      handOuts: createWindowBudget(options.handOutsMax ?? unitsMax / 4),
    },
    new VaultCircuits(() => 0),
    { ...bounds, ...options },
  )

const several = (count: number, arrival: Partial<Arrival>): readonly Arrival[] =>
  Array.from({ length: count }, () => ({ ...anArrival, ...arrival }))

const endingOf = ({ endings }: Simulated) => required(endings[0])
const grantedOf = (all: readonly Simulated[]) =>
  all.filter((one) => endingOf(one).kind === 'granted')
const codesOf = (all: readonly Simulated[]) =>
  all.map((one) => {
    const ending = endingOf(one)
    return ending.kind === 'granted' ? 'granted' : ending.code
  })

describe('a burst', () => {
  test('below the budget is let through as it comes', () => {
    const all = simulate(laneOf(50), several(50, {}))

    expect(all.map(endingOf)).toEqual(Array(50).fill({ kind: 'granted', atMs: 0, vaultAtMs: 5 }))
  })

  test('above it is served when the first ten seconds are over, as far as patience goes', () => {
    const all = simulate(laneOf(20), several(50, { patienceMs: 12_000 }))
    const times = grantedOf(all).map((one) => endingOf(one).atMs)

    expect(times).toEqual([...Array<number>(20).fill(0), ...Array<number>(20).fill(10_011)])
    expect(codesOf(all).filter((code) => code === 'GOVERNOR_BUDGET_SPENT')).toHaveLength(10)
  })

  test('refuses at once whom it cannot serve in time, and says when it could have', () => {
    const all = simulate(laneOf(20), several(50, { patienceMs: 12_000 }))
    const refused = all.map(endingOf).filter((ending) => ending.kind === 'refused')

    expect(new Set(refused.map(({ atMs }) => atMs))).toEqual(new Set([0]))
    // Twenty are under way and twenty wait: the turn of the next is in the third window.
    expect(new Set(refused.map(({ retryAfterMs }) => retryAfterMs))).toEqual(new Set([20_001]))
  })

  test('ends the waiting of whoever others overtake so far that it is not served in time', () => {
    const noisy = several(40, { caller: 'noisy' })
    const quiet = several(5, { atMs: 1_000, caller: 'quiet' })
    const all = simulate(laneOf(20), [...noisy, ...quiet])

    expect(grantedOf(all.slice(40))).toHaveLength(5)
    const refused = all.map(endingOf).filter((ending) => ending.kind === 'refused')
    expect(refused.map(({ atMs, code }) => [atMs, code])).toEqual(
      Array(5).fill([1_000, 'GOVERNOR_BUDGET_SPENT']),
    )
  })

  test('is honest: whoever comes again when it was told to is served', () => {
    const first = several(50, { patienceMs: 12_000 })
    const refusal = simulate(laneOf(20), first)
      .map(endingOf)
      .find((ending) => ending.kind === 'refused')
    const again = { ...anArrival, atMs: required(refusal).retryAfterMs, patienceMs: 100 }

    expect(endingOf(required(simulate(laneOf(20), [...first, again]).at(-1))).kind).toBe('granted')
  })

  test('fills no more connections than there are', () => {
    const all = simulate(laneOf(50, { underWayMax: 10 }), several(50, { fromVaultMs: 95 }))

    expect(new Set(all.map((one) => endingOf(one).atMs))).toEqual(new Set([0, 100, 200, 300, 400]))
  })
})

describe('patience', () => {
  test('that ends while nothing moves ends in a refusal at that moment', () => {
    const stuck = several(1, { fromVaultMs: 60_000 })
    const lane = laneOf(50, { underWayMax: 1 })
    const [, waiting] = simulate(lane, [...stuck, ...several(1, { patienceMs: 3_000 })])

    expect(endingOf(required(waiting))).toMatchObject({
      kind: 'refused',
      atMs: 3_001,
      code: 'GOVERNOR_BUDGET_SPENT',
    })
  })

  test('of nothing is enough where there is budget', () => {
    const [all] = simulate(laneOf(8), several(1, { patienceMs: 0 }))

    expect(endingOf(required(all)).kind).toBe('granted')
  })
})

describe('assertions that are given away', () => {
  test('have a quarter of the budget, and the rest is for others', () => {
    const given = several(40, { purpose: 'hand-out', caller: 'pipeline', patienceMs: 5_000 })
    const used = several(30, { patienceMs: 5_000 })
    const all = simulate(laneOf(40), [...given, ...used])

    expect(grantedOf(all.slice(0, 40))).toHaveLength(10)
    expect(grantedOf(all.slice(40))).toHaveLength(30)
  })

  test('are refused at once when their share will be used up, though the budget will not', () => {
    const used = several(40, { patienceMs: 5_000 })
    const given = several(15, { atMs: 1, purpose: 'hand-out', caller: 'pipeline' })
    const all = simulate(laneOf(40), [...used, ...given]).slice(40)

    expect(all.map((one) => [endingOf(one).kind, endingOf(one).atMs])).toEqual([
      ...Array<unknown>(10).fill(['granted', 10_011]),
      ...Array<unknown>(5).fill(['refused', 1]),
    ])
  })

  test('do not hold up what their own caller needs besides', () => {
    const all = simulate(laneOf(40), [
      ...several(20, { purpose: 'hand-out' }),
      ...several(1, { atMs: 1 }),
    ])

    expect(endingOf(required(all.at(-1)))).toMatchObject({ kind: 'granted', atMs: 1 })
  })

  test('take nothing from anybody when there is plenty', () => {
    const all = simulate(laneOf(40), several(10, { purpose: 'hand-out' }))

    expect(grantedOf(all)).toHaveLength(10)
  })
})

describe('refreshes ahead', () => {
  test('take turns with callers who wait, those who come later too', () => {
    const ahead = several(10, { priority: 'ahead', caller: 'the service', patienceMs: 25_000 })
    const all = simulate(laneOf(20), [
      ...several(20, {}),
      ...ahead,
      ...several(15, { atMs: 5_000, patienceMs: 6_000 }),
    ]).slice(20)

    expect(all.slice(0, 10).map((one) => endingOf(one).atMs)).toEqual(Array(10).fill(10_011))
    // Ten of these have their turns in between, and the others are told at once that they will not in time.
    expect(all.slice(10).map((one) => [endingOf(one).kind, endingOf(one).atMs])).toEqual([
      ...Array<unknown>(10).fill(['granted', 10_011]),
      ...Array<unknown>(5).fill(['refused', 5_000]),
    ])
  })

  test('come second: of an odd number callers have more', () => {
    const ahead = several(10, { priority: 'ahead', patienceMs: 12_000 })
    const all = simulate(laneOf(5), [
      ...several(5, {}),
      ...ahead,
      ...several(10, { atMs: 5_000, patienceMs: 7_000 }),
    ]).slice(5)

    const served = grantedOf(all)
    expect(served.filter(({ priority }) => priority === 'caller')).toHaveLength(3)
    expect(served.filter(({ priority }) => priority === 'ahead')).toHaveLength(2)
  })

  test('have as many units as callers, whatever the size of their keys', () => {
    const all = simulate(laneOf(40), [
      ...several(40, {}),
      ...several(10, { priority: 'ahead', units: 4, patienceMs: 12_000 }),
      ...several(40, { atMs: 5_000, patienceMs: 7_000 }),
    ]).slice(40)

    const unitsOf = (priority: Arrival['priority']) =>
      grantedOf(all)
        .filter((one) => one.priority === priority)
        .reduce((sum, { units }) => sum + units, 0)
    expect([unitsOf('caller'), unitsOf('ahead')]).toEqual([20, 20])
  })

  test('do not make up for the time in which they were few', () => {
    const all = simulate(laneOf(40, { waitingMax: 1000, waitingPerLineMax: 500 }), [
      ...several(400, { patienceMs: 60_000, caller: 'many' }).map((one, index) => ({
        ...one,
        atMs: index,
      })),
      ...several(40, { atMs: 15_000, priority: 'ahead', patienceMs: 60_000 }),
    ])
    const secondWindow = all.filter((one) => {
      const { kind, atMs } = endingOf(one)
      return kind === 'granted' && 20_000 < atMs && atMs < 30_000
    })

    expect(secondWindow.filter(({ priority }) => priority === 'ahead')).toHaveLength(20)
    expect(secondWindow.filter(({ priority }) => priority === 'caller')).toHaveLength(20)
  })

  test('tell whom they keep from being served in time at once, and not at its deadline', () => {
    const callers = several(40, {})
    const ahead = several(20, { atMs: 1, priority: 'ahead', caller: 'the service' })
    const all = simulate(laneOf(20), [...callers, ...ahead])

    expect(grantedOf(all.slice(0, 40))).toHaveLength(30)
    const refused = all.slice(0, 40).filter((one) => endingOf(one).kind === 'refused')
    expect(refused.map((one) => endingOf(one).atMs)).toEqual(Array(10).fill(1))
  })

  test('owe nothing for the time in which callers waited for the share of hand-outs', () => {
    const everySixtyMs = several(140, { priority: 'ahead' }).map((one, index) => ({
      ...one,
      atMs: 100 + index * 60,
    }))
    const all = simulate(laneOf(200, { waitingMax: 2000, waitingPerLineMax: 500 }), [
      ...several(100, { purpose: 'hand-out', caller: 'pipeline' }),
      ...everySixtyMs,
      ...several(60, { atMs: 8_999, priority: 'ahead' }),
      ...several(60, { atMs: 9_000, caller: 'others' }),
    ])
    const waitedMs = all.slice(240).map((one) => endingOf(one).atMs - one.atMs)

    expect(new Set(codesOf(all.slice(240)))).toEqual(new Set(['granted']))
    const [ahead, callers] = [waitedMs.slice(0, 60), waitedMs.slice(60)].map((one) =>
      Math.max(...one),
    )
    expect(Math.abs(required(ahead) - required(callers))).toBeLessThan(2_000)
  })

  test('are served at once when nobody waits', () => {
    expect(grantedOf(simulate(laneOf(20), several(5, { priority: 'ahead' })))).toHaveLength(5)
  })

  test('make room for callers when the queue is full', () => {
    const all = simulate(laneOf(4, { waitingMax: 4 }), [
      ...several(4, {}),
      ...several(4, { priority: 'ahead', patienceMs: 60_000 }),
      ...several(1, { atMs: 1, patienceMs: 60_000 }),
    ])

    expect(codesOf(all.slice(4)).toSorted()).toEqual([
      'GOVERNOR_QUEUE_FULL',
      ...Array<string>(4).fill('granted'),
    ])
    expect(codesOf(all).at(-1)).toBe('granted')
  })
})

describe('the queue', () => {
  test('holds so many of one caller and no more', () => {
    const all = simulate(laneOf(10), several(60, { patienceMs: 1_000_000 }))

    expect(codesOf(all).filter((code) => code === 'GOVERNOR_CALLER_QUEUE_FULL')).toHaveLength(10)
  })

  test('makes room for whoever has less waiting: a few noisy callers lock nobody out', () => {
    const noisy = ['a', 'b', 'c'].flatMap((caller) => several(40, { caller, patienceMs: 1e6 }))
    const all = simulate(laneOf(10), [
      ...noisy,
      ...several(5, { atMs: 1, caller: 'quiet', patienceMs: 1e6 }),
    ])

    expect(codesOf(all.slice(-5))).toEqual(Array(5).fill('granted'))
    expect(codesOf(all).filter((code) => code === 'GOVERNOR_QUEUE_FULL')).toHaveLength(15)
  })
})

describe('fairness', () => {
  const callers = Array.from({ length: 12 }, (_, number) => `caller-${number}`)
  /** Of a budget of 200 in ten seconds, twelve callers who all want more than their share have 16.7. */
  const demandOf = (number: number) => 20 * (1 + number * number)
  const seconds = 40

  /** Each asks evenly, with a little disorder, as often in ten seconds as its demand says. */
  function unequalDemand(applicationOf: (caller: string) => string): readonly Arrival[] {
    const random = createSeededRandom(7)
    return callers.flatMap((caller, number) =>
      Array.from({ length: (demandOf(number) * seconds) / 10 }, () => ({
        ...anArrival,
        caller,
        application: applicationOf(caller),
        atMs: random.below(seconds * 1000),
      })),
    )
  }

  const servedBy = (all: readonly Simulated[], name: (one: Simulated) => string) =>
    Object.values(Object.groupBy(grantedOf(all), name)).map((one) => required(one).length)

  test('gives callers who want unequally much the same: Jain’s index is 0.95 at least', () => {
    const lane = laneOf(200, { waitingMax: 2000, waitingPerLineMax: 500 })
    const shares = servedBy(
      simulate(
        lane,
        unequalDemand(() => 'events'),
      ),
      ({ caller }) => caller,
    )

    expect(shares).toHaveLength(callers.length)
    expect(jainIndex(shares)).toBeGreaterThan(0.95)
    expect(jainIndex(callers.map((_, number) => demandOf(number)))).toBeLessThan(0.6)
  })

  test('gives applications the same, whichever has more callers', () => {
    const lane = laneOf(200, { waitingMax: 2000, waitingPerLineMax: 500 })
    const shares = servedBy(
      simulate(
        lane,
        unequalDemand((caller) => (caller === 'caller-11' ? 'lonely' : 'crowded')),
      ),
      ({ application }) => application,
    )

    expect(shares).toHaveLength(2)
    expect(jainIndex(shares)).toBeGreaterThan(0.95)
  })

  test('serves all that a modest caller asks for, beside one that asks without end', () => {
    const modest = Array.from({ length: 30 }, (_, number) => ({
      ...anArrival,
      caller: 'modest',
      atMs: 500 + number * 1000,
    }))
    const noisy = several(20_000, { caller: 'noisy' }).map((one, number) => ({
      ...one,
      atMs: Math.floor((number * 31_000) / 20_000),
    }))
    const all = simulate(laneOf(100), [...modest, ...noisy])

    expect(grantedOf(all.slice(0, 30))).toHaveLength(30)
  })
})

const failing = (code: SignerErrorCode, fromMs: number, untilMs: number) => {
  const applied = code === 'SIGNER_THROTTLED' ? 'no' : 'unknown'
  return (vaultAtMs: number) =>
    fromMs <= vaultAtMs && vaultAtMs < untilMs ? new SignerError(code, applied) : 'signed'
}

/** When the vault was asked, in order. */
const askedAt = (all: readonly Simulated[]) =>
  grantedOf(all)
    .map((one) => endingOf(one).atMs)
    .toSorted((one, other) => one - other)

/** One every hundred milliseconds. */
const stream = (seconds: number, arrival: Partial<Arrival>) =>
  several(seconds * 10, arrival).map((one, index) => ({ ...one, atMs: index * 100 }))

describe('a vault that throttles', () => {
  test.each([1, 8])(
    'is asked again after 1, 2, 4, 8 and 16 s, by one of %s units each time',
    (units) => {
      const outcomeAt = failing('SIGNER_THROTTLED', 0, 20_000)
      const all = simulate(laneOf(1000), stream(40, { outcomeAt, units }))
      const times = askedAt(all)

      // The first is answered after 10 ms, and each pause begins with an answer.
      expect(times.slice(0, 5)).toEqual([0, 1_010, 3_020, 7_030, 15_040])
      expect(times[5]).toBe(31_050)
      // Then it is well, and those who waited are let go, not all at once.
      const after = times.slice(6)
      expect(after[0]).toBe(31_060)
      expect(after.filter((atMs) => atMs < 32_000).length).toBeLessThan(20)
      expect(after.length).toBeGreaterThan(50)
    },
  )

  test('is not hit again by those who were under way when it began to', () => {
    const outcomeAt = failing('SIGNER_THROTTLED', 0, 500)
    const burst = several(60, { outcomeAt, toVaultMs: 100 })
    const all = simulate(laneOf(1000), [...burst, ...several(1, { atMs: 200 })])

    expect(askedAt(all).at(-1)).toBe(1_105)
  })

  test('keeps waiting whoever has patience for the pause, and refuses the others at once', () => {
    const outcomeAt = failing('SIGNER_THROTTLED', 0, 20)
    const [, patient, hasty, elsewhere] = simulate(laneOf(1000), [
      { ...anArrival, outcomeAt },
      { ...anArrival, atMs: 100 },
      { ...anArrival, atMs: 100, patienceMs: 500 },
      { ...anArrival, atMs: 100, whilePaused: 'refuse' },
    ])

    expect(endingOf(required(patient))).toMatchObject({ kind: 'granted', atMs: 1_010 })
    for (const refused of [hasty, elsewhere]) {
      expect(endingOf(required(refused))).toMatchObject({
        kind: 'refused',
        atMs: 100,
        code: 'GOVERNOR_VAULT_PAUSED',
        retryAfterMs: 910,
      })
    }
  })

  test('ends the waiting of those whose patience is shorter than its new pause', () => {
    const outcomeAt = failing('SIGNER_THROTTLED', 0, 2_000)
    const all = simulate(laneOf(1000), [
      { ...anArrival, outcomeAt },
      ...several(3, { atMs: 100, outcomeAt, patienceMs: 2_000 }),
    ])

    // One of them asks after the first pause; the second pause is too long for the others.
    const ended = all.slice(1).map((one) => [endingOf(one).kind, endingOf(one).atMs])
    expect(ended).toEqual([
      ['granted', 1_010],
      ['refused', 1_020],
      ['refused', 1_020],
    ])
  })
})

/** Lets so many pass in ten seconds, wherever they begin or by the clock, and counts what it refuses or not. */
interface VaultHabits {
  readonly window: 'sliding' | 'by the clock'
  readonly refused: 'counted' | 'not counted'
}

function throttlingVault({ window, refused }: VaultHabits, unitsAt: (atMs: number) => number) {
  const inWindow = (one: number, atMs: number) =>
    window === 'sliding'
      ? one > atMs - 10_000
      : Math.floor(one / 10_000) === Math.floor(atMs / 10_000)
  const asked: { readonly atMs: number; readonly signed: boolean }[] = []
  let counted: number[] = []
  return {
    asked,
    outcomeAt: (atMs: number): PermitOutcome => {
      counted = counted.filter((one) => inWindow(one, atMs))
      const signed = counted.length < unitsAt(atMs)
      if (signed || refused === 'counted') counted.push(atMs)
      asked.push({ atMs, signed })
      return signed ? 'signed' : new SignerError('SIGNER_THROTTLED', 'no')
    },
  }
}

describe.each([
  { window: 'sliding', refused: 'counted' },
  { window: 'sliding', refused: 'not counted' },
  { window: 'by the clock', refused: 'counted' },
  { window: 'by the clock', refused: 'not counted' },
] as const)(
  'a vault that gives a tenth for a minute, window $window, refusals $refused,',
  (habits) => {
    const [fromMs, untilMs] = [43_000, 103_000]
    const vault = throttlingVault(habits, (atMs) => (fromMs <= atMs && atMs < untilMs ? 200 : 2000))
    const random = createSeededRandom(3)
    const evenly = (count: number, arrival: Partial<Arrival>) =>
      several(count * 150, { ...arrival, outcomeAt: vault.outcomeAt }).map((one, index) => ({
        ...one,
        atMs: Math.floor((index * 1000 + random.below(1000)) / count),
      }))
    /** Twice what it gives then, and a fifth of that is refreshes. */
    const all = simulate(
      laneOf(1600, { waitingMax: 2000, waitingPerLineMax: 500 }),
      [
        ...evenly(40, { fromVaultMs: 20 }),
        ...evenly(4, { fromVaultMs: 20, caller: 'refreshes', priority: 'ahead' }),
      ].toSorted((one, other) => one.atMs - other.atMs),
    )
    const between = (from: number, until: number, signed: boolean) =>
      vault.asked.filter((one) => one.signed === signed && from <= one.atMs && one.atMs < until)
        .length

    test('has most of what it gives asked for, as soon as that is known', () => {
      expect(between(fromMs + 20_000, untilMs, true)).toBeGreaterThan(0.75 * 4 * 200)
    })

    test('refuses little', () => {
      expect(between(fromMs, untilMs, false)).toBeGreaterThan(0)
      expect(between(fromMs, untilMs, false)).toBeLessThan(0.05 * 6 * 200)
    })

    test('keeps no refresh waiting in vain', () => {
      const refreshes = all.filter(({ priority }) => priority === 'ahead')
      expect(new Set(codesOf(refreshes))).toEqual(new Set(['granted']))
    })

    test('is asked for everything again when it gives it', () => {
      const late = all.filter(({ atMs }) => untilMs + 25_000 < atMs)
      expect(new Set(codesOf(late))).toEqual(new Set(['granted']))
      expect(Math.max(...late.map((one) => endingOf(one).atMs - one.atMs))).toBeLessThan(100)
    })
  },
)

describe('what a vault says that is not that it throttles', () => {
  const asked = (lane: SimulatedLane, outcomes: readonly PermitOutcome[]) => {
    simulate(
      lane,
      outcomes.map((outcome, index) => ({
        ...anArrival,
        atMs: index * 500,
        key: `https://vault.example/keys/k/${index}`,
        outcomeAt: () => outcome,
      })),
    )
    return lane.unitsLearned(outcomes.length * 500)
  }
  const error = (code: SignerErrorCode) => new SignerError(code, 'unknown')

  test.each([
    'SIGNER_UNAVAILABLE',
    'SIGNER_TIMEOUT',
    'SIGNER_CREDENTIAL',
    'SIGNER_FORBIDDEN',
  ] as const)('%s sets no pace', (code) => {
    expect(asked(laneOf(1600), [...Array<PermitOutcome>(5).fill('signed'), error(code)])).toBe(1600)
    expect(asked(laneOf(1600), Array<PermitOutcome>(6).fill(error(code)))).toBe(1600)
  })

  test('429 does, of what had passed', () => {
    const outcomes = [...Array<PermitOutcome>(5).fill('signed'), error('SIGNER_THROTTLED')]
    expect(asked(laneOf(1600), outcomes)).toBe(8)
    const more = [...Array<PermitOutcome>(9).fill('signed'), error('SIGNER_THROTTLED')]
    expect(asked(laneOf(1600), more)).toBe(9)
  })
})

describe('the pace of a vault that has throttled', () => {
  const throttledAt = (atMs: number) => failing('SIGNER_THROTTLED', atMs, atMs + 1)
  const burst = { toVaultMs: 0, fromVaultMs: 0 }

  test('is kept by those who wait when the one that finds out hears that its key is refused', () => {
    const all = simulate(laneOf(1600), [
      { ...anArrival, ...burst, outcomeAt: throttledAt(0) },
      {
        ...anArrival,
        atMs: 1,
        key: 'https://vault.example/keys/other/1',
        outcomeAt: failing('SIGNER_FORBIDDEN', 0, 2_000),
      },
      ...several(39, { atMs: 2, patienceMs: 100_000 }),
    ])
    const times = askedAt(all)

    expect(times[1]).toBe(1_000)
    expect(times.filter((atMs) => 1_000 < atMs && atMs < 1_100).length).toBeLessThanOrEqual(10)
    expect(times).toHaveLength(41)
  })

  test('is not forgotten for a refusal of those who were under way before', () => {
    const all = simulate(laneOf(1600), [
      { ...anArrival, atMs: 0, fromVaultMs: 1_500, outcomeAt: throttledAt(5) },
      { ...anArrival, atMs: 1, ...burst, outcomeAt: throttledAt(1) },
      ...several(39, { atMs: 2, patienceMs: 100_000 }),
    ])
    const times = askedAt(all)

    expect(times.slice(0, 3)).toEqual([0, 1, 1_001])
    expect(times.filter((atMs) => 1_400 < atMs && atMs < 1_600).length).toBeLessThan(10)
    expect(times).toHaveLength(41)
  })

  const lane = () => laneOf(1600, { waitingMax: 2000, waitingPerLineMax: 500 })

  test('keeps nobody from waiting after one refusal: what the vault gives is not known', () => {
    const all = simulate(lane(), [
      { ...anArrival, ...burst, outcomeAt: throttledAt(0) },
      ...several(100, { atMs: 2 }),
    ])

    expect(new Set(codesOf(all))).toEqual(new Set(['granted']))
    expect(Math.max(...all.map((one) => endingOf(one).atMs))).toBeLessThan(6_000)
  })

  test('is what newcomers are told to expect after the second one, while it is left alone', () => {
    const outcomeAt = failing('SIGNER_THROTTLED', 1, 1_500)
    const all = simulate(lane(), [
      ...several(20, burst),
      { ...anArrival, atMs: 1, ...burst, outcomeAt },
      { ...anArrival, atMs: 2, ...burst, outcomeAt },
      ...several(100, { atMs: 1_100 }),
    ]).slice(22)
    const refused = all.map(endingOf).filter((ending) => ending.kind === 'refused')

    // Eight at once when it is asked again, two a second, and twelve seconds of patience: 32.
    expect(refused.length).toBeGreaterThan(60)
    expect(refused.length).toBeLessThan(75)
    expect(new Set(refused.map(({ atMs }) => atMs))).toEqual(new Set([1_100]))
    for (const { retryAfterMs } of refused) {
      expect(retryAfterMs).toBeGreaterThan(2_000)
      expect(retryAfterMs).toBeLessThan(7_000)
    }
  })
})

test('of what a vault gives that throttles, a quarter is given away', () => {
  const vault = throttlingVault({ window: 'sliding', refused: 'counted' }, () => 200)
  const outcomeAt = vault.outcomeAt
  const both = stream(100, { outcomeAt }).flatMap((one) => [
    ...Array<Arrival>(2).fill(one),
    ...Array<Arrival>(8).fill({ ...one, purpose: 'hand-out', caller: 'pipeline' }),
  ])
  const all = grantedOf(simulate(laneOf(1600, { waitingMax: 2000, waitingPerLineMax: 500 }), both))
  const settled = all.filter((one) => endingOf(one).atMs > 30_000)
  const given = settled.filter(({ purpose }) => purpose === 'hand-out')

  expect(given.length).toBeGreaterThan(100)
  expect(given.length).toBeLessThan(0.3 * settled.length)
})

describe('a vault that fails', () => {
  test.each(['SIGNER_UNAVAILABLE', 'SIGNER_TIMEOUT', 'SIGNER_CREDENTIAL'] as const)(
    'with %s is left alone after the third time in a row',
    (code) => {
      const outcomeAt = failing(code, 0, 10_000)
      const all = simulate(laneOf(1000), stream(3, { outcomeAt, patienceMs: 50 }))

      expect(askedAt(all).slice(0, 4)).toEqual([0, 100, 200, 1_210])
    },
  )

  test('now and then is not', () => {
    const outcomeAt = (atMs: number) =>
      Math.floor(atMs / 100) % 3 === 2
        ? ('signed' as const)
        : new SignerError('SIGNER_UNAVAILABLE', 'unknown')

    expect(askedAt(simulate(laneOf(1000), stream(3, { outcomeAt })))).toHaveLength(30)
  })

  test('is found well by one, while the others wait for what it hears', () => {
    const outcomeAt = failing('SIGNER_UNAVAILABLE', 0, 1_000)
    const all = simulate(laneOf(1000), stream(3, { outcomeAt, fromVaultMs: 200 }))
    const times = askedAt(all)
    const probe = required(times.find((atMs) => atMs > 1_000))

    expect(times.filter((atMs) => probe <= atMs && atMs < probe + 205)).toEqual([probe])
    expect(times.filter((atMs) => atMs === probe + 205).length).toBeGreaterThan(5)
  })
})

describe('a key that the vault refuses', () => {
  const refusedKey = 'https://vault.example/keys/refused/1'

  test.each([
    'SIGNER_FORBIDDEN',
    'SIGNER_KEY_DISABLED',
    'SIGNER_KEY_OUTSIDE_VALIDITY',
    'SIGNER_KEY_MISSING',
    'SIGNER_REJECTED',
  ] as const)('%s is asked for again after half a minute, and then later and later', (code) => {
    const outcomeAt = failing(code, 0, 10_000_000)
    const times = askedAt(simulate(laneOf(1000), stream(600, { outcomeAt, key: refusedKey })))

    expect(times.map((atMs) => Math.round(atMs / 1000))).toEqual([0, 30, 90, 210, 450])
  })

  test('is refused from memory, with the time that is left, and waited for by nobody', () => {
    const outcomeAt = failing('SIGNER_FORBIDDEN', 0, 10_000_000)
    const [, later] = simulate(laneOf(1000), [
      { ...anArrival, outcomeAt, key: refusedKey },
      { ...anArrival, atMs: 20_010, patienceMs: 60_000, key: refusedKey },
    ])

    expect(endingOf(required(later))).toMatchObject({
      kind: 'refused',
      atMs: 20_010,
      code: 'GOVERNOR_KEY_PAUSED',
      retryAfterMs: 10_000,
    })
  })

  test('keeps no other key of the vault from signing', () => {
    const outcomeAt = failing('SIGNER_FORBIDDEN', 0, 10_000_000)
    const all = simulate(laneOf(1000), [
      { ...anArrival, outcomeAt, key: refusedKey },
      ...several(20, { atMs: 100 }),
    ])

    expect(grantedOf(all.slice(1))).toHaveLength(20)
  })

  test('ends the waiting of all who wait for it, when their turn comes', () => {
    const outcomeAt = failing('SIGNER_KEY_DISABLED', 0, 10_000_000)
    const all = simulate(laneOf(4), several(8, { outcomeAt, key: refusedKey }))

    expect(codesOf(all.slice(4))).toEqual(Array(4).fill('GOVERNOR_KEY_PAUSED'))
    expect(new Set(all.slice(4).map((one) => endingOf(one).atMs))).toEqual(new Set([10]))
  })

  test.each(['SIGNER_WRONG_SIGNATURE', 'SIGNER_UNACCOUNTABLE', 'SIGNER_UNRECOGNISED'] as const)(
    '%s costs three signatures, and then one for each pause',
    (code) => {
      const outcomeAt = failing(code, 0, 10_000_000)
      const times = askedAt(simulate(laneOf(1000), stream(100, { outcomeAt, key: refusedKey })))

      expect(times.map((atMs) => Math.round(atMs / 1000))).toEqual([0, 0, 0, 30, 90])
    },
  )
})
