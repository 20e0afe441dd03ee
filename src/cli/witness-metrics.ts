import { parseHead } from '../custody/head.ts'
import type { Witnessed } from '../custody/witness-store.ts'

/** Every alarm there is, so that a series is there before it is raised. */
const alarmNames = [
  'feed.contradicts',
  'head.contradicts',
  'head.false',
  'feed.silent',
  'logs.silent',
  'reconcile.findings',
] as const

export type AlarmName = (typeof alarmNames)[number]

export interface WitnessFigures {
  readonly alarms: readonly AlarmName[]
  /** How much the last reconciling could not decide. */
  readonly undecided: number
  /** Absent before anything was seen. */
  readonly witnessed: Witnessed | undefined
  /** Whether the last look came to its end, and the last reconciling. */
  readonly looked: boolean
  readonly atMs: number
}

/** The text form of Prometheus, for the collector of text files of a node exporter. */
export function witnessMetrics({
  alarms,
  undecided,
  witnessed,
  looked,
  atMs,
}: WitnessFigures): string {
  const head = witnessed?.head === undefined ? undefined : parseHead(witnessed.head)
  return [
    ...gauge('alarm', 'Whether it is raised.'),
    ...alarmNames.map(
      (alarm) => `countersign_witness_alarm{alarm="${alarm}"} ${alarms.includes(alarm) ? 1 : 0}`,
    ),
    ...gauge('undecided', 'How much the last reconciling could not decide.'),
    `countersign_witness_undecided ${undecided}`,
    ...gauge(
      'looked',
      'Whether the last look came to the end of the feed, and the last reconciling to the end of the logs.',
    ),
    `countersign_witness_looked ${looked ? 1 : 0}`,
    ...gauge('last_look_seconds', 'When the last look ended, since the Unix epoch.'),
    `countersign_witness_last_look_seconds ${Math.floor(atMs / 1000)}`,
    ...gauge('seen_entry', 'The last entry that was seen.'),
    `countersign_witness_seen_entry ${witnessed?.seen.sequence ?? 0}`,
    ...gauge('witnessed_entry', 'The entry up to which a head was witnessed.'),
    `countersign_witness_witnessed_entry ${head?.statement.sequence ?? 0}`,
    '',
  ].join('\n')
}

const gauge = (name: string, help: string) => [
  `# HELP countersign_witness_${name} ${help}`,
  `# TYPE countersign_witness_${name} gauge`,
]
