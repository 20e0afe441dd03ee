import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, it } from 'vitest'
import { SignatureTimes } from '../../../src/reconcile/signature-times.ts'
import { minuteMs, startMs } from '../../support/signed-traffic.ts'

const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const sumOf = (counts: readonly number[] = []) => counts.reduce((sum, count) => sum + count, 0)

describe('signatures over time', () => {
  it('are counted by caller and by application, the most first', () => {
    const times = new SignatureTimes()
    times.add(startMs, 'a', 'events')
    times.add(startMs + minuteMs, 'b', 'events')
    times.add(startMs + minuteMs + 1, 'b', 'deploy')
    expect(times.timeline([])).toEqual({
      startMs,
      pieceMs: minuteMs,
      pieces: 2,
      callers: [
        { name: 'b', counts: [0, 2] },
        { name: 'a', counts: [1, 0] },
      ],
      applications: [
        { name: 'events', counts: [1, 1] },
        { name: 'deploy', counts: [0, 1] },
      ],
    })
  })

  it('are nothing without any time', () => {
    expect(new SignatureTimes().timeline([])).toBeUndefined()
  })

  it('reach other times too', () => {
    const times = new SignatureTimes()
    times.add(startMs, 'a', 'events')
    const timeline = times.timeline([startMs + 3 * dayMs])
    expect(timeline?.pieceMs).toBe(hourMs)
    expect(timeline?.pieces).toBe(73)
    expect(sumOf(timeline?.callers[0]?.counts)).toBe(1)
  })

  it('name eight, and count the rest as one', () => {
    const times = new SignatureTimes()
    for (let caller = 0; caller < 1500; caller += 1) {
      for (let time = 0; time <= caller % 20; time += 1)
        times.add(startMs, `caller-${caller}`, 'events')
    }
    const callers = times.timeline([])?.callers ?? []
    expect(callers).toHaveLength(9)
    expect(callers.at(-1)?.name).toBe('all others')
    expect(sumOf(callers.flatMap(({ counts }) => counts))).toBe((1500 / 20) * 210)
  })

  it('lose none, and stay few pieces, however far apart and in whatever order they come', () => {
    const lifeMs = 40 * 365 * dayMs
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: lifeMs }), { minLength: 1 }), (offsets) => {
        const times = new SignatureTimes()
        for (const offset of offsets) times.add(startMs + offset, 'a', 'events')
        const timeline = times.timeline([])
        expect(sumOf(timeline?.callers[0]?.counts)).toBe(offsets.length)
        expect(timeline?.pieces).toBeLessThanOrEqual(96)
        const firstMs = startMs + Math.min(...offsets)
        expect(timeline?.startMs).toBeLessThanOrEqual(firstMs)
      }),
    )
  })
})
