import { describe, expect, test } from 'vitest'
import { type GrantName, newAttemptId } from '../../../src/base/ids.ts'
import type { SigningCredential } from '../../../src/issuance/credentials.ts'
import { dropRevoked } from '../../../src/issuance/drop-revoked.ts'
import { createInternalAssertions } from '../../../src/issuance/internal-assertions.ts'
import type { AdmittedAttempt } from '../../../src/issuance/issuance-deps.ts'
import type { SignedAssertion } from '../../../src/issuance/sign-assertion.ts'
import type { RevokedOnRecord } from '../../../src/ledger/entry.ts'
import { createRevocationsInForce } from '../../../src/revocation/revocations-in-force.ts'
import { roomyTokenCache } from '../../support/roomy-token-cache.ts'
import { keyId, obtainedToken, tokenKey } from '../../support/cached-tokens.ts'
import { revokedEntry } from '../../support/entries.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { applicationName, grantName } from '../../support/grants.ts'

const grant = grantName('orders')
const { application, tenant } = tokenKey()

/** What is looked at of an attempt and of a credential. */
const admitted = { attempt: newAttemptId(), application: { name: application }, tenant }
const credential = { key: { keyId } }

/** A token of the grant `orders` of the issuer `cluster`, and the assertion that it was obtained with. */
async function atHand() {
  const clock = fixedClock(1_000_000)
  const cache = roomyTokenCache(clock)
  const fetch = () => Promise.resolve(obtainedToken(clock))
  await cache.obtain({ key: tokenKey(), grant }, keyId, fetch, { timeoutMs: 60_000 })
  const assertions = createInternalAssertions({ clock, youngSeconds: 60 })
  await assertions.obtain(admitted as AdmittedAttempt, credential as SigningCredential, () =>
    Promise.resolve({ keyId } as SignedAssertion),
  )
  const revocations = createRevocationsInForce()
  return {
    watch: () => {
      const issuerOf = (name: GrantName) => (name === grant ? 'cluster' : undefined)
      dropRevoked({ revocations, cache, assertions, issuerOf })
    },
    hear: (revoked: RevokedOnRecord) => {
      revocations.heard({ epoch: 1, made: [{ ...revokedEntry('any', 1), revoked }] })
    },
    /** Once. */
    takeLeft: () => ({ tokens: cache.drop(() => true), assertions: assertions.drop(() => true) }),
  }
}

const other = {
  application: applicationName('deploy'),
  keyId: keyId.replace(/.$/, '1'),
  tenant: tokenKey({ tenant: 2 }).tenant,
}

describe('a revocation', () => {
  test.each<{
    readonly of: string
    readonly revoked: RevokedOnRecord
    readonly tokens: number
    readonly assertions: number
  }>([
    {
      of: 'its application',
      revoked: { what: 'application', application },
      tokens: 0,
      assertions: 0,
    },
    { of: 'its tenant', revoked: { what: 'tenant', tenant }, tokens: 0, assertions: 0 },
    { of: 'its key version', revoked: { what: 'key-version', keyId }, tokens: 0, assertions: 0 },
    // An assertion is of no grant: whoever else may have it may have it still.
    { of: 'its grant', revoked: { what: 'grant', grant }, tokens: 0, assertions: 1 },
    { of: 'its issuer', revoked: { what: 'issuer', issuer: 'cluster' }, tokens: 0, assertions: 1 },
    // Nor does a token name its caller.
    {
      of: 'a caller',
      revoked: { what: 'caller', issuer: 'cluster', subject: 'api' },
      tokens: 1,
      assertions: 1,
    },
    {
      of: 'another application',
      revoked: { what: 'application', application: other.application },
      tokens: 1,
      assertions: 1,
    },
    {
      of: 'another tenant',
      revoked: { what: 'tenant', tenant: other.tenant },
      tokens: 1,
      assertions: 1,
    },
    {
      of: 'another key version',
      revoked: { what: 'key-version', keyId: other.keyId },
      tokens: 1,
      assertions: 1,
    },
    {
      of: 'another grant',
      revoked: { what: 'grant', grant: 'invoices' },
      tokens: 1,
      assertions: 1,
    },
    {
      of: 'another issuer',
      revoked: { what: 'issuer', issuer: 'github' },
      tokens: 1,
      assertions: 1,
    },
  ])(
    'of $of leaves $tokens tokens and $assertions assertions',
    async ({ revoked, tokens, assertions }) => {
      const { watch, hear, takeLeft } = await atHand()
      watch()
      hear(revoked)
      expect(takeLeft()).toEqual({ tokens, assertions })
    },
  )

  test('that stands already drops what is at hand then', async () => {
    const { watch, hear, takeLeft } = await atHand()
    hear({ what: 'tenant', tenant })
    watch()
    expect(takeLeft()).toEqual({ tokens: 0, assertions: 0 })
  })
})
