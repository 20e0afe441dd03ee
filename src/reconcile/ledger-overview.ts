import { z } from 'zod'
import { longLivedTokenSecondsMax, ordinaryTokenSecondsMax } from '../base/entra-token-life.ts'
import { parseJson } from '../base/parse-json.ts'
import { genesis } from '../ledger/chain.ts'
import type { Link, Row } from '../ledger/chain.ts'
import type { EntryKind } from '../ledger/entry.ts'
import { LedgerDatabaseError } from '../ledger/ledger-database-error.ts'
import { LedgerFileError } from '../ledger/ledger-file.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { FirstSoMany, LastSoMany, LongestLiving } from './bounded-lists.ts'
import type {
  AskerView,
  CertificateView,
  ListView,
  LiveAssertionView,
  LiveTokenView,
} from './report-view.ts'
import { SignatureTimes } from './signature-times.ts'

/** What a ledger says of who asked, what they were given, and what of it lives. */
export interface LedgerOverview {
  /** Its last entry, whatever the chain says of it. */
  readonly tip: Link
  readonly signatureTimes: SignatureTimes
  /** Who asked last comes first. */
  readonly askers: ListView<AskerView>
  /** Not over at that time: the last to end first. */
  readonly tokens: ListView<LiveTokenView>
  /** Usable at that time, or what was bought with them may be: the last to end first. */
  readonly assertions: ListView<LiveAssertionView>
  readonly certificates: readonly CertificateView[]
}

/** Callers, times what they asked for: about 1 KB each. */
const askersMax = 20_000
const certificatesMax = 500

const ordinaryMs = ordinaryTokenSecondsMax * 1000
const longLivedMs = longLivedTokenSecondsMax * 1000

/** No issuer may be called this. */
const serviceItself = 'countersign'
/** In whose name heads are signed. */
const headsOfLedger = 'the service, for heads of its ledger'

/** Later than anything of ours: a time that a page could not write. */
const timeForm = z.number().min(0).max(253_402_300_799_000)
const secondsForm = z.number().min(0).max(253_402_300_799)
const callerForm = z.object({ issuer: z.string(), subject: z.string() })
const askedForm = z.object({
  atMs: timeForm,
  attempt: z.string(),
  caller: callerForm,
  application: z.string(),
  tenant: z.string(),
  scope: z.string().exactOptional(),
})
const decidedForm = askedForm.extend({ grant: z.string() })
const ofKind = <Kind extends EntryKind>(kind: Kind) => ({ kind: z.literal(kind) })

const entryForm = z.discriminatedUnion('kind', [
  decidedForm.extend(ofKind('request.granted')),
  askedForm.extend(ofKind('request.refused')),
  decidedForm.extend(ofKind('request.failed')),
  decidedForm.extend({
    ...ofKind('token.issued'),
    tokenSha256: z.string(),
    expiresAtSeconds: secondsForm,
  }),
  decidedForm.extend({
    ...ofKind('assertion.issued'),
    assertionSha256: z.string(),
    expiresAtSeconds: secondsForm,
  }),
  z.object({
    ...ofKind('exchange.succeeded'),
    application: z.string(),
    tenant: z.string(),
    scope: z.string(),
    tokenSha256: z.string(),
    expiresAtSeconds: secondsForm,
  }),
  z.object({
    ...ofKind('signature.begun'),
    signature: z.string(),
    attempt: z.string(),
    application: z.string(),
    keyId: z.string(),
    purpose: z.string().exactOptional(),
  }),
  z.object({ ...ofKind('signature.made'), atMs: timeForm, signature: z.string() }),
  z.object({
    ...ofKind('certificate.loaded'),
    atMs: timeForm,
    certificate: z.string(),
    standby: z.literal(true).exactOptional(),
    keyId: z.string(),
    thumbprintSha256: z.string(),
    notAfterSeconds: secondsForm,
  }),
])

type SeenEntry = z.output<typeof entryForm>
type SeenOf<Kind extends SeenEntry['kind']> = Extract<SeenEntry, { readonly kind: Kind }>
type SeenEnd = SeenOf<'request.refused' | 'request.failed' | 'token.issued' | 'assertion.issued'>

/** These bytes are in an entry only as its member `kind` (RFC 8785): other rows need no parsing. */
const marks = entryForm.options.map(({ shape }) => Buffer.from(`"kind":"${shape.kind.value}"`))

/**
 * Reads the ledger once, a page of it in memory at a time. The chain is not verified, what is no entry is
 * passed over, and a damaged file is read up to the damage: whoever asks for this has the chain verified by
 * itself, and wants a page about a broken ledger most of all.
 *
 * @param nowMs As of when something lives.
 * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
 */
export async function readLedgerOverview(
  source: LedgerSource,
  nowMs: number,
): Promise<LedgerOverview> {
  const collector = new OverviewCollector(nowMs)
  try {
    for await (const page of source.pages()) {
      for (const row of page) collector.take(row)
    }
  } catch (error) {
    if (error instanceof LedgerFileError || error instanceof LedgerDatabaseError) throw error
    if (!(error instanceof Error)) throw error
  }
  return collector.overview()
}

/** Takes the rows of a ledger in order. */
export class OverviewCollector {
  readonly #nowMs: number
  readonly #signatureTimes = new SignatureTimes()
  readonly #askers = new FirstSoMany<Asked>(askersMax)
  readonly #tokens = new LongestLiving<LiveTokenView>()
  readonly #assertions = new LongestLiving<LiveAssertionView>()
  readonly #certificates = new FirstSoMany<SeenCertificate>(certificatesMax)
  readonly #callerOf = new LastSoMany<string>()
  readonly #begun = new LastSoMany<SeenOf<'signature.begun'>>()
  #tip: Link = genesis

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  take(row: Row): void {
    this.#tip = row
    const entry = entryIn(row)
    if (entry !== undefined) this.#see(entry)
  }

  overview(): LedgerOverview {
    return {
      tip: { sequence: this.#tip.sequence, hash: this.#tip.hash },
      signatureTimes: this.#signatureTimes,
      askers: this.#askers.list((one, other) => other.lastMs - one.lastMs),
      tokens: this.#tokens.list(),
      assertions: this.#assertions.list(),
      certificates: this.#certificates.list((one, other) => one.notAfterMs - other.notAfterMs)
        .shown,
    }
  }

  #see(entry: SeenEntry): void {
    switch (entry.kind) {
      case 'request.granted':
        this.#callerOf.set(entry.attempt, callerText(entry.caller))
        break
      case 'request.refused':
      case 'request.failed':
        this.#seeEnd(entry)
        break
      case 'token.issued':
        this.#seeEnd(entry)
        this.#seeToken(entry, callerText(entry.caller))
        break
      case 'assertion.issued':
        this.#seeEnd(entry)
        this.#seeAssertion(entry)
        break
      case 'exchange.succeeded':
        this.#seeToken(entry)
        break
      case 'signature.begun':
        this.#begun.set(entry.signature, entry)
        break
      case 'signature.made':
        this.#seeSignature(entry)
        break
      case 'certificate.loaded':
        this.#seeCertificate(entry)
        break
    }
  }

  /** What the service refreshes by itself ends without anybody who asked. */
  #seeEnd(entry: SeenEnd): void {
    const { caller, application, tenant, scope, atMs } = entry
    if (caller.issuer === serviceItself) return
    const key = JSON.stringify([caller.issuer, caller.subject, application, tenant, scope])
    const asked = this.#askers.at(key, () => ({
      issuer: caller.issuer,
      subject: caller.subject,
      application,
      tenant,
      ...(scope === undefined ? {} : { scope }),
      issued: 0,
      refused: 0,
      failed: 0,
      lastMs: 0,
    }))
    if (asked === undefined) return
    if (entry.kind === 'request.refused') asked.refused += 1
    else if (entry.kind === 'request.failed') asked.failed += 1
    else asked.issued += 1
    if ('grant' in entry) asked.grant = entry.grant
    asked.lastMs = Math.max(asked.lastMs, atMs)
  }

  #seeToken(entry: SeenOf<'token.issued' | 'exchange.succeeded'>, lastGivenTo?: string): void {
    const { tokenSha256, application, tenant, scope = '', expiresAtSeconds } = entry
    const expiresMs = expiresAtSeconds * 1000
    if (expiresMs <= this.#nowMs) return
    const given = lastGivenTo === undefined ? {} : { lastGivenTo }
    this.#tokens.put(tokenSha256, { tokenSha256, application, tenant, scope, expiresMs, ...given })
  }

  #seeAssertion(entry: SeenOf<'assertion.issued'>): void {
    const { assertionSha256, application, tenant, caller, expiresAtSeconds } = entry
    const expiresMs = expiresAtSeconds * 1000
    if (expiresMs + longLivedMs <= this.#nowMs) return
    this.#assertions.put(assertionSha256, {
      assertionSha256,
      application,
      tenant,
      givenTo: callerText(caller),
      expiresMs,
      tokensUntilMs: expiresMs + ordinaryMs,
      longLivedTokensUntilMs: expiresMs + longLivedMs,
    })
  }

  #seeSignature({ signature, atMs }: SeenOf<'signature.made'>): void {
    const begun = this.#begun.take(signature)
    if (begun === undefined) return
    const caller =
      begun.purpose === 'head'
        ? headsOfLedger
        : (this.#callerOf.get(begun.attempt) ?? 'a caller that the ledger does not name')
    this.#signatureTimes.add(atMs, caller, begun.application)
    for (const certificate of this.#certificates.all()) {
      if (certificate.keyId !== begun.keyId) continue
      certificate.signatures += 1
      certificate.lastSignatureMs = atMs
    }
  }

  #seeCertificate(entry: SeenOf<'certificate.loaded'>): void {
    const { certificate: name, keyId, thumbprintSha256, standby, notAfterSeconds, atMs } = entry
    const place = standby === true ? 'standby' : 'primary'
    this.#certificates.at(JSON.stringify([name, place, keyId, thumbprintSha256]), () => ({
      name,
      keyId,
      thumbprintSha256,
      place,
      notAfterMs: notAfterSeconds * 1000,
      sinceMs: atMs,
      signatures: 0,
    }))
  }
}

interface Asked extends AskerView {
  issued: number
  refused: number
  failed: number
  grant?: string
  lastMs: number
}

interface SeenCertificate extends CertificateView {
  signatures: number
  lastSignatureMs?: number
}

/** A name that is told apart from any other by both parts of it. */
const callerText = ({ issuer, subject }: z.output<typeof callerForm>): string =>
  issuer === serviceItself && subject === 'refresh'
    ? 'the service itself, ahead of need'
    : `${subject} (${issuer})`

/** Undefined for what is not looked at, and for what is no entry. */
function entryIn({ canonical }: Row): SeenEntry | undefined {
  const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
  if (!marks.some((mark) => bytes.includes(mark))) return undefined
  return entryForm.safeParse(parseJson(bytes.toString())).data
}
