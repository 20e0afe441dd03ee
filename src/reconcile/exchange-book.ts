import { Column, IdIndex } from './id-index.ts'
import { Names } from './names.ts'
import type { ToldAssertion, ToldExchange } from './relevant-entry.ts'

/** A time in which Entra may have seen our certificate without an entry that says so. */
interface Window {
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
  readonly #unanswered = new Windows()
  readonly #handedOut = new Windows()

  take({ application, tenant, traceId, uti, isUnanswered }: ToldExchange, atMs: number): void {
    if (traceId !== undefined) this.#add(traceId, application)
    if (uti !== undefined) this.#add(utiKey(uti), application)
    if (!isUnanswered) return
    const fromMs = atMs - exchangeDeadlineMs - clockDifferenceMs
    this.#unanswered.add({ fromMs, toMs: atMs + clockDifferenceMs, application, tenant })
  }

  handOut({ application, tenant, expiresAtSeconds }: ToldAssertion, atMs: number): void {
    const expiresAt = expiresAtSeconds * 1000
    const toMs = Number.isFinite(expiresAt) ? expiresAt + acceptedAfterMs : Infinity
    this.#handedOut.add({ fromMs: atMs - clockDifferenceMs, toMs, application, tenant })
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
    return this.#unanswered.has(seen)
  }

  /** Whether an assertion lived that was handed out: its holder signs in without us. */
  mayBeHandedOut(seen: Seen): boolean {
    return this.#handedOut.has(seen)
  }

  #add(id: string, application: string): void {
    const ordinal = this.#ids.add(id)
    if (ordinal === undefined) return
    this.#application.set(ordinal, this.#applications.numberOf(application))
  }
}

/** Of another kind than trace ids. */
const utiKey = (uti: string) => `uti ${uti}`

/** What is seen now and then overlaps, and then is one: as many as there were pauses between. */
class Windows {
  /** By tenant, then by application. */
  readonly #spans = new Map<string, Map<string, Span[]>>()

  add({ fromMs, toMs, application, tenant }: Window): void {
    const ofTenant = this.#spans.get(tenant) ?? new Map<string, Span[]>()
    this.#spans.set(tenant, ofTenant)
    const spans = ofTenant.get(application) ?? []
    ofTenant.set(application, spans)
    const last = spans.at(-1)
    if (last !== undefined && fromMs <= last.toMs && toMs >= last.fromMs) {
      last.fromMs = Math.min(last.fromMs, fromMs)
      last.toMs = Math.max(last.toMs, toMs)
    } else spans.push({ fromMs, toMs })
  }

  /** Whether it was seen in one of them. */
  has({ timeMs, tenant, mayBeOf }: Seen): boolean {
    const tenants = tenant === undefined ? this.#spans.values() : [this.#spans.get(tenant)]
    for (const ofTenant of tenants) {
      for (const [application, spans] of ofTenant ?? []) {
        if (application !== '' && !mayBeOf(application)) continue
        if (spans.some(({ fromMs, toMs }) => timeMs >= fromMs && timeMs <= toMs)) return true
      }
    }
    return false
  }
}

interface Span {
  fromMs: number
  toMs: number
}
