import type { Probe } from '../config/probes-file.ts'
import type { ServiceAnswer } from './service-client.ts'

/** How a probe came out, and what it was answered with, without anything of what it was given. */
export interface ProbeResult {
  readonly probe: Probe['name']
  readonly expect: Probe['expect']
  readonly result: ProbeVerdict
  /** Completes "was …". */
  readonly answer: string
}

/** `undecided`: nobody said yes or no to this caller, so that it proves neither. */
const probeVerdicts = ['satisfied', 'violated', 'undecided'] as const
export type ProbeVerdict = (typeof probeVerdicts)[number]

/** What these say no to is the caller and what it asks for; all others say that somebody is busy or broken. */
const refusingStatuses = [401, 403]

/**
 * Whether the service did as it must. Only the service itself can grant or refuse: a proxy in front of
 * it that wants another password has decided nothing, and nor has a limit or a vault that is away.
 */
export function resultOf(
  { name: probe, expect, code }: Probe,
  answer: ServiceAnswer<unknown>,
): ProbeResult {
  const named = { probe, expect }
  if (answer.is === 'foreign') {
    return { ...named, result: 'undecided', answer: 'answered by something else than Countersign' }
  }
  if (answer.is === 'answer') {
    return { ...named, result: expect === 'granted' ? 'satisfied' : 'violated', answer: 'granted' }
  }
  const said = `answered with ${answer.status} ${answer.code ?? 'by something else than Countersign'}`
  if (answer.code === undefined || !refusingStatuses.includes(answer.status)) {
    return { ...named, result: 'undecided', answer: said }
  }
  if (expect === 'granted') return { ...named, result: 'violated', answer: said }
  const isMeant = code === undefined || code === answer.code
  return { ...named, result: isMeant ? 'satisfied' : 'undecided', answer: said }
}

/** What all of them come to: whoever breaks a promise is not excused by what could not be asked. */
export const verdictOn = (results: readonly ProbeResult[]): ProbeVerdict =>
  (['violated', 'undecided'] as const).find((verdict) =>
    results.some(({ result }) => result === verdict),
  ) ?? 'satisfied'

export function probeLines(results: readonly ProbeResult[]): readonly string[] {
  const verdict = verdictOn(results)
  const count = results.filter(({ result }) => result === verdict).length
  return [
    `${verdict.toUpperCase()}: ${count} of ${results.length} probes.`,
    ...results.map(probeLine),
  ]
}

export const probeLine = ({ probe, expect, result, answer }: ProbeResult) =>
  `${result.padEnd(9)} ${probe}: must be ${expect}, and was ${answer}`

/** Those that came out otherwise than in the run before; all of them after none. */
export const changedSince = (
  before: readonly ProbeResult[],
  results: readonly ProbeResult[],
): readonly ProbeResult[] =>
  results.filter(
    ({ probe, result, answer }) =>
      !before.some((one) => one.probe === probe && one.result === result && one.answer === answer),
  )

/** Prometheus' text format. Names of probes need no escaping. @param nowSeconds Of the end of the run. */
export function probeMetrics(results: readonly ProbeResult[], nowSeconds: number): string {
  const samples = results.flatMap(({ probe, expect, result }) =>
    probeVerdicts.map(
      (verdict) =>
        `countersign_probe{probe="${probe}",expect="${expect}",result="${verdict}"} ${verdict === result ? 1 : 0}`,
    ),
  )
  return [
    '# HELP countersign_probe How each probe of the last run came out.',
    '# TYPE countersign_probe gauge',
    ...samples,
    '# HELP countersign_probe_run_timestamp_seconds When the last run ended.',
    '# TYPE countersign_probe_run_timestamp_seconds gauge',
    `countersign_probe_run_timestamp_seconds ${nowSeconds}`,
    '',
  ].join('\n')
}
