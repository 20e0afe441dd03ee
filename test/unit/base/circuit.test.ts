import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import {
  type Caution,
  type Circuit,
  closedCircuit,
  entered,
  failed,
  longPauses,
  passageOf,
  pauseOf,
  released,
  shortPauses,
  succeeded,
  untriedCircuit,
  withdrawn,
} from '../../../src/base/circuit.ts'

const pauseMs = (pauses: number) => 1000 * 2 ** pauses
const atOnce: Caution = { opensAfter: 1, pauseMs }
const atThird: Caution = { opensAfter: 3, pauseMs }

/** What a request makes of a circuit that lets it pass. */
const ask = (
  circuit: Circuit,
  nowMs: number,
  outcome: 'succeeds' | 'fails' | 'withdraws',
  caution = atOnce,
): Circuit => {
  const now = entered(circuit)
  if (outcome === 'succeeds') return succeeded(now, now.round)
  return outcome === 'fails' ? failed(now, now.round, caution, nowMs) : withdrawn(now, now.round)
}

describe('a closed circuit', () => {
  test('lets everybody pass', () => {
    expect(passageOf(closedCircuit, 0)).toEqual({ kind: 'free' })
    expect(passageOf(entered(closedCircuit), 0)).toEqual({ kind: 'free' })
  })

  test('opens at the failure that is one too many in a row', () => {
    const twice = ask(ask(closedCircuit, 0, 'fails', atThird), 0, 'fails', atThird)

    expect(passageOf(twice, 0)).toEqual({ kind: 'free' })
    expect(passageOf(ask(twice, 0, 'fails', atThird), 0)).toEqual({ kind: 'paused', forMs: 1000 })
    const mended = ask(twice, 0, 'succeeds')
    expect(passageOf(ask(mended, 0, 'fails', atThird), 0)).toEqual({ kind: 'free' })
  })

  test('counts what those hear who are under way, whatever others hear first', () => {
    const { round } = entered(closedCircuit)
    const circuit = succeeded(entered(closedCircuit), round)

    expect(passageOf(failed(circuit, round, atOnce, 0), 0).kind).toBe('paused')
  })
})

describe('an open circuit', () => {
  const open = ask(closedCircuit, 0, 'fails')

  test('lets nobody pass before its time, and then one alone', () => {
    expect(passageOf(open, 999)).toEqual({ kind: 'paused', forMs: 1 })
    expect(passageOf(open, 1000)).toEqual({ kind: 'probe' })
    expect(passageOf(entered(open), 1000)).toEqual({ kind: 'busy' })
  })

  test('closes when that one succeeds', () => {
    expect(passageOf(ask(open, 1000, 'succeeds'), 1000)).toEqual({ kind: 'free' })
  })

  test('stays for twice as long when it fails, whatever it takes to open a closed one', () => {
    const twice = ask(open, 1000, 'fails', atThird)

    expect(passageOf(twice, 1000)).toEqual({ kind: 'paused', forMs: 2000 })
    expect(passageOf(ask(twice, 3000, 'fails'), 3000)).toEqual({ kind: 'paused', forMs: 4000 })
  })

  test('lets the next one try when it has learned nothing, and remembers how long it has lasted', () => {
    const circuit = ask(open, 1000, 'withdraws')

    expect(passageOf(circuit, 1000)).toEqual({ kind: 'probe' })
    expect(passageOf(ask(circuit, 1000, 'fails'), 1000)).toEqual({ kind: 'paused', forMs: 2000 })
  })

  test('begins with the shortest pause again once it was closed', () => {
    const again = ask(ask(open, 1000, 'succeeds'), 1000, 'fails')

    expect(passageOf(again, 1000)).toEqual({ kind: 'paused', forMs: 1000 })
  })

  test('hears nothing of those who asked before it opened', () => {
    const { round } = closedCircuit

    expect(failed(open, round, atOnce, 500)).toBe(open)
    expect(succeeded(open, round)).toBe(open)
    const probing = entered(open)
    expect([failed(probing, round, atOnce, 1000), succeeded(probing, round)]).toEqual([
      probing,
      probing,
    ])
  })
})

describe('a circuit of which nothing is known', () => {
  test('lets one pass alone, at once', () => {
    expect(passageOf(untriedCircuit, 0)).toEqual({ kind: 'probe' })
    expect(passageOf(entered(untriedCircuit), 0)).toEqual({ kind: 'busy' })
  })

  test('pauses for as long as any other when that one fails', () => {
    expect(passageOf(ask(untriedCircuit, 0, 'fails'), 0)).toEqual({ kind: 'paused', forMs: 1000 })
  })

  test('lets everybody pass when that one could not find out, and nothing is held against it', () => {
    const probing = entered(untriedCircuit)
    expect(passageOf(released(probing, probing.round), 0)).toEqual({ kind: 'free' })

    const refused = entered(ask(untriedCircuit, 0, 'fails'))
    expect(passageOf(released(refused, refused.round), 1000)).toEqual({ kind: 'probe' })
  })
})

describe('pauses', () => {
  test('are 1, 2, 4, 8 and 16 s for what mends itself, and 30 s to 5 min for what people must mend', () => {
    const planned = (plan: typeof shortPauses) =>
      [0, 1, 2, 3, 4, 5, 60].map((pauses) => pauseOf(plan, pauses, 0) / 1000)

    expect(planned(shortPauses)).toEqual([1, 2, 4, 8, 16, 16, 16])
    expect(planned(longPauses)).toEqual([30, 60, 120, 240, 300, 300, 300])
  })

  test('are never shorter than planned, and a quarter longer at most', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.double({ min: 0, max: 1, noNaN: true }), (pauses, random) => {
        const planned = pauseOf(shortPauses, pauses, 0)
        const paused = pauseOf(shortPauses, pauses, random)
        expect(paused).toBeGreaterThanOrEqual(planned)
        expect(paused).toBeLessThanOrEqual(1.25 * planned)
      }),
    )
  })
})

test('of any who ask as they may, one at most is alone, and nobody is beside it', () => {
  const step = fc.record({
    afterMs: fc.nat(3000),
    act: fc.constantFrom('ask', 'succeeds', 'fails', 'withdraws'),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let circuit = untriedCircuit
      let nowMs = 0
      const underWay: number[] = []
      for (const { afterMs, act } of steps) {
        nowMs += afterMs
        const passage = passageOf(circuit, nowMs)
        if (act === 'ask') {
          if (passage.kind === 'busy') expect(underWay).toContain(circuit.round)
          if (passage.kind !== 'free' && passage.kind !== 'probe') continue
          circuit = entered(circuit)
          if (passage.kind === 'probe') expect(underWay).not.toContain(circuit.round)
          underWay.push(circuit.round)
          continue
        }
        const round = underWay.shift()
        if (round === undefined) continue
        if (act === 'succeeds') circuit = succeeded(circuit, round)
        else if (act === 'fails') circuit = failed(circuit, round, atThird, nowMs)
        else circuit = withdrawn(circuit, round)
      }
    }),
  )
})
