import { describe, expect, test } from 'vitest'
import { newAttemptId, parseCloud, parseIssuerName } from '../../../src/base/ids.ts'
import type { Caller } from '../../../src/caller/caller.ts'
import { issueToken } from '../../../src/issuance/issuance.ts'
import type { IssuanceDeps } from '../../../src/issuance/issuance-deps.ts'
import { noRevocations } from '../../../src/ledger/standing-revocations.ts'
import { revocationsFrom } from '../../../src/revocation/revocation.ts'
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
}

async function issueAtStart({ provenBehindLooking }: Start) {
  let hasLooked = false
  const token = obtainedToken(clock)
  const deps = {
    clock,
    cloud: required(parseCloud('https://login.microsoftonline.com')),
    callers: { identify: () => Promise.resolve({ ok: true, caller }) },
    callerSlots: { enter: () => () => undefined },
    decide: () => decision,
    foresee: () => decision,
    foreseeUnrevoked: () => decision,
    revocations: { current: () => revocationsFrom(noRevocations) },
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
    ledger: { healthy: () => true, append: () => Promise.resolve() },
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
  return issueToken(request, deps)
}

describe('while the start proves certificates', () => {
  test('whoever comes before that, and is looked for behind it, is served', async () => {
    expect(await issueAtStart({ provenBehindLooking: [credential] })).toMatchObject({ ok: true })
  })

  test('whoever is looked for before that is told to come again', async () => {
    expect(await issueAtStart({ provenBehindLooking: [] })).toEqual({
      ok: false,
      refusal: { reason: 'not_ready' },
    })
  })
})
