import { Column, IdIndex } from './id-index.ts'
import { textIn } from './json-members.ts'
import type { Members } from './json-members.ts'
import { Names } from './names.ts'

/** A time in which Entra may have seen our certificate without an entry that says so. */
export interface Window {
  readonly fromMs: number
  readonly toMs: number
  readonly application: string
  readonly tenant: string
}

/** What Entra saw, as far as it tells. */
export interface Seen {
  readonly timeMs: number
  readonly tenant: string | undefined
  /** Whether it may have been the application that the ledger calls so. */
  readonly mayBeOf: (application: string) => boolean
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
  readonly #application = new Column(Uint16Array)
  readonly #applications = new Names(0xffff)
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
    if (traceId !== undefined) this.#add(traceId, application)
    if (uti !== undefined) this.#add(utiKey(uti), application)
    if (traceId === undefined && entry['applied'] === 'unknown') {
      const fromMs = atMs - exchangeDeadlineMs - clockDifferenceMs
      this.#unanswered.push({ fromMs, toMs: atMs + clockDifferenceMs, application, tenant })
    }
  }

  /**
   * Whose exchange had that trace id, or gave the token: the name of the application, empty where the ledger
   * does not tell; undefined when the ledger has no such exchange.
   */
  applicationOf(traceId: string, uti: string | undefined): string | undefined {
    const byTrace = traceId === '' ? undefined : this.#ids.find(traceId)
    const ordinal = byTrace ?? (uti === undefined ? undefined : this.#ids.find(utiKey(uti)))
    return ordinal === undefined
      ? undefined
      : this.#applications.name(this.#application.get(ordinal))
  }

  /** Exchanges whose answer was lost, at that time in that tenant, of an application that it may be. */
  mayBeUnanswered(seen: Seen): boolean {
    return this.#unanswered.some((window) => isIn(window, seen))
  }

  /** Whether an assertion lived that was handed out: its holder signs in without us. */
  mayBeHandedOut(seen: Seen): boolean {
    return this.#handedOut.some((window) => isIn(window, seen))
  }

  #add(id: string, application: string): void {
    const ordinal = this.#ids.add(id)
    if (ordinal === undefined) return
    this.#application.set(ordinal, this.#applications.numberOf(application))
  }
}

/** Of another kind than trace ids. */
const utiKey = (uti: string) => `uti ${uti}`

function isIn(window: Window, { timeMs, tenant, mayBeOf }: Seen): boolean {
  const isThere = tenant === undefined || tenant === window.tenant
  const isIts = window.application === '' || mayBeOf(window.application)
  return isThere && isIts && timeMs >= window.fromMs && timeMs <= window.toMs
}
