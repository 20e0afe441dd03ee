/** The one clock of the emulator. It can be shifted, so that expiry need not be waited for. */
export interface EmulatorClock {
  /** Milliseconds since the Unix epoch, shift included. */
  nowMs(): number
  /** Seconds since the Unix epoch, shift included, rounded down (RFC 7519 §2, NumericDate). */
  nowSeconds(): number
  /** The same instant as a `Date`, for whoever prints it or hands it to a library. */
  nowDate(): Date
  /** Moves every later reading by `seconds`, on top of earlier shifts; may be negative. */
  shift(seconds: number): void
  /** The sum of all shifts so far. */
  readonly shiftSeconds: number
}

export function createEmulatorClock(): EmulatorClock {
  let shiftSeconds = 0
  return {
    nowMs: () => Date.now() + shiftSeconds * 1000,
    nowSeconds: () => Math.floor(Date.now() / 1000) + shiftSeconds,
    nowDate: () => new Date(Date.now() + shiftSeconds * 1000),
    shift: (seconds) => {
      shiftSeconds += seconds
    },
    get shiftSeconds() {
      return shiftSeconds
    },
  }
}

/** `2026-11-22T04:56:16.000Z` of a reading in seconds, which may have a fraction. */
export const isoFrom = (seconds: number): string => isoFromMs(seconds * 1000)

/** The same of milliseconds, exactly. */
export function isoFromMs(ms: number): string {
  return new Date(ms).toISOString()
}

/** Milliseconds since the Unix epoch of a time as JSON has it; undefined when the text is none. */
export function msFromIso(text: string): number | undefined {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}
