import { describe, expect, test } from 'vitest'
import { FairQueue, type Waiting } from '../../../src/signer/fair-queue.ts'

interface Named extends Waiting {
  readonly name: string
}

/** `events/orders 2`: application, line, and who of it. */
function named(name: string, units = 1): Named {
  const [application = '', line = ''] = name.split(/[/ ]/)
  return { name, application, line, units }
}

const several = (name: string, count: number, units = 1) =>
  Array.from({ length: count }, (_, number) => named(`${name} ${number}`, units))

function queueOf(...waiters: readonly Named[]): FairQueue<Named> {
  const queue = new FairQueue<Named>()
  for (const waiter of waiters) queue.push(waiter)
  return queue
}

const anybody = () => true

function serve(queue: FairQueue<Named>, turns: number): readonly string[] {
  return Array.from({ length: turns }, () => {
    const waiter = queue.next(anybody)
    if (waiter === undefined) return 'nobody'
    queue.serve(waiter)
    return waiter.name
  })
}

/** How often each line was served. */
const countsOf = (names: readonly string[]) =>
  Object.groupBy(names, (name) => name.split(' ')[0] ?? '')

describe('those who wait', () => {
  test('are counted in units, until they have had their turn or gone', () => {
    const [large, gone] = [named('a/x 0', 8), named('b/y 0', 4)]
    const queue = queueOf(large, gone, named('b/y 1'))
    expect(queue.units).toBe(13)
    queue.serve(large)
    queue.remove(gone)
    expect(queue.units).toBe(1)
  })

  test('have a last one: the youngest of the longest line, or of lines that are as long', () => {
    expect(queueOf(...several('a/x', 3), named('a/y 0'), named('b/z 0')).last?.name).toBe('a/x 2')
    expect(queueOf(named('a/x 0'), named('a/y 0'), named('a/z 0')).last?.name).toBe('a/z 0')
    expect(queueOf().last).toBeUndefined()
  })
})

describe('turns', () => {
  test('within a line go by arrival', () => {
    expect(serve(queueOf(...several('a/x', 3)), 4)).toEqual(['a/x 0', 'a/x 1', 'a/x 2', 'nobody'])
  })

  test('go around the lines of an application, whoever has more waiting', () => {
    const queue = queueOf(...several('a/noisy', 100), named('a/quiet 0'), named('a/quiet 1'))

    expect(serve(queue, 4)).toEqual(['a/noisy 0', 'a/quiet 0', 'a/noisy 1', 'a/quiet 1'])
  })

  test('go around the applications, whichever has more lines', () => {
    const many = Array.from({ length: 30 }, (_, line) => named(`many/${line} 0`))
    const served = serve(queueOf(...many, ...several('one/line', 10)), 20)

    expect(countsOf(served)['one/line']).toHaveLength(10)
  })

  test('are measured in units: who asks with large keys is served less often', () => {
    const served = serve(queueOf(...several('small/x', 90, 1), ...several('large/x', 90, 8)), 90)

    expect(countsOf(served)['small/x']).toHaveLength(80)
    expect(countsOf(served)['large/x']).toHaveLength(10)
  })

  test('are not saved up: who was away gets one turn in each round, not all that it missed', () => {
    const queue = queueOf(...several('a/steady', 50))
    serve(queue, 20)
    for (const waiter of several('a/late', 10)) queue.push(waiter)

    const counts = countsOf(serve(queue, 10))
    expect([counts['a/steady']?.length, counts['a/late']?.length]).toEqual([5, 5])
  })

  test('come to whoever waits, however many others come after it, each for the first time', () => {
    const queue = queueOf(...several('a/old', 2))
    serve(queue, 1)
    const served: string[] = []
    for (let stranger = 0; !served.includes('a/old 1'); stranger += 1) {
      queue.push(named(`a/stranger-${stranger} 0`))
      queue.push(named(`b-${stranger}/stranger 0`))
      served.push(...serve(queue, 1))
      expect(served.length).toBeLessThan(5)
    }
  })

  test('pass over those who may not be served, and come back to them', () => {
    const queue = queueOf(...several('a/given', 2), ...several('a/used', 2))
    const used = queue.next(({ line }) => line === 'used')

    expect(used?.name).toBe('a/used 0')
    expect(queue.next(({ line }) => line === 'neither')).toBeUndefined()
    expect(queue.next(anybody)?.name).toBe('a/given 0')
  })
})

describe('leaving', () => {
  test('is no turn: the next of the line is served in its place', () => {
    const [first, second] = several('a/x', 2)
    if (first === undefined || second === undefined) throw new TypeError('two')
    const queue = queueOf(first, second, named('a/y 0'))
    queue.remove(first)

    expect(queue.size).toBe(2)
    expect(serve(queue, 3)).toEqual(['a/x 1', 'a/y 0', 'nobody'])
  })

  test('twice is leaving once', () => {
    const waiter = named('a/x 0')
    const queue = queueOf(waiter, named('a/x 1'))
    queue.remove(waiter)
    queue.remove(waiter)

    expect([...queue].map(({ name }) => name)).toEqual(['a/x 1'])
    expect(queue.sizeOfLine(waiter)).toBe(1)
  })
})

describe('making room', () => {
  const yieldingTo = (newcomer: Named, ...others: readonly Named[]) =>
    queueOf(...others, newcomer).yielding(newcomer).name

  test('falls to the youngest of the longest line of the largest application', () => {
    const largest = [...several('large/long', 5), named('large/short 0')]

    expect(yieldingTo(named('small/x 0'), ...largest, ...several('small/y', 3))).toBe(
      'large/long 4',
    )
  })

  test('falls within its own application to a line longer than its own', () => {
    expect(yieldingTo(named('a/new 0'), ...several('a/long', 3))).toBe('a/long 2')
  })

  test('falls to the newcomer when nobody has more than it', () => {
    expect(yieldingTo(named('a/x 3'), ...several('a/x', 3))).toBe('a/x 3')
    expect(yieldingTo(named('b/x 0'), named('a/x 0'))).toBe('b/x 0')
  })
})

describe('units until a newcomer is served', () => {
  test('are what waits before it in its line, and of the others as much as their turns', () => {
    const queue = queueOf(
      ...several('a/x', 2),
      ...several('a/y', 9),
      ...several('a/z', 1),
      ...several('b/x', 100),
      ...several('c/x', 3),
    )

    // Its own 3, three of y and the one of z: 7; as many of b, and all of c.
    expect(queue.unitsUntilServed(named('a/x new'))).toBe(3 + 3 + 1 + 7 + 3)
    expect(queue.unitsUntilServed(named('d/x new'))).toBe(1 + 1 + 1 + 1)
  })

  test('are as many as are then served, whatever waits', () => {
    for (let load = 0; load < 200; load += 7) {
      const queue = queueOf(
        ...several('a/x', load % 5),
        ...several('a/y', load % 11),
        ...several('b/x', load % 13),
        ...several('b/y', load % 3),
      )
      const newcomer = named('a/x new')
      const expected = queue.unitsUntilServed(newcomer)
      queue.push(newcomer)
      const served = serve(queue, 200).indexOf('a/x new') + 1

      // The turn of the others that is on may fall before or after its own.
      expect(Math.abs(served - expected)).toBeLessThanOrEqual(3)
    }
  })

  test('leave out lines that do not count', () => {
    const queue = queueOf(...several('a/x', 4), ...several('b/y', 4))

    expect(queue.unitsUntilServed(named('a/x new'), ({ line }) => line !== 'y')).toBe(5)
  })
})
