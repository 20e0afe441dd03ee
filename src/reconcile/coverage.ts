/** What was delivered of one vault's log: from the first record to the last, and which hours of it. */
export interface Coverage {
  readonly fromMs: number
  readonly toMs: number
  /** Hours since the Unix epoch, UTC, each with the records that it has. */
  readonly hours: ReadonlyMap<number, number>
}

export const hourMs = 3_600_000
export const hourOf = (timeMs: number): number => Math.floor(timeMs / hourMs)

/** A log with more has times that somebody made up. */
const hoursMax = 200_000
const vaultsMax = 1000

/** Which times a log stands for, by vault. */
export class CoverageCollector {
  readonly #vaults = new Map<string, { fromMs: number; toMs: number; hours: Map<number, number> }>()

  /** @param known What earlier readings showed. */
  constructor(known: ReadonlyMap<string, Coverage> = new Map()) {
    for (const [vault, { fromMs, toMs, hours }] of known) {
      this.#vaults.set(vault, { fromMs, toMs, hours: new Map(hours) })
    }
  }

  take(vault: string, timeMs: number): void {
    const known = this.#vaults.get(vault) ?? this.#begin(vault)
    if (known === undefined) return
    if (timeMs < known.fromMs) known.fromMs = timeMs
    if (timeMs > known.toMs) known.toMs = timeMs
    const hour = hourOf(timeMs)
    const count = known.hours.get(hour)
    if (count !== undefined || known.hours.size < hoursMax) known.hours.set(hour, (count ?? 0) + 1)
  }

  coverage(): ReadonlyMap<string, Coverage> {
    return this.#vaults
  }

  #begin(vault: string) {
    if (this.#vaults.size >= vaultsMax) return undefined
    const begun = { fromMs: Infinity, toMs: -Infinity, hours: new Map<number, number>() }
    this.#vaults.set(vault, begun)
    return begun
  }
}

/** Why a log does not stand for a time, or that it does. */
export type LogReach = 'covered' | 'does-not-reach' | 'hour-missing'

/**
 * Whether a log would have what happened between two times: it begins before, ends so much later that
 * nothing is late any more, and has a record of each hour between. An hour without any may never have been
 * delivered.
 */
export function reachOf(
  coverage: Coverage | undefined,
  fromMs: number,
  toMs: number,
  graceMs: number,
): LogReach {
  if (coverage === undefined || fromMs < coverage.fromMs) return 'does-not-reach'
  if (toMs > coverage.toMs - graceMs) return 'does-not-reach'
  for (let hour = hourOf(fromMs); hour <= hourOf(toMs); hour += 1) {
    if (!coverage.hours.has(hour)) return 'hour-missing'
  }
  return 'covered'
}

/** Hours between the first record and the last without any: gaps of a delivery, or of what was done. */
export function missingHours({ fromMs, toMs, hours }: Coverage): number {
  return hourOf(toMs) - hourOf(fromMs) + 1 - hours.size
}
