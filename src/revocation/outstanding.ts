import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { longLivedTokenSecondsMax, ordinaryTokenSecondsMax } from '../base/entra-token-life.ts'
import { parseJson } from '../base/parse-json.ts'
import type { Row } from '../ledger/chain.ts'
import type { RevokedOnRecord } from '../ledger/entry.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { isRevoked, stopping } from './revocation.ts'

/** What was issued under something that is revoked, and may still be used: nobody here can take it back. */
export interface Outstanding {
  /** Each once, however often it was given; those that live longest, the last to end last. */
  readonly tokens: readonly OutstandingToken[]
  readonly tokenCount: number
  readonly assertions: readonly OutstandingAssertion[]
  readonly assertionCount: number
  /**
   * False when the ledger is so long that there was no time to read all of it that could matter, there are
   * more than are counted, or an entry is not what the service writes: then there may be others.
   */
  readonly complete: boolean
}

export interface OutstandingToken {
  readonly tokenSha256: string
  readonly application: string
  readonly tenant: string
  readonly scope: string
  readonly expiresAtSeconds: number
  /** Nobody here can say who else was given it before. Absent of a token that is told by its exchange. */
  readonly lastGivenTo?: { readonly issuer: string; readonly subject: string }
}

export interface OutstandingAssertion {
  readonly assertionSha256: string
  readonly application: string
  readonly tenant: string
  readonly givenTo: { readonly issuer: string; readonly subject: string }
  readonly expiresAtSeconds: number
  /** Until then an ordinary token that was bought with it may live. */
  readonly tokensUntilSeconds: number
  /** The same of one of a day, which whoever held the assertion could ask for. */
  readonly longLivedTokensUntilSeconds: number
}

/** Clocks of replicas differ, and an entry is older than what it says by a queue. */
const marginMs = 10 * 60_000

/** Of each kind. */
const listedMax = 1000
/** About 20 MB. */
const countedMax = 50_000

/** Whoever waits for it would rather know some of it. */
const readingMs = 8000

/**
 * Reads the ledger back from its end for as long as something in it may still live.
 *
 * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
 */
export async function findOutstanding(
  revoked: RevokedOnRecord,
  source: LedgerSource,
  clock: Clock,
): Promise<Outstanding> {
  const startedMs = clock.monotonicMs()
  const nowMs = clock.nowMs()
  const search = createSearch(revoked, nowMs / 1000)
  const oldestMs = nowMs - longLivedTokenSecondsMax * 1000 - marginMs
  for await (const page of source.pagesBackwards()) {
    const atMs = search.take(page)
    if (atMs !== undefined && atMs < oldestMs) break
    if (clock.monotonicMs() - startedMs > readingMs) return search.found(false)
    // A file is read at once; others have their turn.
    await nextTurn()
  }
  return search.found(true)
}

interface Search {
  /** Returns when the last row that says so was written. */
  take(page: readonly Row[]): number | undefined
  found(isRead: boolean): Outstanding
}

function createSearch(revoked: RevokedOnRecord, nowSeconds: number): Search {
  const tokens = new Map<string, OutstandingToken>()
  const assertions = new Map<string, OutstandingAssertion>()
  let isFull = false
  let isUnderstood = true
  const keep = <Item>(into: Map<string, Item>, sha256: string, item: Item) => {
    if (into.has(sha256)) return
    if (into.size < countedMax) into.set(sha256, item)
    else isFull = true
  }
  const judge = revoked.what === 'key-version' ? bySignature(revoked.keyId) : byFacts(revoked)
  const see = (entry: RelevantEntry) => {
    for (const one of judge(entry)) {
      if (one.kind === 'assertion.issued') {
        const assertion = assertionFrom(one)
        if (assertion.longLivedTokensUntilSeconds > nowSeconds) {
          keep(assertions, one.assertionSha256, assertion)
        }
      } else if (one.expiresAtSeconds > nowSeconds) keep(tokens, one.tokenSha256, tokenFrom(one))
    }
  }
  return {
    take: (page) => {
      for (const row of page) {
        const entry = relevantEntry(row)
        if (entry === 'not understood') isUnderstood = false
        else if (entry !== undefined) see(entry)
      }
      return atMsOf(page.at(-1))
    },
    found: (isRead) => ({
      tokens: lastToEnd([...tokens.values()]),
      tokenCount: tokens.size,
      assertions: lastToEnd([...assertions.values()]),
      assertionCount: assertions.size,
      complete: isRead && isUnderstood && !isFull,
    }),
  }
}

/** They were found from the last to the first. */
const lastToEnd = <Item extends { readonly expiresAtSeconds: number }>(found: readonly Item[]) =>
  found
    .toReversed()
    .sort((a, b) => a.expiresAtSeconds - b.expiresAtSeconds)
    .slice(-listedMax)

const tokenForm = z.object({
  application: z.string(),
  tenant: z.string(),
  scope: z.string().exactOptional(),
  tokenSha256: z.string(),
  expiresAtSeconds: z.number(),
})
const decisionForm = z.object({
  caller: z.object({ issuer: z.string(), subject: z.string() }),
  grant: z.string(),
})

const relevantForm = z.discriminatedUnion('kind', [
  tokenForm.extend({ ...decisionForm.shape, kind: z.literal('token.issued') }),
  decisionForm.extend({
    kind: z.literal('assertion.issued'),
    signature: z.string(),
    application: z.string(),
    tenant: z.string(),
    assertionSha256: z.string(),
    expiresAtSeconds: z.number(),
  }),
  tokenForm.extend({ kind: z.literal('exchange.succeeded'), signature: z.string() }),
  z.object({ kind: z.literal('signature.begun'), signature: z.string(), keyId: z.string() }),
])

type RelevantEntry = z.output<typeof relevantForm>
type RelevantOf<Kind extends RelevantEntry['kind']> = Extract<RelevantEntry, { kind: Kind }>
type Issued = Exclude<RelevantEntry, { kind: 'signature.begun' }>

/** What says by itself whose it is. */
function byFacts(revoked: RevokedOnRecord): (entry: RelevantEntry) => readonly Issued[] {
  const only = stopping([revoked])
  return (entry) => {
    if (entry.kind !== 'token.issued' && entry.kind !== 'assertion.issued') return []
    const { caller, grant, application, tenant } = entry
    const facts = { issuer: caller.issuer, subject: caller.subject, grant, application, tenant }
    return isRevoked(only, facts) ? [entry] : []
  }
}

/** What came of a signature stands behind its beginning, which is all that names the key: met last here. */
function bySignature(keyId: string): (entry: RelevantEntry) => readonly Issued[] {
  const waiting = new Map<string, Issued[]>()
  return (entry) => {
    if (entry.kind === 'token.issued') return []
    if (entry.kind !== 'signature.begun') {
      waiting.set(entry.signature, [...(waiting.get(entry.signature) ?? []), entry])
      return []
    }
    const came = waiting.get(entry.signature) ?? []
    waiting.delete(entry.signature)
    return entry.keyId === keyId ? came : []
  }
}

function tokenFrom(entry: RelevantOf<'token.issued' | 'exchange.succeeded'>): OutstandingToken {
  const { tokenSha256, application, tenant, scope = '', expiresAtSeconds } = entry
  const token = { tokenSha256, application, tenant, scope, expiresAtSeconds }
  if (entry.kind === 'exchange.succeeded') return token
  const { issuer, subject } = entry.caller
  return { ...token, lastGivenTo: { issuer, subject } }
}

function assertionFrom(entry: RelevantOf<'assertion.issued'>): OutstandingAssertion {
  const { assertionSha256, application, tenant, expiresAtSeconds, caller } = entry
  return {
    assertionSha256,
    application,
    tenant,
    givenTo: { issuer: caller.issuer, subject: caller.subject },
    expiresAtSeconds,
    tokensUntilSeconds: expiresAtSeconds + ordinaryTokenSecondsMax,
    longLivedTokensUntilSeconds: expiresAtSeconds + longLivedTokenSecondsMax,
  }
}

/** These bytes are in an entry only as its member `kind` (RFC 8785): most rows need no parsing. */
const relevantTexts = relevantForm.options.map(({ shape }) =>
  Buffer.from(`"kind":"${shape.kind.value}"`),
)

function relevantEntry({ canonical }: Row): RelevantEntry | 'not understood' | undefined {
  const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
  if (!relevantTexts.some((text) => bytes.includes(text))) return undefined
  return relevantForm.safeParse(parseJson(bytes.toString())).data ?? 'not understood'
}

const timeForm = z.object({ atMs: z.number() })

const atMsOf = (row: Row | undefined): number | undefined =>
  row && timeForm.safeParse(parseJson(Buffer.from(row.canonical).toString())).data?.atMs
