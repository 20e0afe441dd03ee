import { findingKinds, severities } from '../finding.ts'
import { isOpen } from './known-finding.ts'
import type { RoundState } from './round-state.ts'

/** Whether the newest round came to its end. */
export interface LastTry {
  readonly succeeded: boolean
  /** Seconds since the Unix epoch. */
  readonly endedAtSeconds: number
  /** Rounds that did not come to their end, since the process began. */
  readonly failed: number
}

/** Prometheus' text format. Labels are words of ours, which need no escaping. */
export function roundMetrics(state: RoundState, last: LastTry): string {
  const open = state.findings.filter(isOpen)
  const { lastRound, decidedUntilMs, leftUndecided, events } = state
  return [
    ...family('countersign_reconcile_findings', 'Findings that stand, by kind.', [
      ...findingKinds.map(
        (kind) =>
          [
            `{kind="${kind}",severity="${severities[kind]}"}`,
            open.filter((finding) => finding.kind === kind).length,
          ] as const,
      ),
    ]),
    ...family(
      'countersign_reconcile_undecided',
      'What the last round could not decide yet, by reason.',
      (lastRound?.undecided ?? []).map(({ reason, count }) => [`{reason="${reason}"}`, count]),
    ),
    ...family(
      'countersign_reconcile_left_undecided_seconds',
      'Length of the time in which something was never decided, by reason.',
      leftUndecided.map(({ reason, fromMs, toMs }) => [
        `{reason="${reason}"}`,
        (toMs - fromMs) / 1000,
      ]),
    ),
    ...family(
      'countersign_reconcile_decided_until_timestamp_seconds',
      'Everything before is decided for good.',
      decidedUntilMs === null ? [] : [['', decidedUntilMs / 1000]],
    ),
    ...family('countersign_reconcile_untold_events', 'What waits to be told to somebody.', [
      ['', events.length],
    ]),
    ...family(
      'countersign_reconcile_held_back_findings',
      'Findings for which there is no room: they are found again.',
      [['', lastRound?.heldBack ?? 0]],
    ),
    ...family(
      'countersign_reconcile_unread_places',
      'Places of the logs that were not understood.',
      [['', lastRound?.unread ?? 0]],
    ),
    ...family('countersign_reconcile_round_succeeded', 'Whether the last round came to its end.', [
      ['', Number(last.succeeded)],
    ]),
    ...family(
      'countersign_reconcile_round_failures_total',
      'Rounds that did not come to their end.',
      [['', last.failed]],
      'counter',
    ),
    ...family(
      'countersign_reconcile_round_seconds',
      'How long the last round that came to its end took.',
      lastRound === null ? [] : [['', lastRound.tookMs / 1000]],
    ),
    ...family(
      'countersign_reconcile_round_timestamp_seconds',
      'When the last round ended, however it did.',
      [['', last.endedAtSeconds]],
    ),
    '',
  ].join('\n')
}

type Sample = readonly [labels: string, value: number]

const family = (
  name: string,
  help: string,
  samples: readonly Sample[],
  type: 'gauge' | 'counter' = 'gauge',
): readonly string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
  ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
]
