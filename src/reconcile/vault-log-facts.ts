import { keyNameText, parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyName } from './key-name.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import type { SignRecord, VaultRecord } from './vault-record.ts'

/** Which records of the log have to be accounted for. */
export interface Watch {
  /** Keys by name, as the ledger and the operator name them. */
  readonly keys: readonly string[]
  /** False when nothing can be said of the record. */
  concerns(record: SignRecord): boolean
}

/** @param keys Of the operator, besides those that the ledger says the service used. */
export function watchFrom(ledger: LedgerFacts, keys: readonly KeyName[]): Watch {
  const named = [...new Set([...ledger.keys, ...keys.map(keyNameText)])].sort()
  // A record that names its key by `requestUri` alone has lost the port.
  const known = new Set(named.flatMap(withAndWithoutPort))
  const ledgerIds = new Set<string>()
  for (const { outcome } of ledger.signatures.values()) {
    if (outcome?.vaultRequestId !== undefined) ledgerIds.add(outcome.vaultRequestId.toLowerCase())
  }
  return {
    keys: named,
    concerns: (record) =>
      (record.httpStatusCode === 200 && known.has(keyNameText(record.key))) ||
      ledgerIds.has(record.correlationId),
  }
}

function withAndWithoutPort(text: string): readonly string[] {
  const key = parseKeyUrl(text)
  return key === undefined ? [text] : [text, keyNameText(withoutPort(key))]
}

/** From the first record of a vault to the last. */
export interface Coverage {
  readonly fromMs: number
  readonly toMs: number
}

/** What the log says that has to be accounted for. Each of these records is in memory, about 0.8 KB. */
export interface VaultLogFacts {
  /** Each once, however often it was delivered. */
  readonly signs: readonly SignRecord[]
  /** By vault. */
  readonly coverage: ReadonlyMap<string, Coverage>
  /** Records of any operation and key. */
  readonly records: number
  /** How many of `signs` came again. */
  readonly duplicates: number
}

/** Takes records as they come, in any order, and keeps what the watch concerns. */
export class VaultLogCollector {
  readonly #watch: Watch
  readonly #signs = new Map<string, SignRecord>()
  readonly #coverage = new Map<string, Coverage>()
  #records = 0
  #duplicates = 0

  constructor(watch: Watch) {
    this.#watch = watch
  }

  take(record: VaultRecord): void {
    this.#records += 1
    const vault = record.kind === 'sign' ? record.key.vault : record.vault
    if (vault !== undefined) this.#cover(vault, record.timeMs)
    if (record.kind === 'sign' && this.#watch.concerns(record)) this.#keep(record)
  }

  facts(): VaultLogFacts {
    return {
      signs: [...this.#signs.values()],
      coverage: this.#coverage,
      records: this.#records,
      duplicates: this.#duplicates,
    }
  }

  /** Azure promises neither order nor once-only; these two and the operation tell records apart. */
  #keep(record: SignRecord): void {
    const identity = `${record.correlationId} ${record.time}`
    if (this.#signs.has(identity)) this.#duplicates += 1
    else this.#signs.set(identity, record)
  }

  #cover(vault: string, timeMs: number): void {
    const { fromMs, toMs } = this.#coverage.get(vault) ?? { fromMs: Infinity, toMs: -Infinity }
    if (timeMs >= fromMs && timeMs <= toMs) return
    this.#coverage.set(vault, { fromMs: Math.min(fromMs, timeMs), toMs: Math.max(toMs, timeMs) })
  }
}
