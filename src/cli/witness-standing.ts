import type { LogError } from '../reconcile/log-error.ts'
import type { AlarmName } from './witness-metrics.ts'

/** An alarm, with what it is about. */
export type Raised =
  | {
      readonly alarm: 'reconcile.findings'
      /** How many there are of each kind. */
      readonly facts: { readonly kinds: Readonly<Record<string, number>> }
    }
  | {
      readonly alarm: Exclude<AlarmName, 'reconcile.findings'>
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
const subjectOf = ({ alarm, facts }: Raised): string =>
  JSON.stringify([alarm, alarm === 'logs.silent' ? facts['vault'] : null])

/** Of kinds that both have, most of it is the same. */
function joined(before: Raised, found: Raised): Raised {
  if (found.alarm !== 'reconcile.findings' || before.alarm !== found.alarm) return found
  const kinds = { ...before.facts.kinds }
  for (const [kind, count] of Object.entries(found.facts.kinds)) {
    kinds[kind] = Math.max(count, kinds[kind] ?? 0)
  }
  return { ...found, facts: { kinds } }
}
