import type { Clock } from './clock.ts'

/** How a service outside was found the last time it was used. */
export interface DependencyState {
  readonly state: 'untried' | 'ok' | 'failing'
  /** When that began, by the wall clock as it goes now: one that was set since does not falsify it. */
  readonly sinceMs: number
}

/** Remembers the state of one service outside. */
export interface DependencyWatch {
  readonly state: DependencyState
  saw(state: 'ok' | 'failing'): void
}

export function createDependencyWatch(clock: Clock): DependencyWatch {
  let state: DependencyState['state'] = 'untried'
  let sinceMonotonicMs = clock.monotonicMs()
  return {
    get state() {
      const elapsedMs = clock.monotonicMs() - sinceMonotonicMs
      // Up, because the wall clock was rounded down.
      return { state, sinceMs: Math.ceil(clock.nowMs() - elapsedMs) }
    },
    saw: (seen) => {
      if (seen !== state) sinceMonotonicMs = clock.monotonicMs()
      state = seen
    },
  }
}
