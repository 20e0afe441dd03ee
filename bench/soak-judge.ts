/** What was seen of the service at one moment; latencies are those since the moment before. */
export interface Sample {
  readonly second: number
  readonly residentMegabytes: number
  readonly heapMegabytes: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Files and sockets that the process has open. */
  readonly handles: number
  readonly cacheMegabytes: number
  readonly ledgerMegabytes: number
  readonly unproved: number
}

/** An answer that was not the one it should have been. */
export interface Failure {
  readonly second: number
  readonly what: string
  /** As `answered 503`. */
  readonly came: string
  /** A fault that was played around then may be why. */
  readonly isExcused: boolean
}

export interface SoakRecord {
  readonly samples: readonly Sample[]
  readonly failures: readonly Failure[]
  /** Exit code of `countersign ledger verify`. */
  readonly verifyCode: number | null
  readonly reconciled: Reconciled
  /** Answers of the vault that faults may have kept from the service. */
  readonly lostAnswersMax: number
}

/** What `countersign reconcile --json` says, as far as it is judged here. */
export interface Reconciled {
  readonly findings: readonly { readonly kind: string }[]
  readonly undecided: readonly unknown[]
}

export interface Verdict {
  readonly ok: boolean
  readonly words: string
}

/** What counts as flat over the second half of a run. */
interface FlatBound {
  readonly name: string
  readonly of: (sample: Sample) => number
  readonly unit: string
  /** Of its mean. */
  readonly share: number
  /** Less than this is noise, however little there is of it. */
  readonly floor: number
}

/** Between collections a heap grows, and a machine has other things to do: hence the floors. */
const flatBounds: readonly FlatBound[] = [
  {
    name: 'memory',
    of: ({ residentMegabytes }) => residentMegabytes,
    unit: 'MB',
    share: 0.05,
    floor: 10,
  },
  { name: 'heap', of: ({ heapMegabytes }) => heapMegabytes, unit: 'MB', share: 0.15, floor: 15 },
  { name: 'cache', of: ({ cacheMegabytes }) => cacheMegabytes, unit: 'MB', share: 0.05, floor: 1 },
  { name: 'open files', of: ({ handles }) => handles, unit: '', share: 0.05, floor: 10 },
  { name: 'p50', of: ({ p50Ms }) => p50Ms, unit: 'ms', share: 0.5, floor: 2 },
  { name: 'p99', of: ({ p99Ms }) => p99Ms, unit: 'ms', share: 0.5, floor: 10 },
]

/** Every promise that a soak holds the service to, kept or not. */
export function judgeSoak(record: SoakRecord): readonly Verdict[] {
  const half = record.samples.slice(Math.floor(record.samples.length / 2))
  const unexcused = record.failures.filter(({ isExcused }) => !isExcused)
  const [first] = unexcused
  return [
    ...flatBounds.map((bound) => flatness(bound, half)),
    {
      ok: unexcused.length === 0,
      words:
        first === undefined
          ? `no failures but those of injected faults (${record.failures.length})`
          : `${unexcused.length} failures that no fault explains, the first after ${first.second} s: ${first.what}, ${first.came}`,
    },
    {
      ok: record.verifyCode === 0,
      words: `the ledger verifies (exit code ${record.verifyCode ?? 'none'})`,
    },
    accounting(record),
  ]
}

function flatness({ name, of, unit, share, floor }: FlatBound, half: readonly Sample[]): Verdict {
  const values = half.map(of)
  const growth = growthOf(values)
  const bound = Math.max(share * meanOf(values), floor)
  const said = `${name} changed by ${growth.toFixed(1)} ${unit}`.trimEnd()
  return {
    ok: growth <= bound,
    words: `${said} over the second half, at most ${bound.toFixed(1)} ${unit}`.trimEnd(),
  }
}

/** A signature whose answer was lost can only be assumed to be ours, and no other may be. */
function accounting({ reconciled, lostAnswersMax }: SoakRecord): Verdict {
  const { findings, undecided } = reconciled
  const assumed = findings.filter(({ kind }) => kind === 'sign.assumed').length
  const others = new Set(findings.map(({ kind }) => kind).filter((kind) => kind !== 'sign.assumed'))
  return {
    ok: others.size === 0 && undecided.length === 0 && assumed <= lostAnswersMax,
    words: `reconcile explains every signature: ${[
      `${assumed} assumed, because answers were lost, at most ${lostAnswersMax}`,
      `${undecided.length} undecided`,
      ...others,
    ].join(', ')}`,
  }
}

/**
 * How much evenly spaced values rise from the first to the last, along the line that fits them best (least
 * squares); negative when they fall, 0 for fewer than two.
 */
export function growthOf(values: readonly number[]): number {
  if (values.length < 2) return 0
  const middle = (values.length - 1) / 2
  const mean = meanOf(values)
  let covariance = 0
  let variance = 0
  for (const [index, value] of values.entries()) {
    covariance += (index - middle) * (value - mean)
    variance += (index - middle) ** 2
  }
  return (covariance / variance) * (values.length - 1)
}

const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
