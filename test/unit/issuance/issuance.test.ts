import { describe, expect, test } from 'vitest'
import { newAttemptId, parseCloud, parseIssuerName } from '../../../src/base/ids.ts'
import { type Caller, CallerError } from '../../../src/caller/caller.ts'
import { createCallerSlots } from '../../../src/caller/caller-slots.ts'
import { issueToken } from '../../../src/issuance/issuance.ts'
import type { IssuanceDeps } from '../../../src/issuance/issuance-deps.ts'
import { createKnownUses } from '../../../src/issuance/known-uses.ts'
import { NothingProven } from '../../../src/issuance/nothing-proven.ts'
import type { Entry, RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { type AppendCondition, LedgerError, TokenUseDenied } from '../../../src/ledger/ledger.ts'
import { noRevocations } from '../../../src/ledger/standing-revocations.ts'
import { revocationsFrom, stopping } from '../../../src/revocation/revocation.ts'
import { keyId, obtainedToken, tokenKey } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import type { CachedToken, HeldToken, Patience } from '../../../src/token-cache/token-cache.ts'
import { grantName } from '../../support/grants.ts'
import { required } from '../../support/required.ts'

/** What no real start lets a test choose: when exactly the certificate is proven. */

const clock = fixedClock(1_790_000_000)
const { application, clientId, tenant, scope } = tokenKey()
const caller: Caller = {
  issuer: required(parseIssuerName('cluster')),
  subject: 'orders',
  claims: {},
  tokenSha256: 'none',
  tokenId: 'none',
  expiresAtSeconds: 1_790_003_600,
}
const credential = { key: { keyId } }
const decision = { ok: true, grant: grantName('orders') } as const

interface Start {
  /** Where nobody has the token, this is asked first; what is proven afterwards. */
  readonly provenBehindLooking: readonly unknown[]
  /** What is heard of while the token is written down; absent: nothing. */
  readonly revokedBehind?: RevokedOnRecord
  /** What is otherwise by the first configuration; absent: nothing. */
  readonly configuredBefore?: Partial<IssuanceDeps>
  /** What is otherwise by the configuration that comes into force while the token is written down; absent: none does. */
  readonly configuredBehind?: Partial<IssuanceDeps>
  /** How long the ledger takes to write something; absent: no time. */
  readonly commitSeconds?: number
  /** How the ledger rejects what has a condition; absent: it does not. */
  readonly rejectsWith?: LedgerError
}

/** What is written down, and what comes of it. */
async function issueAtStart({ provenBehindLooking, ...start }: Start) {
  const {
    revokedBehind,
    configuredBefore,
    configuredBehind,
    rejectsWith,
    commitSeconds = 0,
  } = start
  let hasLooked = false
  const token = obtainedToken(clock)
  const written: Entry[] = []
  let rejections = 0
  let usesTaken = 0
  let stands = revocationsFrom(noRevocations)
  const deps = {
    clock,
    isInForce: () => inForce === deps,
    cloud: required(parseCloud('https://login.microsoftonline.com')),
    callers: { known: () => caller },
    callerSlots: createCallerSlots(() => 1),
    decide: () => decision,
    foresee: () => decision,
    foreseeUnrevoked: () => decision,
    revocations: { current: () => stands },
    applications: new Map([[application, { name: application, clientId, keyIdsBegin: [keyId] }]]),
    sharedAudienceIssuers: new Set(),
    onceIssuers: new Set([caller.issuer]),
    knownUses: createKnownUses(),
    credentials: { current: () => (hasLooked ? provenBehindLooking : []) },
    cache: {
      // It is there once somebody can sign.
      get: () => (hasLooked && provenBehindLooking.length > 0 ? token : undefined),
      obtain: (_wish: unknown, _keyId: unknown, fetch: () => Promise<never>) => {
        hasLooked = true
        return fetch()
      },
    },
    ledger: {
      healthy: () => true,
      isFull: () => false,
      append: (entries: readonly Entry[], condition?: AppendCondition) => {
        if (condition !== undefined && rejectsWith !== undefined) {
          rejections += 1
          return Promise.reject(rejectsWith)
        }
        written.push(...entries)
        clock.advance(commitSeconds)
        if (condition?.tokenUse !== undefined) usesTaken += 1
        if (configuredBehind !== undefined && inForce === deps) {
          inForce = { ...deps, isInForce: () => true, ...configuredBehind }
        }
        if (revokedBehind !== undefined) stands = { ...stands, ...stopping([revokedBehind]) }
        return Promise.resolve()
      },
    },
    turnedAway: { count: () => undefined },
    failureLines: { mayWrite: () => true },
    events: {
      cacheAsked: () => undefined,
      tokenIssued: () => undefined,
      turnedAway: () => undefined,
      refused: () => undefined,
    },
    ...configuredBefore,
  } as unknown as IssuanceDeps
  let inForce = deps
  const request = {
    attempt: newAttemptId(),
    proofs: { target: { method: 'POST', path: '/v1/token' } },
    ask: { want: 'token', application, tenant, scope },
    claims: { isCapable: false },
    gone: () => new AbortController().signal,
  } as const
  const outcome: unknown = await issueToken(request, () => inForce).catch((error: unknown) => error)
  return { outcome, written, kinds: written.map(({ kind }) => kind), rejections, usesTaken }
}

describe('while the start proves certificates', () => {
  test('whoever comes before that, and is looked for behind it, is served', async () => {
    const { outcome } = await issueAtStart({ provenBehindLooking: [credential] })
    expect(outcome).toMatchObject({ ok: true })
  })

  test('whoever is looked for before that is told to come again', async () => {
    const { outcome } = await issueAtStart({ provenBehindLooking: [] })
    expect(outcome).toEqual({ ok: false, refusal: { reason: 'not_ready' } })
  })
})

describe('a revocation that is heard of once the token is written down', () => {
  const issueBeside = (revokedBehind: RevokedOnRecord) =>
    issueAtStart({ provenBehindLooking: [credential], revokedBehind })

  test.each<RevokedOnRecord>([
    { what: 'caller', issuer: 'cluster', subject: 'orders' },
    { what: 'grant', grant: 'orders' },
    { what: 'tenant', tenant },
    { what: 'key-version', keyId },
  ])('keeps the token from whom it stops: $what', async (revoked) => {
    const { outcome, kinds } = await issueBeside(revoked)
    expect(outcome).toEqual({ ok: false, refusal: { reason: 'revoked' } })
    expect(kinds).toEqual(['token.issued', 'request.refused'])
  })

  test('keeps it from nobody else', async () => {
    const { outcome, kinds } = await issueBeside({ what: 'grant', grant: 'invoices' })
    expect(outcome).toMatchObject({ ok: true })
    expect(kinds).toEqual(['token.issued'])
  })
})

test('whoever is looked for, and finds its token gone with the key version that was stopped, hears of that', async () => {
  let looks = 0
  const { outcome, kinds } = await issueAtStart({
    provenBehindLooking: [credential],
    configuredBefore: {
      credentials: { current: () => [credential] },
      revocations: {
        current: () => ({
          ...revocationsFrom(noRevocations),
          ...stopping([{ what: 'key-version', keyId }]),
        }),
      },
      cache: {
        get: () => {
          looks += 1
          return looks === 1 ? obtainedToken(clock) : undefined
        },
        obtain: (_wish: unknown, _keyId: unknown, fetch: () => Promise<never>) => fetch(),
      },
      duty: { inOrder: (_name: unknown, credentials: unknown) => credentials },
      underWay: { during: (act: () => unknown) => act() },
    } as unknown as Partial<IssuanceDeps>,
  })
  expect(outcome).toEqual({ ok: false, refusal: { reason: 'revoked' } })
  expect(kinds).toEqual(['request.granted', 'request.refused'])
})

test('a token that came by a certificate which the application has no longer is given to nobody, and obtained anew', async () => {
  const keyIdOf = (name: string) => `https://contoso-hsm.vault.azure.net/keys/${name}/1`
  const held = [
    { key: tokenKey(), grant: grantName('orders'), keyId: keyIdOf('gone') },
    {
      key: tokenKey({ application: 'deploy' }),
      grant: grantName('orders'),
      keyId: keyIdOf('gone'),
    },
    { key: tokenKey(), grant: grantName('orders'), keyId: keyIdOf('here') },
  ]
  const dropped: (readonly boolean[])[] = []
  const { outcome, written } = await issueAtStart({
    provenBehindLooking: [credential],
    configuredBefore: {
      credentials: { current: () => [credential] },
      applications: new Map([
        [
          application,
          { name: application, clientId, keyIdsBegin: [keyIdOf('HERE').toLowerCase()] },
        ],
      ]),
      cache: {
        get: () =>
          obtainedToken(clock, {
            text: dropped.length === 0 ? 'of the one before' : 'of this one',
            keyId: keyIdOf(dropped.length === 0 ? 'gone' : 'Here'),
          }),
        dropHere: (matches: (one: HeldToken) => boolean) => dropped.push(held.map(matches)),
      },
    } as unknown as Partial<IssuanceDeps>,
  })
  expect(dropped).toEqual([[true, false, false]])
  expect(outcome).toMatchObject({ ok: true })
  expect(written).toMatchObject([{ kind: 'token.issued', tokenSha256: 'sha256 of of this one' }])
})

test('a token of the next configuration is not dropped by the one before', async () => {
  let drops = 0
  const { outcome } = await issueAtStart({
    provenBehindLooking: [credential],
    configuredBefore: {
      isInForce: () => false,
      credentials: { current: () => [credential] },
      applications: new Map([[application, { name: application, clientId, keyIdsBegin: [] }]]),
      cache: {
        get: () => obtainedToken(clock),
        drop: () => (drops += 1),
        dropHere: () => (drops += 1),
      },
    } as unknown as Partial<IssuanceDeps>,
  })
  expect(outcome).toMatchObject({ code: 'LEDGER_OVERTAKEN' })
  expect(drops).toBe(0)
})

test.each([
  [0, ['old'], 3300],
  [1, ['old', 'young'], 3599],
])(
  'a token with the least that it may live, whose commit takes %d s, has that when it is given',
  async (commitSeconds, issued, expiresInSeconds) => {
    const old = obtainedToken(clock, { text: 'old' })
    clock.advance(300)
    const minRemainingSeconds = 3300
    const ends = (token: CachedToken) => token.expiresAtSeconds - clock.nowSeconds()
    let young: CachedToken | undefined
    const { outcome, written } = await issueAtStart({
      provenBehindLooking: [credential],
      commitSeconds,
      configuredBefore: {
        credentials: { current: () => [credential] },
        cache: {
          minRemainingSeconds,
          get: () => {
            if (ends(old) >= minRemainingSeconds) return old
            young ??= obtainedToken(clock, { text: 'young' })
            return young
          },
        },
      } as unknown as Partial<IssuanceDeps>,
    })
    expect(outcome).toMatchObject({ ok: true, expiresInSeconds })
    expect(written).toMatchObject(
      issued.map((text) => ({ kind: 'token.issued', tokenSha256: `sha256 of ${text}` })),
    )
  },
)

test('another configuration that comes into force meanwhile decides anew, of the same use of the token', async () => {
  const { outcome, kinds, usesTaken } = await issueAtStart({
    provenBehindLooking: [credential],
    configuredBehind: {},
  })
  expect(outcome).toMatchObject({ ok: true })
  expect(kinds).toEqual(['token.issued', 'token.issued'])
  expect(usesTaken).toBe(1)
})

describe('a token that is written down, and is not given by the configuration that comes behind it', () => {
  const issueBefore = (configuredBehind: Partial<IssuanceDeps>) =>
    issueAtStart({ provenBehindLooking: [credential], configuredBehind })
  const unproven = (identify: () => Promise<unknown>) =>
    ({ callers: { known: () => undefined, identify } }) as unknown as Partial<IssuanceDeps>

  const nothingThere = {
    credentials: { current: () => [] },
    cache: { get: () => undefined, obtain: () => Promise.reject(new NothingProven()) },
  } as unknown as Partial<IssuanceDeps>

  test.each<readonly [string, Partial<IssuanceDeps>]>([
    [
      'caller_issuer_unknown',
      unproven(() => Promise.resolve({ ok: false, refusal: { reason: 'caller_issuer_unknown' } })),
    ],
    [
      'caller_not_named',
      { decide: () => ({ ok: false, refusal: { reason: 'caller_not_named' } }) as never },
    ],
    ['not_ready', nothingThere],
  ])('is followed by why: %s', async (reason, configuredBehind) => {
    const { outcome, written } = await issueBefore(configuredBehind)
    expect(outcome).toMatchObject({ ok: false, refusal: { reason } })
    expect(written).toMatchObject([{ kind: 'token.issued' }, { kind: 'request.refused', reason }])
  })

  test('is followed by why where its caller token is good for one request from then on', async () => {
    const onceIssuers = new Set([caller.issuer])
    const knownUses = createKnownUses()
    const denial = { ok: false, why: 'spent' } as const
    knownUses.denialOf = () => denial
    const { outcome, written } = await issueAtStart({
      provenBehindLooking: [credential],
      configuredBefore: { onceIssuers: new Set() },
      configuredBehind: { onceIssuers, knownUses },
    })
    const reason = 'caller_token_replayed'
    expect(outcome).toMatchObject({ ok: false, refusal: { reason } })
    expect(written).toMatchObject([{ kind: 'token.issued' }, { kind: 'request.refused', reason }])
  })

  test('is followed by the failure where nobody can tell who the caller is', async () => {
    const away = new CallerError('ISSUER_UNREACHABLE', caller.issuer)
    const { outcome, written } = await issueBefore(unproven(() => Promise.reject(away)))
    expect(outcome).toBe(away)
    expect(written).toMatchObject([
      { kind: 'token.issued' },
      { kind: 'request.failed', code: 'ISSUER_UNREACHABLE' },
    ])
  })
})

test('what an attempt waits for ends by one deadline, however often it is decided', async () => {
  const waits: number[] = []
  const obtain = (_wish: unknown, _keyId: unknown, _fetch: unknown, { timeoutMs }: Patience) => {
    waits.push(timeoutMs)
    clock.advance(20)
    return Promise.reject(new LedgerError('LEDGER_OVERTAKEN'))
  }
  await issueAtStart({
    provenBehindLooking: [credential],
    configuredBefore: {
      credentials: { current: () => [credential] },
      cache: { get: () => undefined, obtain },
      duty: { inOrder: () => [credential] },
    } as unknown as Partial<IssuanceDeps>,
  })
  expect(waits.slice(0, 3)).toEqual([25_000, 5000, 2000])
})

describe('an attempt that the ledger does not take', () => {
  const issueRejected = (rejectsWith: LedgerError) =>
    issueAtStart({ provenBehindLooking: [credential], rejectsWith })

  test('is decided again while it is overtaken, and ends in the ledger when that goes on', async () => {
    const overtaken = new LedgerError('LEDGER_OVERTAKEN')
    const { outcome, written, rejections } = await issueRejected(overtaken)
    expect(outcome).toBe(overtaken)
    expect(rejections).toBe(10)
    expect(written).toMatchObject([
      { kind: 'request.failed', code: 'LEDGER_OVERTAKEN', grant: 'orders' },
    ])
  })

  test.each([
    [{ ok: false, why: 'spent' }, { reason: 'caller_token_replayed' }],
    [{ ok: false, why: 'elsewhere' }, { reason: 'assertions_elsewhere' }],
    [
      { ok: false, why: 'full', retryAfterSeconds: 7 },
      { reason: 'token_uses_full', retryAfterSeconds: 7 },
    ],
  ] as const)('for its token is refused at once: %o', async (denial, refusal) => {
    const { outcome, written, rejections } = await issueRejected(new TokenUseDenied(denial))
    expect(outcome).toMatchObject({ ok: false, refusal })
    expect([written, rejections]).toEqual([[], 1])
  })
})
