import { describe, expect, test } from 'vitest'
import { judgeSoak, type Sample, type SoakRecord } from '../../../bench/soak-judge.ts'

const sample = (second: number, part: Partial<Sample> = {}): Sample => ({
  second,
  residentMegabytes: 160,
  heapMegabytes: 60,
  p50Ms: 1,
  p99Ms: 8,
  handles: 60,
  cacheMegabytes: 1,
  ledgerMegabytes: second / 10,
  unproved: second,
  ...part,
})

const sound: SoakRecord = {
  samples: Array.from({ length: 30 }, (_, index) => sample(index * 5)),
  failures: [],
  verifyCode: 0,
  reconciled: { findings: [], undecided: [] },
  lostAnswersMax: 1,
}

const rising = (member: keyof Sample, from: number, step: number): SoakRecord => ({
  ...sound,
  samples: sound.samples.map((one, index) => ({ ...one, [member]: from + index * step })),
})

const broken = (record: SoakRecord) =>
  judgeSoak(record)
    .filter(({ ok }) => !ok)
    .map(({ words }) => words)

test('a service that stays as it is keeps every promise', () => {
  expect(broken(sound)).toEqual([])
  expect(judgeSoak(sound).length).toBeGreaterThan(8)
})

describe('what grows from the second third to the last', () => {
  test.each([
    ['residentMegabytes', 160, 2, 'memory: peak 198.0 MB in the second third and 218.0 MB'],
    ['heapMegabytes', 60, 2, 'heap: peak 98.0 MB in the second third and 118.0 MB'],
    ['handles', 60, 3, 'open files: peak 117.0 in the second third and 147.0'],
    ['cacheMegabytes', 1, 0.2, 'cache: peak 4.8 MB in the second third and 6.8 MB'],
    ['p50Ms', 1, 2, 'p50: usual 31.0 ms in the second third and 51.0 ms'],
    ['p99Ms', 8, 20, 'p99: usual 308.0 ms in the second third and 508.0 ms'],
  ] as const)('%s is told', (member, from, step, words) => {
    expect(broken(rising(member, from, step))).toEqual([expect.stringContaining(words)])
  })

  test('is not what grew before it, nor what falls, nor what is meant to grow', () => {
    const first = (one: Sample, index: number) =>
      index < 10 ? { ...one, residentMegabytes: 100 + index * 5 } : one
    expect(broken({ ...sound, samples: sound.samples.map(first) })).toEqual([])
    expect(broken(rising('residentMegabytes', 300, -3))).toEqual([])
    expect(broken(rising('ledgerMegabytes', 0, 10))).toEqual([])
    expect(broken(rising('unproved', 0, 10))).toEqual([])
  })

  test('is not what is collected now and then, wherever the run ends', () => {
    const collected = (one: Sample, index: number) => ({
      ...one,
      residentMegabytes: 160 + (index % 8) * 7,
    })
    for (const length of [24, 26, 28, 30]) {
      expect(broken({ ...sound, samples: sound.samples.map(collected).slice(0, length) })).toEqual(
        [],
      )
    }
  })

  test('is not one slow moment', () => {
    const slow = (one: Sample, index: number) => (index === 28 ? { ...one, p99Ms: 900 } : one)
    expect(broken({ ...sound, samples: sound.samples.map(slow) })).toEqual([])
  })
})

test('a failure is told unless a fault explains it', () => {
  const failure = { second: 12, what: 'a warm token', came: 'refused' }
  expect(broken({ ...sound, failures: [{ ...failure, isExcused: true }] })).toEqual([])
  expect(broken({ ...sound, failures: [{ ...failure, isExcused: false }] })).toEqual([
    '1 failures that no fault explains, the first after 12 s: a warm token, refused',
  ])
})

test('a ledger that does not verify is told', () => {
  expect(broken({ ...sound, verifyCode: 1 })).toEqual(['the ledger verifies (exit code 1)'])
  expect(broken({ ...sound, verifyCode: null })).toHaveLength(1)
})

describe('what reconcile finds', () => {
  const found = (...kinds: readonly string[]) =>
    broken({
      ...sound,
      reconciled: { findings: kinds.map((kind) => ({ kind })), undecided: [] },
    })

  test('is told, unless an answer was lost for each that can only be assumed', () => {
    expect(found('sign.assumed')).toEqual([])
    expect(found('sign.assumed', 'sign.assumed')).toEqual([expect.stringContaining('2 assumed')])
    expect(found('sign.unexplained')).toEqual([expect.stringContaining('sign.unexplained')])
  })

  test('is told when it leaves something undecided', () => {
    const reconciled = { findings: [], undecided: [{ reason: 'too-young' }] }
    expect(broken({ ...sound, reconciled })).toEqual([expect.stringContaining('1 undecided')])
  })
})
