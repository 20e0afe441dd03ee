import { InvalidArgumentError } from 'commander'
import { setTimeout as pause } from 'node:timers/promises'

const unitMs = { s: 1000, m: 60_000, h: 3_600_000 } as const

/**
 * Milliseconds of a period such as `5m`: from one second to a day.
 *
 * @throws InvalidArgumentError for another text.
 */
export function parseInterval(text: string): number {
  const [, count, unit] = /^([1-9]\d{0,4})([smh])$/.exec(text) ?? []
  const ms = Number(count) * unitMs[unit as keyof typeof unitMs]
  if (ms <= 24 * unitMs.h) return ms
  throw new InvalidArgumentError('a period such as 30s, 5m or 1h, a day at most')
}

/** Many that were started together must not ask together for ever. */
const jitter = 0.1

/** @param random From 0 to 1. */
export const pauseMsFor = (everyMs: number, random: number): number =>
  Math.round(everyMs * (1 - jitter + 2 * jitter * random))

/**
 * Runs something at once and then again and again, about every `everyMs`, until it is told to stop: then
 * what is under way is left behind.
 *
 * @throws What a run throws.
 */
export async function repeat(
  run: () => Promise<void>,
  everyMs: number,
  stop: AbortSignal,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    stop.addEventListener('abort', () => {
      resolve()
    })
  })
  while (!stop.aborted) {
    await Promise.race([run(), stopped])
    const waited = pause(pauseMsFor(everyMs, Math.random()), undefined, { signal: stop })
    // Aborted: the loop sees that by itself.
    await waited.catch(() => undefined)
  }
}
