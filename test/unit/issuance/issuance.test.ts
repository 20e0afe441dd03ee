import { describe, expect, test } from 'vitest'
import { newAttemptId, parseCloud, parseIssuerName } from '../../../src/base/ids.ts'
import type { Caller } from '../../../src/caller/caller.ts'
import { createCallerSlots } from '../../../src/issuance/caller-slots.ts'
import { issueToken } from '../../../src/issuance/issuance.ts'
import type { IssuanceDeps } from '../../../src/issuance/issuance-deps.ts'
import type { Entry, RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { noRevocations } from '../../../src/ledger/standing-revocations.ts'
import { revocationsFrom, stopping } from '../../../src/revocation/revocation.ts'
import { keyId, obtainedToken, tokenKey } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { grantName } from '../../support/grants.ts'
import { required } from '../../support/required.ts'

/** What no real start lets a test choose: when exactly the certificate is proven. */

const clock = fixedClock(1_790_000_000)
const { application, tenant, scope } = tokenKey()
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
}

/** What is written down, and what comes of it. */
async function issueAtStart({ provenBehindLooking, revokedBehind }: Start) {
  let hasLooked = false
  const token = obtainedToken(clock)
  const kinds: string[] = []
  let stands = revocationsFrom(noRevocations)
  const deps = {
    clock,
    cloud: required(parseCloud('https://login.microsoftonline.com')),
    callers: { known: () => caller },
    callerSlots: createCallerSlots(1),
    decide: () => decision,
    foresee: () => decision,
    foreseeUnrevoked: () => decision,
    revocations: { current: () => stands },
    applications: new Map([[application, { name: application }]]),
    sharedAudienceIssuers: new Set(),
    onceIssuers: new Set(),
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
      append: (entries: readonly Entry[]) => {
        kinds.push(...entries.map(({ kind }) => kind))
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
  } as unknown as IssuanceDeps
  const request = {
    attempt: newAttemptId(),
    proofs: { target: { method: 'POST', path: '/v1/token' } },
    ask: { want: 'token', application, tenant, scope },
    claims: { isCapable: false },
    gone: () => new AbortController().signal,
  } as const
  return { outcome: await issueToken(request, deps), kinds }
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
