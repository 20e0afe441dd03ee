import type { Clock } from '../base/clock.ts'
import type {
  ApplicationName,
  AttemptId,
  Cloud,
  GrantName,
  IssuerName,
  TenantId,
} from '../base/ids.ts'
import type { UnderWay } from '../base/under-way.ts'
import type { Caller, CallerIdentifier } from '../caller/caller.ts'
import type { DecisionOnRecord } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { TokenUse } from '../ledger/token-use.ts'
import type {
  Ask,
  CallerFacts,
  Decision,
  NamedCaller,
  TokenAsk,
  TokenTerms,
} from '../policy/decision.ts'
import type { RevocationsInForce } from '../revocation/revocations-in-force.ts'
import type { Governor, PermitRequest } from '../signer/governor.ts'
import type { Signer } from '../signer/signer.ts'
import type { TokenCache } from '../token-cache/token-cache.ts'
import type { TokenEndpoint } from '../token-endpoint/token-endpoint.ts'
import type { Application } from './application.ts'
import { attemptLastsMs } from './attempt-deadline.ts'
import type { CallerSlot, CallerSlots } from '../caller/caller-slots.ts'
import type { CertificateDuty } from './certificate-duty.ts'
import type { Credentials, SigningCredential } from './credentials.ts'
import type { EntraRefusals } from './entra-refusals.ts'
import type { FailureLines } from './failure-lines.ts'
import type { InternalAssertions } from './internal-assertions.ts'
import type { IssuanceEvents } from './issuance-events.ts'
import type { KnownUses } from './known-uses.ts'
import type { SignatureProofs } from './signature-proofs.ts'
import type { TurnedAway } from './turned-away.ts'

/**
 * The capabilities that issuing introduces to one another, as one configuration makes them. Each attempt
 * asks once which are in force, and so sees one configuration, whole.
 */
export interface IssuanceDeps {
  readonly clock: Clock
  readonly cloud: Cloud
  /** Whether the configuration that these parts were made by still is: what was decided by them is over otherwise. */
  readonly isInForce: () => boolean
  readonly callers: CallerIdentifier
  /**
   * The policy in force without what is revoked, its budgets charged.
   *
   * @param charged The grant that this attempt has used already: it is not charged again.
   */
  readonly decide: (caller: NamedCaller, ask: Ask, charged: GrantName | undefined) => Decision
  /** The same while every grant has budget left, and nothing is charged. */
  readonly foresee: (caller: CallerFacts, ask: Ask) => Decision
  /** The same as if nothing were revoked. */
  readonly foreseeUnrevoked: (caller: CallerFacts, ask: Ask) => Decision
  /** What is stopped, by which nobody is given anything. */
  readonly revocations: Pick<RevocationsInForce, 'current'>
  /** On what terms a grant still gives a token; undefined: not any more. Nothing is charged. */
  readonly stillGiven: (grant: GrantName, ask: TokenAsk) => TokenTerms | undefined
  readonly applications: ReadonlyMap<ApplicationName, Application>
  /** Issuers whose tokens need not be meant for us alone: every entry of their callers says so. */
  readonly sharedAudienceIssuers: ReadonlySet<IssuerName>
  /** Issuers whose tokens are good for one request each. */
  readonly onceIssuers: ReadonlySet<IssuerName>
  readonly knownUses: KnownUses
  readonly callerSlots: CallerSlots
  readonly credentials: Credentials
  readonly duty: CertificateDuty
  readonly governor: Governor
  readonly signer: Signer
  readonly tokenEndpoint: TokenEndpoint
  readonly entraRefusals: EntraRefusals
  readonly cache: TokenCache
  readonly assertions: InternalAssertions
  readonly ledger: Ledger
  readonly proofs: SignatureProofs
  readonly turnedAway: TurnedAway
  readonly failureLines: FailureLines
  readonly events: IssuanceEvents
  /** Requests and flights, also those that nobody waits for any more: a stop waits for them. */
  readonly underWay: UnderWay
}

/** What was decided for one attempt, with all that acting on it takes. */
export interface AdmittedAttempt {
  readonly attempt: AttemptId
  /** Who vouches for the caller; undefined when that is the service itself. */
  readonly issuer: IssuerName | undefined
  readonly application: Application
  readonly tenant: TenantId
  /**
   * Epoch of the revocations that were heeded: what lets something happen is appended under it, so that
   * none of it follows a revocation that this attempt has not heard of.
   */
  readonly decidedUnder: number
  /** What it takes of its caller's token, with its first entry; undefined: nothing that is counted. */
  readonly tokenUse: TokenUse | undefined
  /** None while none is proven, or not revoked: then it can only be served what is there. */
  readonly credentials: readonly SigningCredential[]
  readonly onRecord: DecisionOnRecord
  readonly beginning: Beginning
  readonly priority: PermitRequest['priority']
  /** Aborted when nobody is there any more; absent when others may wait for the same. */
  readonly gone?: AbortSignal
}

/** What an attempt does once, however often it is decided again. */
export interface Beginning {
  /** Nothing that the attempt waits for goes on past it, as `Clock.monotonicMs` tells. */
  readonly deadlineMs: number
  /** Who it is for, and by which configuration that is proven; undefined until it is. */
  proven: { readonly caller: Caller; readonly by: IssuanceDeps } | undefined
  /** One of its caller's, from the first proof until it ends. */
  slot: CallerSlot | undefined
  /** The ledger has an entry of it, and is told how it ends in any case. */
  isOnRecord: boolean
  /** The grant goes into the ledger, with its first act. */
  isGrantWritten: boolean
  /** The grant whose budget was charged; undefined while none was. */
  chargedGrant: GrantName | undefined
  /** The use of the caller's token, where it takes one. */
  isUseTaken: boolean
  /** What was decided last; undefined while nothing was granted. */
  decided: DecisionOnRecord | undefined
}

export const notBegun = (clock: Clock): Beginning => ({
  deadlineMs: clock.monotonicMs() + attemptLastsMs,
  proven: undefined,
  slot: undefined,
  isOnRecord: false,
  isGrantWritten: false,
  chargedGrant: undefined,
  isUseTaken: false,
  decided: undefined,
})
