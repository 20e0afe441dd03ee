import type { BenchCloud } from './cloud.ts'

/**
 * What a vault can do wrong to a signature. Nothing that is blamed on the key: that is left alone for 30 s,
 * which is longer than a token of two minutes can wait for its refresh.
 */
const kinds = [
  'throttle',
  'server-error',
  'drop-after',
  'drop-before',
  'server-error-after',
] as const

const everySeconds = 60
const armedSeconds = 10
/** A vault that has failed is left alone for 16 s at most, and whoever waits for it has some patience. */
const echoSeconds = 30

/** Whether the faults of a soak may show in an answer now. Pure: the soak's clock decides. */
export const isExcusedAt = (second: number): boolean =>
  second >= everySeconds / 2 &&
  (second + everySeconds / 2) % everySeconds < armedSeconds + echoSeconds

const timesEach = 5

/** The vault signs, and its answer is lost or no good. */
const losing: ReadonlySet<string | undefined> = new Set(['drop-after', 'server-error-after'])

/** How many answers of the vault were lost or no good by then, at most. */
export function lostAnswersMax(second: number): number {
  const minutes = Array.from({ length: Math.ceil(second / everySeconds) }, (_, index) => index)
  const played = minutes.filter((minute) => losing.has(kindOf(minute)))
  return played.length * timesEach
}

const kindOf = (minute: number) => kinds[minute % kinds.length]

/** The fault that is played at that time of a soak, each for a while and once a minute; undefined: none. */
export function faultAt(second: number): object | undefined {
  const shifted = second + everySeconds / 2
  if (shifted < everySeconds || shifted % everySeconds >= armedSeconds) return undefined
  const kind = kindOf(Math.floor(shifted / everySeconds) - 1)
  return { at: 'vault', kind, match: 'POST /keys/', times: timesEach }
}

/** Arms and disarms faults as time goes on; to be told of it about every second. */
export function createFaultPlayer(cloud: BenchCloud) {
  let isArmed = false
  return {
    play: async (second: number): Promise<void> => {
      const fault = faultAt(second)
      if ((fault !== undefined) === isArmed) return
      isArmed = fault !== undefined
      if (fault === undefined) await cloud.control('DELETE /faults')
      else await cloud.control('POST /faults', fault)
    },
  }
}
