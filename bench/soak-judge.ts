import { median } from './table.ts'

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

/** What must not have grown from the second third of a run to its last. */
interface FlatBound {
  readonly name: string
  readonly of: (sample: Sample) => number
  /**
   * Of a third: `peak` for what rises until it is collected and falls then, so that a line through it says
   * more about where the run ended; `usual` for what another program may disturb.
   */
  readonly by: 'peak' | 'usual'
  readonly unit: string
  /** Of what it was. */
  readonly share: number
  /** Less than this is noise, however little there is of it. */
  readonly floor: number
}

const flatBounds: readonly FlatBound[] = [
  {
    name: 'memory',
    of: ({ residentMegabytes }) => residentMegabytes,
    by: 'peak',
    unit: 'MB',
    share: 0.05,
    floor: 10,
  },
  {
    name: 'heap',
    of: ({ heapMegabytes }) => heapMegabytes,
    by: 'peak',
    unit: 'MB',
    share: 0.1,
    floor: 10,
  },
  {
    name: 'cache',
    of: ({ cacheMegabytes }) => cacheMegabytes,
    by: 'peak',
    unit: 'MB',
    share: 0.05,
    floor: 1,
  },
  {
    name: 'open files',
    of: ({ handles }) => handles,
    by: 'peak',
    unit: '',
    share: 0.1,
    floor: 20,
  },
  {
    name: 'p50',
    of: ({ p50Ms }) => p50Ms,
    by: 'usual',
    unit: 'ms',
    share: 0.5,
    floor: 2,
  },
  {
    name: 'p99',
    of: ({ p99Ms }) => p99Ms,
    by: 'usual',
    unit: 'ms',
    share: 0.5,
    floor: 10,
  },
]

/** Every promise that a soak holds the service to, kept or not. */
export function judgeSoak(record: SoakRecord): readonly Verdict[] {
  const unexcused = record.failures.filter(({ isExcused }) => !isExcused)
  const [first] = unexcused
  return [
    ...flatBounds.map((bound) => flatness(bound, record.samples)),
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

function flatness(
  { name, of, by, unit, share, floor }: FlatBound,
  samples: readonly Sample[],
): Verdict {
  const third = Math.floor(samples.length / 3)
  const statistic = by === 'peak' ? peak : median
  const before = statistic(samples.slice(third, -third).map(of))
  const last = statistic(samples.slice(-third).map(of))
  const bound = Math.max(share * before, floor)
  const inUnit = (value: number) => `${value.toFixed(1)} ${unit}`.trimEnd()
  return {
    ok: last - before <= bound,
    words: `${name}: ${by} ${inUnit(before)} in the second third and ${inUnit(last)} in the last, at most ${inUnit(bound)} more`,
  }
}

const peak = (values: readonly number[]) => Math.max(...values)

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
