import { describe, expect, test } from 'vitest'
import { instantNow, laterBy } from '../../../src/base/clock.ts'
import { newAttemptId, newSignatureId } from '../../../src/base/ids.ts'
import { Secret } from '../../../src/base/secret.ts'
import { createInternalAssertions } from '../../../src/issuance/internal-assertions.ts'
import type { SigningCredential } from '../../../src/issuance/credentials.ts'
import type { AdmittedAttempt } from '../../../src/issuance/issuance-deps.ts'
import type { SignedAssertion } from '../../../src/issuance/sign-assertion.ts'
import { keyId } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { deploy, events, fabrikam, northwind } from '../../support/grants.ts'

/** What is looked at of an attempt, with changes. */
const attemptOf = ({ application = events, tenant = fabrikam } = {}) =>
  ({ attempt: newAttemptId(), application: { name: application }, tenant }) as AdmittedAttempt

/** What is looked at of a credential. */
const credentialOf = (key: string) => ({ key: { keyId: key } }) as SigningCredential

function newAssertions(youngSeconds = 60) {
  const clock = fixedClock(1_000_000)
  const assertions = createInternalAssertions({ clock, youngSeconds })
  let signatures = 0
  const signed = (): SignedAssertion => ({
    signatureId: newSignatureId(),
    keyId,
    compact: new Secret('header.payload.signature'),
    expiresAtSeconds: clock.nowSeconds() + 300,
    expiry: laterBy(300_000, instantNow(clock)),
    made: {
      kind: 'signature.made',
      atMs: clock.nowMs(),
      signature: 'signature',
      vaultRequestId: 'request',
      signatureSha256: 'sha256',
    },
  })
  const sign = () => {
    signatures += 1
    return Promise.resolve(signed())
  }
  const obtain = (admitted = attemptOf(), key: string = keyId) =>
    assertions.obtain(admitted, credentialOf(key), sign)
  return { clock, assertions, obtain, signed, signatures: () => signatures }
}

describe('an internal assertion', () => {
  test('is signed once for all who come at once, and says whose signature it is', async () => {
    const { obtain, signatures } = newAssertions()
    const attempts = Array.from({ length: 100 }, () => attemptOf())
    const obtained = await Promise.all(attempts.map((one) => obtain(one)))
    expect(new Set(obtained).size).toBe(1)
    expect(obtained[0]).toMatchObject({ attempt: attempts[0]?.attempt, uses: 100 })
    expect(signatures()).toBe(1)
  })

  test('serves while it is young, and not after', async () => {
    const { clock, obtain } = newAssertions()
    const first = await obtain()
    clock.advance(59)
    expect(await obtain()).toBe(first)
    clock.advance(1)
    expect(await obtain()).not.toBe(first)
  })

  test('is not young for longer because the clock of the machine is set back', async () => {
    const { clock, obtain } = newAssertions()
    const first = await obtain()
    clock.advance(60)
    clock.jump(-7200)
    expect(await obtain()).not.toBe(first)
  })

  test.for([
    ['application', { application: deploy }, keyId],
    ['tenant', { tenant: northwind }, keyId],
    ['key version', {}, keyId.replace('0', '1')],
  ] as const)('never serves another %s', async ([, changes, key]) => {
    const { obtain, signatures } = newAssertions()
    const first = await obtain()
    expect(await obtain(attemptOf(changes), key)).not.toBe(first)
    expect(signatures()).toBe(2)
  })

  test('is used once when none is to be used again, also by those who come at once', async () => {
    const { obtain, signatures } = newAssertions(0)
    const obtained = await Promise.all([obtain(), obtain()])
    expect(obtained.map(({ uses }) => uses)).toEqual([1, 1])
    expect(signatures()).toBe(2)
  })

  test('that cannot be signed fails all who waited, and nobody after them', async () => {
    const { assertions, obtain } = newAssertions()
    const failing = () => Promise.reject(new Error('away'))
    const waiting = [1, 2].map(() => assertions.obtain(attemptOf(), credentialOf(keyId), failing))
    for (const outcome of await Promise.allSettled(waiting)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: new Error('away') })
    }
    expect(await obtain()).toMatchObject({ uses: 1 })
  })

  test('is given to nobody any more once it is forgotten', async () => {
    const { assertions, obtain } = newAssertions()
    const first = await obtain()
    const other = await obtain(attemptOf({ tenant: northwind }))
    assertions.forget(first)
    expect(await obtain()).not.toBe(first)
    expect(await obtain(attemptOf({ tenant: northwind }))).toBe(other)
  })

  test('is dropped by what it is for, also while it is being signed', async () => {
    const { assertions, obtain, signed } = newAssertions()
    const { promise, resolve } = Promise.withResolvers<SignedAssertion>()
    const waiting = assertions.obtain(attemptOf(), credentialOf(keyId), () => promise)
    const other = await obtain(attemptOf({ application: deploy }))
    expect(assertions.drop(({ application }) => application === events)).toBe(1)
    const fresh = await obtain()
    resolve(signed())
    const old = await waiting
    expect(old).not.toBe(fresh)
    expect(await obtain()).toBe(fresh)
    expect(await obtain(attemptOf({ application: deploy }))).toBe(other)
  })

  test('does not stay in memory when it is old and others come', async () => {
    const { clock, assertions, obtain } = newAssertions()
    await obtain()
    await obtain(attemptOf({ tenant: northwind }))
    clock.advance(60)
    await obtain(attemptOf({ application: deploy }))
    expect(assertions.drop(() => true)).toBe(1)
  })
})
