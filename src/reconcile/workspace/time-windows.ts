/** A stretch of time: its beginning belongs to it, its end does not. Milliseconds since the Unix epoch. */
export interface TimeWindow {
  readonly fromMs: number
  readonly toMs: number
}

/** Where reading goes on, and how much of time it takes at once. */
export interface ReadingPace {
  readonly fromMs: number
  readonly lengthMs: number
}

const dayMs = 24 * 3_600_000

/** Most looks are at less, and need one query. */
export const paceFrom = (fromMs: number): ReadingPace => ({ fromMs, lengthMs: dayMs })

export const windowAt = ({ fromMs, lengthMs }: ReadingPace, untilMs: number): TimeWindow => ({
  fromMs,
  toMs: Math.min(fromMs + lengthMs, untilMs),
})

/** So few rows that four times as long a window would probably still do. */
const fewOf = 8

/** Behind a window that was read whole: nothing is passed over, and nothing read twice. */
export const paceAfter = (window: TimeWindow, rows: number, rowsMax: number): ReadingPace => ({
  fromMs: window.toMs,
  lengthMs: lengthOf(window) * (rows < rowsMax / fewOf ? 4 : 1),
})

/** The first half of a window that held too much; undefined when no time is left to be split. */
export function paceInside(window: TimeWindow): ReadingPace | undefined {
  const lengthMs = Math.floor(lengthOf(window) / 2)
  return lengthMs < 1 ? undefined : { fromMs: window.fromMs, lengthMs }
}

const lengthOf = ({ fromMs, toMs }: TimeWindow): number => toMs - fromMs
