import { fc } from '../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import type { PermitOutcome } from '../../src/signer/governor.ts'
import { SignerError } from '../../src/signer/signer.ts'
import { createWindowBudget, type SignBudget } from '../../src/signer/sign-budget.ts'
import { VaultCircuits } from '../../src/signer/vault-circuits.ts'
import { VaultLane } from '../../src/signer/vault-lane.ts'
import {
  type Arrival,
  fullestWindow,
  simulate,
  type Simulated,
  type SimulatedLane,
} from '../support/lane-simulation.ts'

/** Small numbers, so that budget, queue and connections are all run into. */
const unitsMax = 40
const handOutUnitsMax = 10
const bounds = { underWayMax: 12, waitingMax: 30, waitingPerLineMax: 12 }

const newLane = (): SimulatedLane =>
  laneWith(createWindowBudget(unitsMax), createWindowBudget(handOutUnitsMax))

const laneWith = (budget: SignBudget, handOuts: SignBudget): SimulatedLane =>
  new VaultLane({ whole: budget, handOuts }, new VaultCircuits(() => 0.5), bounds)

const arrival: fc.Arbitrary<Arrival> = fc.record({
  // Bursts at one moment, trickles, and gaps in which everything is forgotten.
  atMs: fc.oneof(fc.constantFrom(0, 9_999, 10_000, 10_001), fc.nat(45_000)),
  application: fc.constantFrom('events', 'deploy'),
  caller: fc.constantFrom('a', 'b', 'c'),
  units: fc.constantFrom(1, 1, 4, 8),
  purpose: fc.constantFrom('exchange', 'exchange', 'hand-out'),
  priority: fc.constantFrom('caller', 'caller', 'ahead'),
  patienceMs: fc.constantFrom(0, 100, 5_000, 12_000, 30_000),
  toVaultMs: fc.constantFrom(0, 3, 40, 9_000),
  fromVaultMs: fc.constantFrom(0, 5, 2_000),
  key: fc.constantFrom('https://vault.example/keys/k/1', 'https://vault.example/keys/k/2'),
  whilePaused: fc.constantFrom('wait', 'wait', 'refuse'),
  outcomeAt: fc
    .constantFrom(
      ...Array<PermitOutcome>(10).fill('signed'),
      'not-asked',
      'unknown',
      new SignerError('SIGNER_THROTTLED', 'no'),
      new SignerError('SIGNER_TIMEOUT', 'unknown'),
      new SignerError('SIGNER_FORBIDDEN', 'no'),
    )
    .map((outcome) => () => outcome),
})

const arrivals = fc.array(arrival, { maxLength: 250, size: 'max' })

/** Those that the vault was asked with. */
const asked = (all: readonly Simulated[]) =>
  all.flatMap(({ endings, ...arrival }) =>
    endings.flatMap((ending) =>
      ending.kind === 'granted' && arrival.outcomeAt(ending.vaultAtMs) !== 'not-asked'
        ? [{ ...arrival, ...ending }]
        : [],
    ),
  )

describe('whoever comes, and however long requests are under way', () => {
  test('no ten seconds hold more than the budget, neither of permits nor at the vault', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const permits = asked(simulate(newLane(), all))
        expect(fullestWindow(permits)).toBeLessThanOrEqual(unitsMax)
        const atVault = permits.map(({ vaultAtMs, units }) => ({ atMs: vaultAtMs, units }))
        expect(fullestWindow(atVault)).toBeLessThanOrEqual(unitsMax)
      }),
    )
  })

  test('no ten seconds give away more than their share of it', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const given = asked(simulate(newLane(), all)).filter(
          ({ purpose }) => purpose === 'hand-out',
        )
        expect(fullestWindow(given)).toBeLessThanOrEqual(handOutUnitsMax)
      }),
    )
  })

  test('each is answered once, before its deadline, and with a time when it is refused', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        for (const { endings, atMs, patienceMs } of simulate(newLane(), all)) {
          expect(endings).toHaveLength(1)
          for (const ending of endings) {
            const lateMs = ending.kind === 'granted' ? 0 : 1
            expect(ending.atMs).toBeLessThanOrEqual(atMs + patienceMs + lateMs)
            if (ending.kind === 'refused') expect(ending.retryAfterMs).toBeLessThan(400_000)
          }
        }
      }),
    )
  })

  test('never are more permits under way than there are connections', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const permits = asked(simulate(newLane(), all))
        for (const { atMs } of permits) {
          const underWay = permits.filter(
            (one) => one.atMs <= atMs && atMs < one.vaultAtMs + one.fromVaultMs,
          )
          expect(underWay.length).toBeLessThanOrEqual(bounds.underWayMax)
        }
      }),
    )
  })

  test('the lane ends empty, with all of its budget', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const budget = createWindowBudget(unitsMax)
        const handOuts = createWindowBudget(handOutUnitsMax)
        const lane = laneWith(budget, handOuts)
        simulate(lane, all)
        expect(lane.waiting).toBe(0)
        expect([budget.used(1_000_000), handOuts.used(1_000_000)]).toEqual([0, 0])
      }),
    )
  })
})
