import { expect, test } from 'vitest'
import { createUnderWay } from '../../../src/base/under-way.ts'
import type { Application } from '../../../src/issuance/application.ts'
import { createCertificateDuty } from '../../../src/issuance/certificate-duty.ts'
import type { SigningCredential } from '../../../src/issuance/credentials.ts'
import type { InternalAssertion } from '../../../src/issuance/internal-assertions.ts'
import type { AdmittedAttempt, IssuanceDeps } from '../../../src/issuance/issuance-deps.ts'
import { beginWithGrant } from '../../../src/issuance/append-decided.ts'
import { createRevocationsInForce } from '../../../src/revocation/revocations-in-force.ts'
import { createTokenRefresher } from '../../../src/issuance/refresh-tokens.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { LedgerError } from '../../../src/ledger/ledger.ts'
import { roomyTokenCache } from '../../support/roomy-token-cache.ts'
import { keyId, obtainedToken, tokenKey } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'
import { events, grantName } from '../../support/grants.ts'

const count = 100

/** A cache in which this many tokens are due at once; signing waits until it is told to fail, and how. */
async function newRefresher(failure: Error = new TypeError('told to fail')) {
  const clock = fixedClock(1_000_000)
  const cache = roomyTokenCache(clock)
  const grant = grantName('orders')
  for (let tenant = 1; tenant <= count; tenant += 1) {
    const wish = { key: tokenKey({ tenant }), grant }
    const fetch = () => Promise.resolve(obtainedToken(clock))
    await cache.obtain(wish, keyId, fetch, { timeoutMs: 1000 })
    cache.get(wish)
  }
  clock.advance(1700)
  for (let tenant = 1; tenant <= count; tenant += 1) cache.get({ key: tokenKey({ tenant }), grant })
  clock.advance(1301)

  const entries: Entry[] = []
  const waiting: (() => void)[] = []
  const failed: string[] = []
  const deps = {
    clock,
    isInForce: () => true,
    cloud: tokenKey().cloud,
    cache,
    stillGiven: () => ({}),
    applications: new Map([
      [events, { name: events, clientId: tokenKey().clientId } as Application],
    ]),
    credentials: { current: () => [{ key: { keyId } } as SigningCredential] },
    duty: createCertificateDuty({ epochMs: () => clock.nowMs(), nowMs: () => clock.monotonicMs() }),
    // Entra knows the certificate, and has refused nothing.
    entraRefusals: {
      remembering: (_subject: unknown, _patienceMs: number, act: (probes: boolean) => unknown) =>
        act(false),
    },
    assertions: {
      obtain: async (admitted: AdmittedAttempt) => {
        if (failure instanceof LedgerError) await beginWithGrant(admitted, deps)
        return new Promise<InternalAssertion>((_, reject) => {
          waiting.push(() => {
            reject(failure)
          })
        })
      },
    },
    ledger: {
      append: (appended: readonly Entry[]) => {
        entries.push(...appended)
        return Promise.resolve()
      },
    },
    events: {
      refreshFailed: (attempt: string) => {
        failed.push(attempt)
      },
    },
    underWay: createUnderWay(),
    revocations: createRevocationsInForce(),
  } as unknown as IssuanceDeps
  return { refresher: createTokenRefresher(() => deps), entries, waiting, failed }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5))

test('refreshes a few at once, and the next as soon as one has ended', async () => {
  const { refresher, waiting } = await newRefresher()
  refresher.start()
  refresher.start()
  await settled()
  expect(waiting).toHaveLength(16)
  waiting.shift()?.()
  await settled()
  expect(waiting).toHaveLength(16)
})

test('tries each once, and writes down how each ended', async () => {
  const { refresher, entries, waiting, failed } = await newRefresher()
  refresher.start()
  for (let time = 0; time < count && failed.length < count; time += 1) {
    await settled()
    for (const fail of waiting.splice(0)) fail()
  }
  await refresher.idle()

  expect(new Set(failed).size).toBe(count)
  expect(entries.map(({ kind }) => kind)).toEqual(failed.map(() => 'request.failed'))
})

test('writes down that one which has begun was overtaken, because it is not decided again', async () => {
  const { refresher, entries, waiting } = await newRefresher(new LedgerError('LEDGER_OVERTAKEN'))
  refresher.start()
  await settled()
  const begun = required(entries[0])
  expect(begun.kind).toBe('request.granted')
  const stopping = refresher.stop()
  for (const fail of waiting.splice(0)) fail()
  await stopping
  expect(
    entries.filter(
      (entry) => 'attempt' in entry && 'attempt' in begun && entry.attempt === begun.attempt,
    ),
  ).toMatchObject([
    { kind: 'request.granted' },
    { kind: 'request.failed', code: 'LEDGER_OVERTAKEN' },
  ])
})

test('starts nothing once it is stopped, and waits for what is under way', async () => {
  const { refresher, waiting, failed } = await newRefresher()
  refresher.start()
  await settled()
  let isStopped = false
  const stopping = refresher.stop().then(() => {
    isStopped = true
  })
  await settled()
  expect(isStopped).toBe(false)
  for (const fail of waiting.splice(0)) fail()
  await stopping
  refresher.start()
  await settled()
  expect(waiting).toEqual([])
  expect(failed).toHaveLength(16)
})
