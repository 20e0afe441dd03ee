/**
 * What the report page shows: plain values, whole before the page is made. Times are milliseconds since
 * the Unix epoch, UTC. What is absent is not known, and the page says so.
 */
export interface ReportView {
  readonly verdict: 'accounted-for' | 'findings' | 'undecided'
  /** The verdict in one sentence, without its full stop. */
  readonly sentence: string
  /** As of when it was decided. */
  readonly nowMs: number
  /** How late records may arrive. */
  readonly graceMs: number
  /** What was read: ledger, logs, watched keys. */
  readonly sources: readonly SourceView[]
  readonly signatures: SignatureCountsView
  /** All of them; the page shows the first thousands. */
  readonly findings: readonly FindingView[]
  readonly undecided: readonly UndecidedView[]
  readonly timeline?: TimelineView
  /** Of each vault, or other log; empty: nothing was delivered. */
  readonly coverage: readonly CoverageView[]
  readonly askers?: ListView<AskerView>
  readonly tokens?: ListView<LiveTokenView>
  readonly assertions?: ListView<LiveAssertionView>
  readonly certificates?: readonly CertificateView[]
  readonly chain: ChainView
}

/** Some of a list, and how many there are in all. */
export interface ListView<Item> {
  readonly shown: readonly Item[]
  readonly count: number
  /** There are more than were counted; absent: there are not. */
  readonly atLeast?: true
}

export interface SpanView {
  readonly fromMs: number
  readonly toMs: number
}

export interface SourceView {
  /** Such as `ledger`. */
  readonly what: string
  readonly name: string
  readonly detail?: string
}

export interface SignatureCountsView {
  /** In the vaults' logs, by the watched keys. */
  readonly recorded: number
  /** Of these, known to the ledger and described as it says. */
  readonly explained: number
  /** By others, as was agreed; absent: nothing was. */
  readonly agreed?: number
  /** Places in the logs that were not understood. */
  readonly unread: number
}

/** Which of the auditor's questions a finding answers, or leaves open. */
export type ConcernView = 'others-use' | 'maybe-others-use' | 'missing-evidence' | 'altered-ledger'

export interface FindingView {
  /** Such as `sign.unexplained`. */
  readonly kind: string
  readonly severity: 'high' | 'medium' | 'low'
  readonly concern: ConcernView
  /** What happened, in one sentence. */
  readonly summary: string
  readonly atMs?: number
  /** Each side of it: the vault's record, the ledger's entries. */
  readonly evidence: readonly EvidenceView[]
  readonly differences?: readonly DifferenceView[]
  /** What made the two sides one; absent where there is one side only. */
  readonly joinedBy?: string
  /** What to do about it. */
  readonly next: string
}

export interface EvidenceView {
  readonly of: string
  readonly facts: readonly (readonly [name: string, value: string])[]
}

export interface DifferenceView {
  readonly what: string
  readonly ledger: string
  readonly vault: string
}

export interface UndecidedView {
  /** A sentence without its full stop. */
  readonly text: string
  readonly count: number
}

/** Counts of signatures in equal pieces of time; every list has one number for each piece. */
export interface TimelineView {
  readonly startMs: number
  readonly pieceMs: number
  readonly pieces: number
  /** Made, by whom they were made for: the most first. */
  readonly callers: readonly SeriesView[]
  readonly applications: readonly SeriesView[]
}

export interface SeriesView {
  readonly name: string
  readonly counts: readonly number[]
}

/** What a log delivered. */
export interface CoverageView {
  /** A vault's host, or what else the log is of. */
  readonly of: string
  /** Empty: it was to be delivered, and nothing of it was. */
  readonly spans: readonly SpanView[]
  /**
   * `hours`: of what is between two spans there is no record, because nothing happened or it was not delivered;
   * `ends`: only the first and the last record are known, and nobody looked for hours between them.
   */
  readonly precision: 'hours' | 'ends'
}

/** Who asked for one thing, and what became of it. */
export interface AskerView {
  readonly issuer: string
  readonly subject: string
  readonly application: string
  readonly tenant: string
  /** Of tokens; absent: assertions, which no scope confines. */
  readonly scope?: string
  readonly issued: number
  readonly refused: number
  readonly failed: number
  /** By which it was allowed, the last one; absent: never. */
  readonly grant?: string
  readonly lastMs: number
}

export interface LiveTokenView {
  readonly tokenSha256: string
  readonly application: string
  readonly tenant: string
  readonly scope: string
  readonly expiresMs: number
  /** Nobody can say who else was given it; absent: it was given to nobody yet. */
  readonly lastGivenTo?: string
}

export interface LiveAssertionView {
  readonly assertionSha256: string
  readonly application: string
  readonly tenant: string
  readonly givenTo: string
  readonly expiresMs: number
  /** Until then an ordinary token that was bought with it may live. */
  readonly tokensUntilMs: number
  /** The same of one of a day, which whoever held the assertion could ask for. */
  readonly longLivedTokensUntilMs: number
}

export interface CertificateView {
  readonly name: string
  readonly keyId: string
  readonly thumbprintSha256: string
  readonly place: 'primary' | 'standby'
  readonly notAfterMs: number
  /** When the ledger first says that it is used. */
  readonly sinceMs: number
  readonly signatures: number
  readonly lastSignatureMs?: number
}

export interface ChainView {
  readonly entries: number
  /** Hexadecimal, of the last entry. */
  readonly tipHash?: string
  /** Why it does not verify; absent: every entry follows the one before it. */
  readonly fault?: string
  /** Signed statements of what the ledger held; absent: nobody looked for any. */
  readonly heads?: HeadsView
  /** Who else keeps heads; absent: nobody looked, empty: nobody does. */
  readonly keepers?: readonly KeeperView[]
  /** Why something of it could not be decided, a sentence each. */
  readonly undecided?: readonly string[]
}

export interface HeadsView {
  readonly count: number
  readonly last?: { readonly sequence: number; readonly atMs: number }
  /** Entries behind the last head. */
  readonly unsealed: number
}

/** A witness, or a place where heads are kept, outside of the service's reach. */
export interface KeeperView {
  readonly name: string
  readonly kind: 'witness' | 'anchor' | 'workspace'
  /** Whether what it holds is what the ledger says; absent: not all of it could be compared. */
  readonly agrees?: boolean
  /** The last entry that it stands for; absent: it holds none. */
  readonly sequence?: number
  readonly atMs?: number
}
