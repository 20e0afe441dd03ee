import type { LogError } from '../reconcile/log-error.ts'
import type { AlarmName } from './witness-metrics.ts'

/** An alarm, with what it is about. */
export interface Raised {
  readonly alarm: AlarmName
  readonly facts: Readonly<Record<string, unknown>>
}

/** What reconciling came to. */
export interface Reconciled {
  readonly raised: readonly Raised[]
  /** How many records, signatures and the like could not be decided, by their reason. */
  readonly undecided: Readonly<Record<string, number>>
  /** `part`: a log could not be read to its end, or the ledger is another one; what it found is there all the same. */
  readonly reach: 'whole' | 'part'
  /** Of logs that could not be read to their end; the others were. */
  readonly failure?: LogError
}

export const nothingFound: Reconciled = { raised: [], undecided: {}, reach: 'whole' }

/** What stands until another reconciling has come to its end: what was away takes back nothing. */
export function standingBehind(before: Reconciled, found: Reconciled): Reconciled {
  if (found.reach === 'whole') return found
  const raised = new Map<string, Raised>()
  for (const one of [...before.raised, ...found.raised]) {
    const same = raised.get(subjectOf(one))
    raised.set(subjectOf(one), same === undefined ? one : joined(same, one))
  }
  return { ...found, raised: [...raised.values()] }
}

/** `logs.silent` is raised of each vault by itself. */
const subjectOf = ({ alarm, facts }: Raised): string => JSON.stringify([alarm, facts['vault']])

/** Of kinds that both have, most of it is the same. */
function joined(before: Raised, found: Raised): Raised {
  if (found.alarm !== 'reconcile.findings') return found
  const kinds = { ...kindsIn(before) }
  for (const [kind, count] of Object.entries(kindsIn(found))) {
    kinds[kind] = Math.max(count, kinds[kind] ?? 0)
  }
  return { ...found, facts: { ...found.facts, kinds } }
}

const kindsIn = ({ facts }: Raised) => facts['kinds'] as Readonly<Record<string, number>>
