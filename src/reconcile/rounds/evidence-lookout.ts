import { idsOfRecord } from './finding-id.ts'
import type { LogRecord } from './finding-id.ts'
import type { LogBeginnings } from './log-beginnings.ts'
import { isOfKind, logWithRecordOf } from './log-kinds.ts'
import type { KnownFinding, RoundState } from './round-state.ts'

/** Recognizes among the records of a round those that findings are about that stand. */
export class EvidenceLookout {
  /** Of these findings, by their ids, the record was read: the log that had it first. */
  readonly seen = new Map<string, string>()
  readonly #beginnings: LogBeginnings
  readonly #ledgers: readonly string[]
  readonly #ids: ReadonlySet<string>
  /** To the millisecond: most records are passed over by it. */
  readonly #timesMs: ReadonlySet<number>
  /** Of signatures without a record, by the id that it will have. */
  readonly #awaited: ReadonlyMap<string, string>

  constructor(
    { ledger, findings }: Pick<RoundState, 'ledger' | 'findings'>,
    beginnings: LogBeginnings,
  ) {
    this.#beginnings = beginnings
    const open = findings.filter(({ resolvedAtMs }) => resolvedAtMs === undefined)
    // Some were found while nobody could tell which ledger it is.
    this.#ledgers = [...new Set([ledger ?? '', ''])]
    this.#ids = new Set(open.map(({ id }) => id))
    this.#timesMs = new Set(open.flatMap(({ atMs }) => atMs ?? []))
    this.#awaited = new Map(
      open.flatMap(({ id, vaultRequestId }) =>
        vaultRequestId === undefined ? [] : [[vaultRequestId, id]],
      ),
    )
  }

  /** @param log See `logNameOf`. */
  take(log: string, record: LogRecord): void {
    this.#beginnings.take(log, record)
    if (this.#timesMs.has(record.timeMs)) this.#recognize(log, record)
    if (record.kind !== 'sign' || this.#awaited.size === 0) return
    const id = this.#awaited.get(record.correlationId)
    if (id !== undefined) this.#see(id, log)
  }

  /**
   * Whether the record of a finding was not read though its log has older ones: those that a log dropped as it grew
   * old are not missed. Of a finding whose log is not known, whether no log of its kind may have dropped it.
   */
  misses({ id, kind, atMs, log }: Pick<KnownFinding, 'id' | 'kind' | 'atMs' | 'log'>): boolean {
    const of = logWithRecordOf[kind]
    if (of === undefined || atMs === null || this.seen.has(id)) return false
    const logs =
      log === undefined ? this.#beginnings.read.filter((one) => isOfKind(of, one)) : [log]
    return logs.length > 0 && logs.every((one) => atMs >= this.#beginnings.beginsAtMs(one))
  }

  #recognize(log: string, record: LogRecord): void {
    for (const ledger of this.#ledgers) {
      for (const id of idsOfRecord(ledger, record)) if (this.#ids.has(id)) this.#see(id, log)
    }
  }

  #see(id: string, log: string): void {
    if (!this.seen.has(id)) this.seen.set(id, log)
  }
}
