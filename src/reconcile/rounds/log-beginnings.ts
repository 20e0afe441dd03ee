import { parseKeyUrl } from '../key-name.ts'
import type { LogRecord } from './finding-id.ts'
import { isOfKind, kindOf } from './log-kinds.ts'
import type { RoundState } from './round-state.ts'

/** What a look at a log says of what it has dropped. */
export interface LookedAt {
  /** See `Arrivals`. */
  readonly retiredUntilMs: number | undefined
  /** Nobody can tell what is gone: what it has no longer, from its beginning on, is taken for grown old. */
  readonly tellsRemovals: boolean
}

/** A storage account has more of other people's. */
const vaultsMax = 1000

/**
 * From when on each log has what it ever had. What one has dropped as it grew old is told by that log alone: nothing
 * is missed in it then, whatever others have of that time, and nothing is concluded of the vaults whose log it is.
 */
export class LogBeginnings {
  readonly #retiredUntilMs = new Map<string, number>()
  readonly #vaults = new Map<string, Set<string>>()
  readonly #oldestReadMs = new Map<string, number>()
  /** Logs that cannot tell what they have dropped. */
  readonly #untold = new Set<string>()

  /**
   * @param known From earlier rounds.
   * @param looked Of this one, by `logNameOf`: all that are named, and nothing of those that could not be looked at.
   */
  constructor(known: RoundState['sources'], looked: ReadonlyMap<string, LookedAt | undefined>) {
    for (const [log, look] of looked) {
      const { vaults = [], retiredUntilMs = -Infinity } = known[log] ?? {}
      this.#vaults.set(log, new Set(vaults))
      this.#retiredUntilMs.set(log, Math.max(retiredUntilMs, look?.retiredUntilMs ?? -Infinity))
      if (look?.tellsRemovals === false) this.#untold.add(log)
    }
  }

  take(log: string, record: LogRecord): void {
    const { timeMs } = record
    if (timeMs < (this.#oldestReadMs.get(log) ?? Infinity)) this.#oldestReadMs.set(log, timeMs)
    const vault = vaultOf(record)
    const vaults = this.#vaults.get(log)
    if (vault !== undefined && vaults !== undefined && vaults.size < vaultsMax) vaults.add(vault)
  }

  /** That a record was read in. */
  logOf(record: LogRecord): string | undefined {
    if (record.log !== undefined) return record.log
    const ofKind = [...this.#vaults.keys()].filter((log) => isOfKind(kindOf[record.kind], log))
    return ofKind.length === 1 ? ofKind[0] : undefined
  }

  /** As far as this round has read it; `Infinity` of a log of which it has read nothing. */
  beginsAtMs(log: string): number {
    const oldestReadMs = this.#oldestReadMs.get(log) ?? Infinity
    return Math.max(oldestReadMs, this.#retiredUntilMs.get(log) ?? -Infinity)
  }

  /** Of which this round has read something. */
  get read(): readonly string[] {
    return [...this.#oldestReadMs.keys()]
  }

  /**
   * Whether a log of the vault of a key has told that it may have dropped what it had of then, or may have without
   * telling: it has nothing that old among what this round has read.
   */
  droppedAt(keyId: string, atMs: number): 'told' | 'untold' | undefined {
    const vault = parseKeyUrl(keyId)?.vault
    if (vault === undefined) return undefined
    const logs = this.#logsOf(vault)
    if (logs.some((log) => atMs < (this.#retiredUntilMs.get(log) ?? -Infinity))) return 'told'
    const isUntold = (log: string) =>
      this.#untold.has(log) && atMs < (this.#oldestReadMs.get(log) ?? -Infinity)
    return logs.some(isUntold) ? 'untold' : undefined
  }

  /** What all logs of a vault have told to have dropped; `-Infinity`: nothing. */
  retiredUntilMs(vault: string): number {
    const ends = this.#logsOf(vault).map((log) => this.#retiredUntilMs.get(log) ?? -Infinity)
    return Math.max(-Infinity, ...ends)
  }

  /** For the next round. */
  remembered(): RoundState['sources'] {
    return Object.fromEntries(
      [...this.#vaults].map(([log, vaults]) => {
        const retiredUntilMs = this.#retiredUntilMs.get(log) ?? -Infinity
        const retired = retiredUntilMs === -Infinity ? {} : { retiredUntilMs }
        return [log, { vaults: [...vaults].sort(), ...retired }]
      }),
    )
  }

  /** Those that have records of it; of one that an earlier version has read it may be any. */
  #logsOf(vault: string): readonly string[] {
    const logs = [...this.#vaults].filter(([log]) => isOfKind('vault', log))
    const having = logs.filter(([, vaults]) => vaults.has(vault))
    return (having.length > 0 ? having : logs).map(([log]) => log)
  }
}

function vaultOf(record: LogRecord): string | undefined {
  if (record.kind === 'sign') return record.key.vault
  return record.kind === 'other' ? record.vault : undefined
}
