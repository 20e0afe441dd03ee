import { fc } from '../support/drawn-cases.ts'
import { expect, test } from 'vitest'
import { stepOf } from '../../src/reload/folder-position.ts'
import type { GenerationName } from '../../src/reload/policy-generations.ts'

/** Replicas whose folders go through the same states, each at its own pace, and what is in force meanwhile. */
class Replicas {
  readonly #states: readonly string[]
  /** By generation, from 1. */
  readonly published: string[] = []
  /** Of each replica: how far its folder is, and what it corresponds to. */
  readonly #at: number[]
  readonly #positions: (GenerationName | undefined)[]

  constructor(states: readonly string[], count: number) {
    this.#states = states
    this.#at = Array.from({ length: count }, () => 0)
    this.#positions = Array.from({ length: count }, () => undefined)
  }

  /** The folder of a replica goes on by so many states, past those between, and the replica looks at it. */
  advance(replica: number, by: number): void {
    this.#at[replica] = Math.min((this.#at[replica] ?? 0) + by, this.#states.length - 1)
    this.look(replica, 'fresh')
  }

  look(replica: number, folder: 'fresh' | 'settled'): void {
    const sha256 = this.folderOf(replica)
    const generations = this.published.map((one, i) => ({ generation: i + 1, sha256: one }))
    const step = stepOf(
      this.#positions[replica],
      { sha256, isEmpty: false, isSettled: folder === 'settled' },
      {
        newest: generations.at(-1),
        same: generations.filter((one) => one.sha256 === sha256).map((one) => one.generation),
      },
    )
    if (step.kind === 'move') this.#positions[replica] = step.position
    if (step.kind === 'publish') {
      expect(step.generation).toBe(this.published.length + 1)
      this.published.push(sha256)
      this.#positions[replica] = { generation: step.generation, sha256 }
    }
  }

  /** It starts again, and has forgotten its position. */
  restart(replica: number): void {
    this.#positions[replica] = undefined
    this.look(replica, 'fresh')
  }

  folderOf(replica: number): string {
    return this.#states[this.#at[replica] ?? 0] ?? 'none'
  }

  get inForce(): string | undefined {
    return this.published.at(-1)
  }
}

const replicasMax = 4
const statesMax = 8

const walks = fc.array(
  fc.record({
    replica: fc.nat({ max: replicasMax - 1 }),
    by: fc.integer({ min: 0, max: 3 }),
  }),
  { maxLength: 40 },
)
const distinctStates = fc
  .integer({ min: 1, max: statesMax })
  .map((count) => Array.from({ length: count }, (_, i) => `state ${i}`))
/** Each differs from the one before, or it would be no change. */
const repeatingStates = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: statesMax })
  .map((states) => states.filter((state, i) => state !== states[i - 1]))

/** All begin with the first state; in the end, in some order, all see the last one. */
function walk(
  states: readonly string[],
  steps: readonly { replica: number; by: number }[],
  last: readonly number[],
  onStep: (replicas: Replicas) => void = () => undefined,
): Replicas {
  const replicas = new Replicas(states, replicasMax)
  for (let replica = 0; replica < replicasMax; replica += 1) replicas.look(replica, 'fresh')
  for (const { replica, by } of steps) {
    replicas.advance(replica, by)
    onStep(replicas)
  }
  for (const replica of last) {
    replicas.advance(replica, states.length)
    onStep(replicas)
  }
  return replicas
}

const lastOrder = fc.shuffledSubarray([0, 1, 2, 3], { minLength: replicasMax })

test('what all folders end with is in force, whoever is how late and misses what', () => {
  fc.assert(
    fc.property(
      fc.oneof(distinctStates, repeatingStates),
      walks,
      lastOrder,
      (states, steps, last) => {
        expect(walk(states, steps, last).inForce).toBe(states.at(-1))
      },
    ),
    { numRuns: 2000 },
  )
})

test('no state comes into force after a later one, and none twice', () => {
  fc.assert(
    fc.property(distinctStates, walks, lastOrder, (states, steps, last) => {
      const { published } = walk(states, steps, last)
      const order = published.map((state) => states.indexOf(state))
      expect(order).toEqual([...new Set(order)].toSorted((a, b) => a - b))
    }),
    { numRuns: 2000 },
  )
})

test('nor when replicas start again with a folder that was in force, however old', () => {
  fc.assert(
    fc.property(distinctStates, walks, lastOrder, (states, steps, last) => {
      const replicas = walk(states, steps, last, (now) => {
        for (let replica = 0; replica < replicasMax; replica += 1) {
          if (!now.published.includes(now.folderOf(replica))) continue
          const before = [...now.published]
          now.restart(replica)
          expect(now.published).toEqual(before)
        }
      })
      const order = replicas.published.map((state) => states.indexOf(state))
      expect(order).toEqual(order.toSorted((a, b) => a - b))
      expect(replicas.inForce).toBe(states.at(-1))
    }),
    { numRuns: 1000 },
  )
})

test('the states of one folder that others only follow come into force one by one, back and forth', () => {
  fc.assert(
    fc.property(repeatingStates, fc.infiniteStream(fc.boolean()), (states, coins) => {
      const replicas = new Replicas(states, 2)
      replicas.look(0, 'fresh')
      replicas.look(1, 'fresh')
      let behind = 0
      states.slice(1).forEach((state) => {
        replicas.advance(0, 1)
        behind += 1
        expect(replicas.inForce).toBe(state)
        while (behind > 0 && coins.next().value === true) {
          replicas.advance(1, 1)
          behind -= 1
          expect(replicas.inForce).toBe(state)
        }
      })
      expect(replicas.published).toEqual(states)
    }),
    { numRuns: 1000 },
  )
})

test('whoever is left brings its folder into force when it has settled, unless that is over', () => {
  fc.assert(
    fc.property(distinctStates, walks, fc.nat({ max: replicasMax - 1 }), (states, steps, left) => {
      const replicas = walk(states, steps, [])
      const folder = replicas.folderOf(left)
      const isOver = replicas.published.includes(folder) && replicas.inForce !== folder
      const before = [...replicas.published]
      replicas.look(left, 'settled')
      if (isOver) expect(replicas.published).toEqual(before)
      else expect(replicas.inForce).toBe(folder)
      replicas.look(left, 'settled')
      expect(replicas.published.length - before.length).toBeLessThanOrEqual(1)
    }),
    { numRuns: 1000 },
  )
})
