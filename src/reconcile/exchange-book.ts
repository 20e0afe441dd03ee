import { IdIndex } from './id-index.ts'
import { textIn } from './json-members.ts'
import type { Members } from './json-members.ts'

/** A time in which Entra may have seen our certificate without an entry that says so. */
export interface Window {
  readonly fromMs: number
  readonly toMs: number
  readonly application: string
  readonly tenant: string
}

/** How far Entra's clock and ours may be apart. */
const clockDifferenceMs = 60_000
/** More than the service waits for Entra. */
const exchangeDeadlineMs = 60_000
/** Nobody takes an assertion longer than that after its end. */
const acceptedAfterMs = 600_000

/** What the ledger says of exchanges with Entra: those that were answered, by the ids that Entra tells. */
export class ExchangeBook {
  readonly #ids = new IdIndex()
  readonly #unanswered: Window[] = []
  readonly #handedOut: Window[] = []

  take(entry: Members, atMs: number): void {
    const application = textIn(entry, 'application') ?? ''
    const tenant = textIn(entry, 'tenant')?.toLowerCase() ?? ''
    if (entry['kind'] === 'assertion.issued') {
      const expiresAt = Number(entry['expiresAtSeconds']) * 1000
      const toMs = Number.isFinite(expiresAt) ? expiresAt + acceptedAfterMs : Infinity
      this.#handedOut.push({ fromMs: atMs - clockDifferenceMs, toMs, application, tenant })
      return
    }
    const traceId = textIn(entry, 'traceId')
    const uti = textIn(entry, 'uti')
    if (traceId !== undefined) this.#ids.add(traceId)
    if (uti !== undefined) this.#ids.add(utiKey(uti))
    if (traceId === undefined && entry['applied'] === 'unknown') {
      const fromMs = atMs - exchangeDeadlineMs - clockDifferenceMs
      this.#unanswered.push({ fromMs, toMs: atMs + clockDifferenceMs, application, tenant })
    }
  }

  /** Whether the ledger has an exchange of that trace id, or one that gave the token. */
  has(traceId: string, uti: string | undefined): boolean {
    if (traceId !== '' && this.#ids.find(traceId) !== undefined) return true
    return uti !== undefined && this.#ids.find(utiKey(uti)) !== undefined
  }

  /** Exchanges whose answer was lost, at that time in that tenant. */
  mayBeUnanswered(timeMs: number, tenant: string | undefined): boolean {
    return this.#unanswered.some((window) => isIn(window, timeMs, tenant))
  }

  /** Whether an assertion lived that was handed out: its holder signs in without us. */
  mayBeHandedOut(timeMs: number, tenant: string | undefined): boolean {
    return this.#handedOut.some((window) => isIn(window, timeMs, tenant))
  }
}

/** Of another kind than trace ids. */
const utiKey = (uti: string) => `uti ${uti}`

function isIn(window: Window, timeMs: number, tenant: string | undefined): boolean {
  const isThere = tenant === undefined || tenant === window.tenant
  return isThere && timeMs >= window.fromMs && timeMs <= window.toMs
}
