import type { FindingEvent } from './round-state.ts'

/** Somebody who is told of findings. */
export interface FindingSink {
  /** Tells it from the others, and holds no secret; what it has not taken is kept under this name. */
  readonly name: string
  /**
   * Tells of some, in order. What is told may be told again later, under the same id, when whoever tells dies
   * before that is kept.
   *
   * @returns How many of them it has taken: those after them are told again.
   * @throws FindingSinkError when it has taken none.
   */
  tell(events: readonly FindingEvent[]): Promise<number>
}

/** Nobody was told. The message is one sentence for whoever keeps watch, without secrets. */
export class FindingSinkError extends Error {
  override readonly name = 'FindingSinkError'
}
