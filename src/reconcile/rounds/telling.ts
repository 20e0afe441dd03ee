import type { Clock } from '../../base/clock.ts'
import { FindingSinkError } from './finding-sink.ts'
import type { FindingSink } from './finding-sink.ts'
import type { FindingEvent, RoundState } from './round-state.ts'

/** Tells whoever has to be told, as often as it takes. */
export interface Telling {
  /**
   * Tells what is pending, each in its own order: those who are away do not keep it from the others. What was
   * taken is saved before more is told, so that at most that is told twice, under the same id.
   *
   * @returns The state as it was saved last.
   * @throws RoundStateError
   */
  tell(state: RoundState): Promise<RoundState>
}

export interface TellingDeps {
  readonly sinks: readonly FindingSink[]
  readonly save: (state: RoundState) => Promise<void>
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** 0 to 1, as `Math.random` gives it. */
  readonly random: () => number
  readonly failed: (sink: string, error: FindingSinkError, retryInMs: number) => void
}

const firstPauseMs = 2000
const longestPauseMs = 300_000
/** Of one who is told, in one round; what is left is told in the next. */
const tellMaxMs = 30_000

interface Queue {
  readonly sink: FindingSink
  failures: number
  notBeforeMs: number
}

export function createTelling(deps: TellingDeps): Telling {
  const { clock, save } = deps
  const queues = deps.sinks.map((sink): Queue => ({ sink, failures: 0, notBeforeMs: -Infinity }))
  return {
    tell: async (state) => {
      let saved = state
      for (const queue of queues) {
        const untilMs = clock.monotonicMs() + tellMaxMs
        while (clock.monotonicMs() < untilMs) {
          const taken = await tellSome(queue, saved.events, deps)
          if (taken.size === 0) break
          saved = { ...saved, events: without(queue.sink.name, taken, saved.events) }
          await save(saved)
        }
      }
      return saved
    },
  }
}

/** @returns What was taken; nothing, when nothing is pending, it is too early, or it failed. */
async function tellSome(
  queue: Queue,
  events: readonly FindingEvent[],
  { clock, random, failed }: TellingDeps,
): Promise<ReadonlySet<string>> {
  const { sink } = queue
  const pending = events.filter((event) => event.pending.includes(sink.name))
  if (pending.length === 0 || clock.monotonicMs() < queue.notBeforeMs) return new Set()
  try {
    const count = await sink.tell(pending)
    queue.failures = 0
    return new Set(pending.slice(0, count).map(({ id }) => id))
  } catch (error) {
    if (!(error instanceof FindingSinkError)) throw error
    const retryInMs = pauseMs(queue.failures, random())
    queue.failures += 1
    queue.notBeforeMs = clock.monotonicMs() + retryInMs
    failed(sink.name, error, retryInMs)
    return new Set()
  }
}

function without(
  sink: string,
  taken: ReadonlySet<string>,
  events: readonly FindingEvent[],
): FindingEvent[] {
  return events
    .map((event) =>
      taken.has(event.id)
        ? { ...event, pending: event.pending.filter((name) => name !== sink) }
        : event,
    )
    .filter(({ pending }) => pending.length > 0)
}

/** Doubles from one failure to the next, and does not come back with others. */
const pauseMs = (failuresBefore: number, random: number): number =>
  Math.min(firstPauseMs * 2 ** Math.min(failuresBefore, 10), longestPauseMs) * (0.75 + random / 4)
