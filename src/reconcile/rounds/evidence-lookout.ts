import { idsOfRecord } from './finding-id.ts'
import type { LogRecord } from './finding-id.ts'
import { logWithRecordOf } from './log-kinds.ts'
import type { LogKind } from './log-kinds.ts'
import type { KnownFinding, RoundState } from './round-state.ts'

const logOf: Readonly<Record<LogRecord['kind'], LogKind>> = {
  sign: 'vault',
  other: 'vault',
  'sign-in': 'sign-ins',
  'directory-audit': 'audits',
}

/** Recognizes among the records of a round those that findings are about that stand. */
export class EvidenceLookout {
  /** Of these findings, by their ids, the record was read. */
  readonly seen = new Set<string>()
  readonly #oldestMs = new Map<LogKind, number>()
  readonly #ledgers: readonly string[]
  readonly #ids: ReadonlySet<string>
  /** To the millisecond: most records are passed over by it. */
  readonly #timesMs: ReadonlySet<number>
  /** Of signatures without a record, by the id that it will have. */
  readonly #awaited: ReadonlyMap<string, string>

  constructor({ ledger, findings }: Pick<RoundState, 'ledger' | 'findings'>) {
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

  take(record: LogRecord): void {
    const { kind, timeMs } = record
    const log = logOf[kind]
    if (timeMs < (this.#oldestMs.get(log) ?? Infinity)) this.#oldestMs.set(log, timeMs)
    if (this.#timesMs.has(timeMs)) this.#recognize(record)
    if (kind !== 'sign' || this.#awaited.size === 0) return
    const id = this.#awaited.get(record.correlationId)
    if (id !== undefined) this.seen.add(id)
  }

  /**
   * Whether the record of a finding was not read though its log has older ones: those that a log dropped as it grew
   * old are not missed.
   */
  misses({ id, kind, atMs }: Pick<KnownFinding, 'id' | 'kind' | 'atMs'>): boolean {
    const log = logWithRecordOf[kind]
    if (log === undefined || atMs === null || this.seen.has(id)) return false
    return atMs >= (this.#oldestMs.get(log) ?? Infinity)
  }

  #recognize(record: LogRecord): void {
    for (const ledger of this.#ledgers) {
      for (const id of idsOfRecord(ledger, record)) if (this.#ids.has(id)) this.seen.add(id)
    }
  }
}
