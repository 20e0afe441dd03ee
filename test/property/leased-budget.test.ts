import { fc } from '../support/drawn-cases.ts'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { DatabaseAccessError } from '../../src/database-access/database-access-error.ts'
import { lendingTerms, type UnitLender } from '../../src/signer/unit-lender.ts'
import { fullestWindow } from '../support/lane-simulation.ts'
import {
  createLeasingReplica,
  delay,
  type LeasingReplica,
  type VaultAsked,
} from '../support/leasing-replicas.ts'
import { createMemoryUnits, type MemoryUnits } from '../support/memory-unit-lender.ts'
import { required } from '../support/required.ts'

/** Replicas on one lender, in a time that passes as fast as it is worked through. */

const unitsMax = 40
const handOutsMax = 10
const replicasMax = 3

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** How a trade goes: `lost-after`: it is done, and nobody is told. */
interface Fate {
  readonly kind: 'answered' | 'lost-before' | 'lost-after'
  readonly thereMs: number
  readonly backMs: number
}

const swift: Fate = { kind: 'answered', thereMs: 1, backMs: 1 }

/** A little longer than whoever asks the database waits for it. */
const lostAfterMs = 2000

const faulty = (lender: UnitLender, nextFate: () => Fate): UnitLender => ({
  trade: async (trade) => {
    const { kind, thereMs, backMs } = nextFate()
    const lost = async () => {
      await delay(lostAfterMs)
      throw new DatabaseAccessError('DATABASE_UNREACHABLE')
    }
    await delay(thereMs)
    if (kind === 'lost-before') return lost()
    const traded = await lender.trade(trade)
    if (kind === 'lost-after') return lost()
    await delay(backMs)
    return traded
  },
})

interface Scene {
  readonly replicas: readonly LeasingReplica[]
  readonly vaultLog: readonly VaultAsked[]
  /** By the name of the budget. */
  readonly units: ReadonlyMap<string, MemoryUnits>
}

function createScene(nextFate: () => Fate = () => swift): Scene {
  const vaultLog: VaultAsked[] = []
  const units = new Map<string, MemoryUnits>()
  const lenderOf = (name: string, ofIt: number) => {
    const known =
      units.get(name) ??
      createMemoryUnits({ unitsMax: ofIt, terms: lendingTerms, clock: systemClock })
    units.set(name, known)
    return faulty(known.open(), nextFate)
  }
  const replicas = Array.from({ length: replicasMax }, () =>
    createLeasingReplica({ unitsMax, terms: lendingTerms, clock: systemClock, vaultLog, lenderOf }),
  )
  return { replicas, vaultLog, units }
}

const fate: fc.Arbitrary<Fate> = fc.record({
  kind: fc.constantFrom('answered', 'answered', 'answered', 'lost-before', 'lost-after'),
  thereMs: fc.constantFrom(0, 1, 5, 400, 1900),
  backMs: fc.constantFrom(0, 1, 5, 400, 1900),
})

const arrival = fc.record({
  // As leases and windows end, and any time.
  atMs: fc.oneof(fc.constantFrom(0, 2_100, 10_000, 12_100, 12_500, 25_100), fc.nat(60_000)),
  replica: fc.nat(replicasMax - 1),
  count: fc.constantFrom(1, 3, 20, 60),
  asking: fc.record({
    units: fc.constantFrom(1 as const, 1 as const, 4 as const),
    purpose: fc.constantFrom('exchange' as const, 'exchange' as const, 'hand-out' as const),
    patienceMs: fc.constantFrom(100, 5_000, 12_000, 30_000),
    beforeMs: fc.constantFrom(0, 3, 9_000, 9_000, 40_000),
    toVaultMs: fc.constantFrom(0, 3, 3_000, 20_000),
    fromVaultMs: fc.constantFrom(0, 5, 2_000, 60_000),
  }),
})

const death = fc.record({ atMs: fc.nat(60_000), replica: fc.nat(replicasMax - 1) })

const scene = fc.record({
  fates: fc.array(fate, { minLength: 1, maxLength: 40 }),
  arrivals: fc.array(arrival, { maxLength: 40, size: 'max' }),
  deaths: fc.array(death, { maxLength: 1 }),
})

/** Longer than anybody waits, and than anything that is lent is remembered. */
const allIsOverMs = 300_000

type Drawn = typeof scene extends fc.Arbitrary<infer One> ? One : never

async function play({ fates, arrivals, deaths }: Drawn): Promise<Scene & { answered: number }> {
  let fatesHad = 0
  const played = createScene(() => {
    fatesHad += 1
    // What is wrong comes to an end, so that all is told at last.
    return fatesHad > 400 ? swift : required(fates[fatesHad % fates.length])
  })
  let answered = 0
  for (const { atMs, replica, count, asking } of arrivals) {
    setTimeout(() => {
      for (let i = 0; i < count; i += 1) {
        void required(played.replicas[replica])
          .ask(asking)
          .then(() => (answered += 1))
      }
    }, atMs)
  }
  for (const { atMs, replica } of deaths) {
    setTimeout(() => {
      played.replicas[replica]?.kill()
    }, atMs)
  }
  await vi.advanceTimersByTimeAsync(allIsOverMs)
  return { ...played, answered }
}

describe('whoever asks, however trades and signatures go, and whichever replica is killed', () => {
  test('no ten seconds of the vault hold more than the budget, nor more hand-outs than their share', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async (drawn) => {
        const { vaultLog } = await play(drawn)
        expect(fullestWindow(vaultLog)).toBeLessThanOrEqual(unitsMax)
        const given = vaultLog.filter(({ purpose }) => purpose === 'hand-out')
        expect(fullestWindow(given)).toBeLessThanOrEqual(handOutsMax)
      }),
      { numRuns: 60 },
    )
  }, 120_000)

  test('everybody is answered, and all of the budget is free in the end', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async (drawn) => {
        const { units, answered, replicas } = await play({ ...drawn, deaths: [] })
        expect(answered).toBe(drawn.arrivals.reduce((all, { count }) => all + count, 0))
        expect(replicas.map(({ unitsUsed }) => unitsUsed)).toEqual([0, 0, 0])
        for (const [name, lender] of units) {
          const trade = { needed: 0, wanted: 0, waiting: 0, leaseId: 'x', reports: [], charged: 0 }
          const { free } = await lender.open().trade(trade)
          expect(free).toBe(name.endsWith('hand-outs') ? handOutsMax : unitsMax)
        }
      }),
      { numRuns: 30 },
    )
  }, 120_000)
})

/** As many as want to sign all the time. */
async function saturate(replicas: readonly LeasingReplica[], forMs: number): Promise<void> {
  let isOver = false
  const askOn = async (replica: LeasingReplica) => {
    while (!isOver) if ((await replica.ask()) !== 'signed') await delay(100)
  }
  const asking = replicas.flatMap((replica) => Array.from({ length: 30 }, () => askOn(replica)))
  await vi.advanceTimersByTimeAsync(forMs)
  isOver = true
  await vi.advanceTimersByTimeAsync(allIsOverMs)
  await Promise.all(asking)
}

describe('when more is wanted than there is', () => {
  test.each([1, replicasMax])('%i of three replicas use nearly all of it', async (busy) => {
    const { replicas, vaultLog } = createScene()
    await saturate(replicas.slice(0, busy), 100_000)
    const used = vaultLog.filter(({ atMs }) => atMs <= required(vaultLog[0]).atMs + 100_000).length
    // Eleven windows begin in that time, one of them at its very end.
    expect(used).toBeGreaterThan(10 * unitsMax * 0.93)
    expect(fullestWindow(vaultLog)).toBeLessThanOrEqual(unitsMax)
  })
})
