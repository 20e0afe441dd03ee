import { longLivedTokenSecondsMax } from '../base/entra-token-life.ts'
import type { Row } from '../ledger/chain.ts'
import { parseCut, type CertificateOnRecord } from '../ledger/cut.ts'
import { kindOf } from '../ledger/entry-kind.ts'
import type { Entry, HeadKeyLoaded } from '../ledger/entry.ts'

/** Why an entry must stay. */
export type NeedReason =
  | 'attempt-under-way'
  | 'signature-not-proved'
  | 'token-lives' // replicas look up how it was obtained, and auditors what is still valid
  | 'assertion-lives' // or what was bought with it

/** The first entry that must stay, and why. */
export interface Need {
  readonly sequence: number
  readonly because: NeedReason
}

/** An attempt is over within minutes; what has no end after this had its end with its process. */
const attemptMs = 3_600_000
/** A dead assertion is published ten minutes after its end; what was not within this never is. */
const proofSeconds = 3600
/** A long-lived token may have been bought with an assertion in its last second. */
const boughtSeconds = longLivedTokenSecondsMax

/** Follows a ledger from end to end, and tells which of its entries somebody still counts on. */
export class StillNeeded {
  readonly #attempts = new Map<string, { readonly sequence: number; readonly atMs: number }>()
  readonly #signatures = new Map<
    string,
    { readonly sequence: number; readonly untilSeconds: number }
  >()
  readonly #nowSeconds: number
  readonly #nowMs: number
  #alive: Need | undefined

  constructor(nowMs: number) {
    this.#nowMs = nowMs
    this.#nowSeconds = Math.floor(nowMs / 1000)
  }

  take(row: Row): void {
    if (row.isCut === true || !isLookedInto(kindOf(row.canonical))) return
    const { sequence } = row
    const entry = JSON.parse(Buffer.from(row.canonical).toString()) as EntryLookedInto
    switch (entry.kind) {
      case 'request.granted':
        this.#attempts.set(entry.attempt, { sequence, atMs: entry.atMs })
        return
      case 'request.failed':
        this.#attempts.delete(entry.attempt)
        return
      case 'exchange.succeeded':
      case 'token.issued':
        this.#attempts.delete(entry.attempt)
        this.#lives(sequence, entry.expiresAtSeconds, 'token-lives')
        return
      case 'assertion.issued':
        this.#attempts.delete(entry.attempt)
        this.#lives(sequence, entry.expiresAtSeconds + boughtSeconds, 'assertion-lives')
        return
      case 'signature.begun': {
        const endSeconds = entry.expiresAtSeconds ?? Math.floor(entry.atMs / 1000)
        this.#signatures.set(entry.signature, { sequence, untilSeconds: endSeconds + proofSeconds })
        return
      }
      case 'signature.failed':
      case 'signature.proved':
      case 'head.signed':
        this.#signatures.delete(entry.signature)
    }
  }

  /** Undefined where all may go. */
  first(): Need | undefined {
    const attempts = [...this.#attempts.values()]
      .filter(({ atMs }) => atMs > this.#nowMs - attemptMs)
      .map(({ sequence }) => ({ sequence, because: 'attempt-under-way' as const }))
    const signatures = [...this.#signatures.values()]
      .filter(({ untilSeconds }) => untilSeconds > this.#nowSeconds)
      .map(({ sequence }) => ({ sequence, because: 'signature-not-proved' as const }))
    const all = [...attempts, ...signatures, ...(this.#alive === undefined ? [] : [this.#alive])]
    return all.toSorted((one, other) => one.sequence - other.sequence)[0]
  }

  #lives(sequence: number, untilSeconds: number, because: NeedReason): void {
    if (this.#alive === undefined && untilSeconds > this.#nowSeconds) {
      this.#alive = { sequence, because }
    }
  }
}

const kindsLookedInto = [
  'request.granted',
  'request.failed',
  'exchange.succeeded',
  'token.issued',
  'assertion.issued',
  'signature.begun',
  'signature.failed',
  'signature.proved',
  'head.signed',
] as const satisfies readonly Entry['kind'][]

type EntryLookedInto = Extract<Entry, { readonly kind: (typeof kindsLookedInto)[number] }>

const lookedInto: ReadonlySet<string | undefined> = new Set(kindsLookedInto)

const isLookedInto = (kind: string | undefined) => lookedInto.has(kind)

/** Keys and certificates that what is left may have to be checked with. */
export class CarriedKeys {
  readonly #headKeys = new Map<string, Pick<HeadKeyLoaded, 'keyId' | 'publicKey'>>()
  readonly #certificates = new Map<string, CertificateOnRecord>()

  take({ canonical, isCut }: Row): void {
    if (isCut === true) {
      const cut = parseCut(canonical)
      for (const key of cut?.headKeys ?? []) this.#headKeys.set(key.keyId, key)
      for (const one of cut?.certificates ?? []) this.#certificates.set(one.keyId, one)
      return
    }
    const kind = kindOf(canonical)
    if (kind !== 'head.key-loaded' && kind !== 'certificate.loaded') return
    const entry = JSON.parse(Buffer.from(canonical).toString()) as Entry
    if (entry.kind === 'head.key-loaded') {
      const { keyId, publicKey } = entry
      this.#headKeys.set(keyId, { keyId, publicKey })
    } else if (entry.kind === 'certificate.loaded') {
      const { keyId, thumbprintSha256, notAfterSeconds, der } = entry
      this.#certificates.set(keyId, { keyId, thumbprintSha256, notAfterSeconds, der })
    }
  }

  get headKeys(): readonly Pick<HeadKeyLoaded, 'keyId' | 'publicKey'>[] {
    return [...this.#headKeys.values()]
  }

  /** Those that had not ended then: nothing was signed with others, and what was is proved. */
  certificatesAt(atMs: number): readonly CertificateOnRecord[] {
    return [...this.#certificates.values()].filter(
      ({ notAfterSeconds }) => notAfterSeconds * 1000 + proofSeconds * 1000 > atMs,
    )
  }
}
