import type { Clock } from './clock.ts'

/** How a service outside was found the last time it was used; `sinceMs` is when that began. */
export interface DependencyState {
  readonly state: 'untried' | 'ok' | 'failing'
  readonly sinceMs: number
}

/** Remembers the state of one service outside. */
export interface DependencyWatch {
  readonly state: DependencyState
  saw(state: 'ok' | 'failing'): void
}

export function createDependencyWatch(clock: Clock): DependencyWatch {
  let current: DependencyState = { state: 'untried', sinceMs: clock.nowMs() }
  return {
    get state() {
      return current
    },
    saw: (state) => {
      if (state !== current.state) current = { state, sinceMs: clock.nowMs() }
    },
  }
}
