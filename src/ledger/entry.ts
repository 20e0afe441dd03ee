/**
 * What a ledger line says. Plain JSON with stable names: auditors and other programs read it for
 * years. A token or an assertion that lives is never in it, only its SHA-256 (base64url).
 *
 * Ids link the lines: `attempt` is one request's life, `exchange` one POST to a token endpoint,
 * `signature` one call of the vault. One exchange or signature may serve many attempts.
 */
export type Entry =
  | RequestGranted
  | RequestRefused
  | RequestFailed
  | SignatureBegun
  | SignatureMade
  | SignatureFailed
  | SignatureProved
  | ExchangeSucceeded
  | ExchangeFailed
  | TokenIssued
  | AssertionIssued
  | ConfigurationLoaded
  | PolicyLoaded
  | RevocationMade
  | RevocationLifted
  | CertificateLoaded
  | CertificateSwitched
  | HeadKeyLoaded
  | HeadSigned
  | LedgerPruned
  | ServiceStarted
  | ServiceStopped
  | ServiceTurnedAway
  | AuditRead

export type EntryKind = Entry['kind']

interface EntryOf<Kind extends string> {
  readonly kind: Kind
  /** Milliseconds since the Unix epoch, by the clock of the process that wrote the line. */
  readonly atMs: number
}

/**
 * Who asked, as proven; or the service itself, as `countersign`: for `refresh`, ahead of a token's end, and
 * for `local-socket`, whoever that is.
 */
export interface CallerOnRecord {
  readonly issuer: string
  /** `sub` of the caller's token, or the name in its certificate: what the issuer vouches for. */
  readonly subject: string
  /**
   * The proof itself stays outside: this recognises it if it turns up elsewhere. Absent where a
   * certificate was the proof, and of the service itself, which has none.
   */
  readonly tokenSha256?: string
  /** Of the certificate (DER) that was the proof; absent where a token was. */
  readonly certificateSha256?: string
  /** The operator accepts tokens of this issuer that were meant for others too; otherwise absent. */
  readonly sharedAudience?: true
}

/** What was decided: by which grant, what for. */
export interface DecisionOnRecord {
  readonly attempt: string
  readonly caller: CallerOnRecord
  readonly grant: string
  readonly application: string
  readonly tenant: string
  /** Of a token; absent when an assertion is wanted, because an assertion is not confined to a scope. */
  readonly scope?: string
  /** A token of a day was asked for, which nobody can recall; absent: an ordinary one. */
  readonly longLived?: true
  /** Grants in dry-run that would have allowed it too; absent: none. */
  readonly dryRun?: readonly string[]
}

/** The attempt that will act: written with the first act, in one commit. */
export interface RequestGranted extends EntryOf<'request.granted'>, DecisionOnRecord {}

/** A proven caller that some grant names asked for what none that is enforced allows. */
export interface RequestRefused extends EntryOf<'request.refused'> {
  readonly attempt: string
  readonly caller: CallerOnRecord
  readonly reason: string
  readonly application: string
  readonly tenant: string
  readonly scope?: string
  /** Grants in dry-run that would have allowed it; absent: none. */
  readonly dryRun?: readonly string[]
}

/** The end of an attempt that was granted and got nothing. */
export interface RequestFailed extends EntryOf<'request.failed'>, DecisionOnRecord {
  /** Code of the failure, such as `SIGNER_THROTTLED`. */
  readonly code: string
  /** Code of the earlier failure for which nobody was asked now; absent when it is not for one. */
  readonly remembered?: string
}

/** Durable before the vault is called. */
export interface SignatureBegun extends EntryOf<'signature.begun'> {
  readonly signature: string
  /** The attempt that leads; others may be served by it. */
  readonly attempt: string
  /**
   * `exchange`: an assertion that the service uses itself and never hands out; `hand-out`: the reverse;
   * `head`: no assertion, but a head of this ledger.
   */
  readonly purpose: 'exchange' | 'hand-out' | 'head'
  /** Of a head, which is no application's: `countersign`. */
  readonly application: string
  /** Of a head, which is for no tenant: empty. */
  readonly tenant: string
  /** `https://{vault}/keys/{name}/{version}`. */
  readonly keyId: string
  readonly algorithm: string
  /** base64url of the 32 bytes that the vault is sent. */
  readonly digest: string
  /**
   * SHA-256 over the 22 characters of the nonce in the vault's `clientInfo`: a match for a lost reply
   * that no caller can forge.
   */
  readonly nonceSha256: string
  /** `exp` of what is signed, seconds; absent of a head, which has no end. */
  readonly expiresAtSeconds?: number
}

export interface SignatureMade extends EntryOf<'signature.made'> {
  readonly signature: string
  /** The vault's `x-ms-request-id`: the `correlationId` of its audit record. */
  readonly vaultRequestId: string
  readonly signatureSha256: string
}

export interface SignatureFailed extends EntryOf<'signature.failed'> {
  readonly signature: string
  readonly code: string
  /** `unknown`: the vault may have signed and its log will tell. */
  readonly applied: 'no' | 'unknown'
  /** Absent when no answer came. */
  readonly vaultRequestId?: string
}

/** The dead assertion, whole: anybody can hash the signing input and check the signature. */
export interface SignatureProved extends EntryOf<'signature.proved'> {
  readonly signature: string
  /** First two parts of the compact JWS (RFC 7515 §5.1). */
  readonly signingInput: string
  /** base64url. */
  readonly signatureValue: string
}

export interface ExchangeSucceeded extends EntryOf<'exchange.succeeded'> {
  readonly exchange: string
  readonly signature: string
  readonly attempt: string
  readonly application: string
  readonly tenant: string
  readonly scope: string
  /** Entra's `x-ms-request-id`, which its sign-in log repeats; absent when it sent none. */
  readonly traceId?: string
  /** Entra's unique token identifier, when the token is a JWT that says one. */
  readonly uti?: string
  readonly tokenSha256: string
  readonly expiresAtSeconds: number
}

export interface ExchangeFailed extends EntryOf<'exchange.failed'> {
  readonly exchange: string
  readonly signature: string
  readonly attempt: string
  readonly application: string
  readonly tenant: string
  readonly scope: string
  readonly code: string
  /** `unknown`: Entra may have issued a token that never arrived. */
  readonly applied: 'no' | 'unknown'
  /** Entra's numbers, such as 700027; absent when the answer had none. */
  readonly errorCodes?: readonly number[]
  readonly traceId?: string
}

/** Durable before the token leaves. */
export interface TokenIssued extends EntryOf<'token.issued'>, DecisionOnRecord {
  /** The attempt whose exchange obtained the token: this one, or the one that the cache remembers. */
  readonly obtainedBy: string
  readonly tokenSha256: string
  readonly expiresAtSeconds: number
}

/** Durable before the assertion leaves. */
export interface AssertionIssued extends EntryOf<'assertion.issued'>, DecisionOnRecord {
  readonly signature: string
  readonly assertionSha256: string
  readonly expiresAtSeconds: number
}

/** `countersign.yaml` and the files that it names are in force from now on, in the process that says so. */
export interface ConfigurationLoaded extends EntryOf<'configuration.loaded'> {
  /** SHA-256 over what they say; order and comments of the file decide nothing, and no secret is in it. */
  readonly sha256: string
  readonly applications: number
  readonly issuers: number
  /** Such as `application events` and `issuer github`: what differs from before; absent at the start of a run. */
  readonly added?: readonly string[]
  readonly removed?: readonly string[]
  readonly changed?: readonly string[]
  /** What lets more callers count, or lets grants reach further. */
  readonly widened?: readonly string[]
  /** These are the first hundred of some list; absent: they are all. */
  readonly cut?: true
}

export interface PolicyLoaded extends EntryOf<'policy.loaded'> {
  /** SHA-256 over the files as they were read. */
  readonly sha256: string
  /** Of the policy that replicas share: the same for all that have it in force. Absent where none do. */
  readonly generation?: number
  readonly grants: number
  /** Grant files that did not load and therefore grant nothing. */
  readonly broken: number
  /** Names of grants that differ from what was in force before; absent at the start of a run. */
  readonly added?: readonly string[]
  readonly removed?: readonly string[]
  readonly changed?: readonly string[]
  /** By which somebody gets what no grant gave before, new ones too. */
  readonly widened?: readonly string[]
  /** These are the first hundred of some list; absent: they are all. */
  readonly cut?: true
}

/** What is stopped, as a revocation names it. */
export type RevokedOnRecord =
  | { readonly what: 'caller'; readonly issuer: string; readonly subject: string }
  | { readonly what: 'grant'; readonly grant: string }
  | { readonly what: 'issuer'; readonly issuer: string }
  | { readonly what: 'application'; readonly application: string }
  | { readonly what: 'tenant'; readonly tenant: string }
  /** `https://{vault}/keys/{name}/{version}`. */
  | { readonly what: 'key-version'; readonly keyId: string }

/** Who changed what stands, why, and since which epoch it counts. */
interface RevocationOnRecord {
  /** UUIDv7: the same in both entries of one revocation. */
  readonly revocation: string
  readonly attempt: string
  readonly caller: CallerOnRecord
  /** That lets the caller do so; absent: it came by the local socket, which asks for none. */
  readonly grant?: string
  /** In the words of the caller; absent when there are none. */
  readonly reason?: string
  /** That begins with this entry: what was decided under an earlier one does not follow it. */
  readonly epoch: number
}

/** From here on nothing is issued for it, or by it. */
export interface RevocationMade extends EntryOf<'revocation.made'>, RevocationOnRecord {
  readonly revoked: RevokedOnRecord
}

/** From here on it is as if it had not been revoked, unless another revocation stands for it. */
export interface RevocationLifted extends EntryOf<'revocation.lifted'>, RevocationOnRecord {}

/** A certificate and key that were proven to belong together, and are used from now on. */
export interface CertificateLoaded extends EntryOf<'certificate.loaded'> {
  readonly certificate: string
  /** It signs when the other one of the name cannot; otherwise absent. */
  readonly standby?: true
  readonly keyId: string
  /** base64url of SHA-256 over the DER (`x5t#S256`). */
  readonly thumbprintSha256: string
  readonly notAfterSeconds: number
  /** base64 of the DER: with it every `signature.proved` can be checked without asking anybody. */
  readonly der: string
}

/** Of the two that a name may stand for. */
export type CertificatePlace = 'primary' | 'standby'

/** From here on another one of the pair signs for the application: one line for a switch, not for a signature. */
export interface CertificateSwitched extends EntryOf<'certificate.switched'> {
  readonly certificate: string
  readonly application: string
  readonly from: CertificatePlace
  readonly to: CertificatePlace
  /** Of the one that signs now. */
  readonly keyId: string
  /** Code of what the other one failed with, or was refused for; `SERVES_AGAIN` when it did not. */
  readonly reason: string
}

/** A key that signs heads from here on: with it they can be checked without asking anybody. */
export interface HeadKeyLoaded extends EntryOf<'head.key-loaded'> {
  /** `https://{vault}/keys/{name}/{version}`. */
  readonly keyId: string
  /** The public half as a JWK (RFC 7517). Whoever could write the ledger anew could put another one here. */
  readonly publicKey: { readonly kty: 'RSA'; readonly n: string; readonly e: string }
}

/** What the ledger held up to an entry, signed: whoever keeps it elsewhere sees if that is ever changed. */
export interface HeadSigned extends EntryOf<'head.signed'> {
  readonly signature: string
  /** Of the last entry that the head stands for, with all before it. */
  readonly sequence: number
  /** Compact JWS (RFC 7515 §7.1) whose type is none that a verifier of assertions takes. */
  readonly head: string
}

/** What came before was removed from this ledger, up to an entry that somebody else held a head of. */
export interface LedgerPruned extends EntryOf<'ledger.pruned'> {
  readonly from: number
  readonly upTo: number
  /** Of the last one that was removed, base64url. */
  readonly hash: string
  readonly heldBy: 'anchor' | 'witness'
  /** Who pruned, as the machine and the database name them. */
  readonly by: string
  /** Of the file that holds what was removed; absent: there is none. */
  readonly exportSha256?: string
  /** Of what stands at the beginning instead. */
  readonly cutSha256: string
}

export interface ServiceStarted extends EntryOf<'service.started'> {
  readonly version: string
}

export interface ServiceStopped extends EntryOf<'service.stopped'> {
  /** Signatures whose assertions still lived, so that they will never be proved. */
  readonly unproved: number
}

/**
 * Requests of one minute that are counted instead of listed, so that nobody can fill the ledger: those of
 * strangers, and those of granted callers that were refused before anybody was asked, again and again.
 */
export interface ServiceTurnedAway extends EntryOf<'service.turned-away'> {
  readonly reason: string
  /** Absent when the token did not name a known issuer. */
  readonly issuer?: string
  readonly count: number
  readonly minuteStartMs: number
}

/**
 * Somebody was told what is in this ledger. The first time in ten minutes is a line of its own, written before;
 * what follows of the same kind by the same caller is one line when they are over. So `times` of all lines together
 * is how often, and reading the ledger again and again does not make it longer each time.
 */
export interface AuditRead extends EntryOf<'audit.read'> {
  /** The last one that is counted here. */
  readonly attempt: string
  /** Of a person who has signed in, `issuer` is the URL of who vouches: no issuer of callers is called so. */
  readonly caller: CallerOnRecord
  /** That lets the caller do so; absent of a person, whom the configuration names. */
  readonly grant?: string
  /** `entries`: a page of them; `attempt`: the story of one; `report`: the report page. */
  readonly read: 'entries' | 'attempt' | 'report'
  /** At least 1. */
  readonly times: number
}
