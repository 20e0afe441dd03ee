import type { Finding } from './finding.ts'
import { KeptEvidence } from './kept-evidence.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import type { SignInCredential, SignInRecord } from './sign-in-record.ts'
import type { MatchOptions } from './sign-match.ts'
import { UndecidedCounts } from './undecided.ts'

/** What is known of the applications that are watched, besides what sign-ins tell. */
export interface WatchedApplications {
  /** Client ids, as the operator names them. */
  readonly clientIds: readonly string[]
}

/**
 * Joins Entra's sign-ins to the exchanges of the ledger by the trace id of the answer, or by the id of the
 * token. An application is watched when the operator names it, or when one of our exchanges was its: then its
 * other sign-ins, which may have come before that one, have to be accounted for too. That is why sign-ins are
 * read twice: all of them are recognized before the first is taken, and those of others never take up room.
 */
export class SignInMatcher {
  readonly #ledger: LedgerFacts
  readonly #applications: Set<string>
  /** What the ledger calls each of them, by client id, where a sign-in that it knows shows that. */
  readonly #namesOf = new Map<string, Set<string>>()
  readonly #named = new Set<string>()
  readonly #servicePrincipals = new Set<string>()
  readonly #strangers = new KeptEvidence<SignInRecord>()
  readonly #seen = new KeptEvidence<true>()
  #records = 0
  #explained = 0

  constructor(ledger: LedgerFacts, { clientIds }: WatchedApplications) {
    this.#ledger = ledger
    this.#applications = new Set(clientIds.map((id) => id.toLowerCase()))
  }

  /** Learns from it which applications are ours. */
  recognize({ id, uti, appId }: SignInRecord): void {
    const application = this.#ledger.exchanges.applicationOf(id, uti)
    if (application === undefined) return
    this.#applications.add(appId)
    if (application === '') return
    const names = this.#namesOf.get(appId) ?? new Set()
    this.#namesOf.set(appId, names.add(application))
    this.#named.add(application)
  }

  /** Once all of them are recognized. */
  take(signIn: SignInRecord): void {
    this.#records += 1
    const isOurs = this.#ledger.exchanges.applicationOf(signIn.id, signIn.uti) !== undefined
    if (isOurs && this.#seen.add(signInIdentityOf(signIn), true)) this.#explained += 1
    const isWatched = this.#applications.has(signIn.appId)
    if (isWatched && signIn.servicePrincipalId !== undefined) {
      this.#servicePrincipals.add(signIn.servicePrincipalId)
    }
    const { thumbprints } = this.#ledger
    if (!isWatched && !isProvenByUs(signIn.credential, thumbprints)) return
    // A failed sign-in gave nothing; the vault's log tells what was signed for it.
    if (signIn.errorCode !== 0) return
    if (!isOurs || isForeign(signIn.credential, thumbprints)) {
      this.#strangers.add(signInIdentityOf(signIn), signIn)
    }
  }

  /** Client ids. */
  get applications(): ReadonlySet<string> {
    return this.#applications
  }

  /** Object ids of their service principals, where a sign-in tells them. */
  get servicePrincipals(): ReadonlySet<string> {
    return this.#servicePrincipals
  }

  summary(): SignInSummary {
    return { records: this.#records, explained: this.#explained, leftOut: this.#strangers.left }
  }

  findings({ nowMs, graceMs }: MatchOptions): {
    readonly findings: readonly Finding[]
    readonly undecided: ReturnType<UndecidedCounts['list']>
  } {
    const undecided = new UndecidedCounts()
    const findings: Finding[] = []
    for (const signIn of this.#strangers.items.toSorted(
      (one, other) => one.timeMs - other.timeMs,
    )) {
      if (isForeign(signIn.credential, this.#ledger.thumbprints)) {
        findings.push({ kind: 'signin.foreign-credential', signIn })
      } else if (signIn.timeMs > nowMs - graceMs) {
        undecided.add('sign-in-too-young', signIn.timeMs)
      } else if (this.#isBeforeLedger(signIn)) {
        undecided.add('sign-in-before-ledger', signIn.timeMs)
      } else findings.push(this.#judged(signIn))
    }
    return { findings, undecided: undecided.list() }
  }

  #isBeforeLedger({ timeMs }: SignInRecord): boolean {
    return timeMs < (this.#ledger.fromMs ?? Infinity) - beforeLedgerMs
  }

  /** Unless sign-ins that the ledger knows show that one of the two is another. */
  #mayBeOf(appId: string, application: string): boolean {
    const names = this.#namesOf.get(appId)
    return names === undefined ? !this.#named.has(application) : names.has(application)
  }

  #judged(signIn: SignInRecord): Finding {
    const { exchanges } = this.#ledger
    const { timeMs, tenant, appId } = signIn
    const mayBeOf = (application: string) => this.#mayBeOf(appId, application)
    if (exchanges.mayBeUnanswered({ timeMs, tenant, mayBeOf })) {
      return { kind: 'signin.ambiguous', signIn, because: 'answer-lost' }
    }
    if (exchanges.mayBeHandedOut({ timeMs, tenant, mayBeOf })) {
      return { kind: 'signin.ambiguous', signIn, because: 'assertion-handed-out' }
    }
    return { kind: 'signin.unexplained', signIn }
  }
}

export interface SignInSummary {
  readonly records: number
  /** Known to the ledger by the trace id, or by the id of the token. */
  readonly explained: number
  /** Counted, and too many to be kept. */
  readonly leftOut: number
}

/** How far Entra's clock and ours may be apart. */
const beforeLedgerMs = 60_000

/** Tells sign-ins apart, however often they are delivered. */
export const signInIdentityOf = ({ id, uti, timeMs, appId }: SignInRecord): string =>
  id === '' ? `${uti ?? ''} ${appId} ${timeMs}` : id

/** A certificate that is not ours, a secret (a credential without thumbprint), or somebody's federation. */
function isForeign(credential: SignInCredential, thumbprints: ReadonlySet<string>): boolean {
  const { thumbprint, keyId, federatedId } = credential
  if (federatedId !== undefined && !isNone(federatedId)) return true
  if (thumbprint !== undefined) return !thumbprints.has(hexOf(thumbprint))
  return keyId !== undefined && !isNone(keyId)
}

const isProvenByUs = ({ thumbprint }: SignInCredential, ours: ReadonlySet<string>): boolean =>
  thumbprint !== undefined && ours.has(hexOf(thumbprint))

/** Some logs write thumbprints with colons or spaces. */
const hexOf = (thumbprint: string): string => thumbprint.replaceAll(/[^0-9A-F]/g, '')

const isNone = (guid: string): boolean => /^[0-]*$/.test(guid)
