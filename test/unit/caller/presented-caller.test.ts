import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import type { Caller, PresentedProofs, TokenIdentifier } from '../../../src/caller/caller.ts'
import { createCertificateCallerIdentifier } from '../../../src/caller/certificate-caller.ts'
import { createCallerIdentifier } from '../../../src/caller/presented-caller.ts'
import { createMemoryUsedIds } from '../../../src/caller/used-ids.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { createClientCertificate } from '../../support/client-certificate.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

/** What is proven in each request anew is asked over real sockets: test/http. */

const clock = fixedClock(1_790_000_000)
const { der, x5tS256 } = await createClientCertificate()
const certificate = { chain: [new X509Certificate(der)] as const, sha256: x5tS256 }

const callerWith = (changes: Partial<Caller> = {}): Caller => ({
  issuer: issuerName('platform'),
  subject: 'job-1',
  claims: {},
  expiresAtSeconds: 1_790_000_300,
  ...changes,
})

/** Everybody is known by any token. */
function knownOf(presented: Partial<PresentedProofs>, caller = callerWith()) {
  const tokens: TokenIdentifier = {
    known: () => caller,
    identify: () => Promise.resolve({ ok: true, caller }),
  }
  const identifier = createCallerIdentifier({
    tokens,
    certificates: createCertificateCallerIdentifier({ issuers: [], clock }),
    boundTokens: new Map([[issuerName('bound'), 'either']]),
    publicUrl: 'https://countersign.example',
    clock,
    usedIds: createMemoryUsedIds(clock, 10),
  })
  const token = { scheme: 'Bearer', text: new Secret('a token') } as const
  const target = { method: 'POST', path: '/v1/token' }
  return identifier.known({ target, token, ...presented })
}

describe('who is known at once', () => {
  test('is whoever sends a bearer token that was verified, and nothing beside it', () => {
    const caller = callerWith()
    expect(knownOf({}, caller)).toBe(caller)
  })

  test.each<[string, Partial<PresentedProofs>]>([
    ['no token', { token: undefined }],
    ['a token that is sent as bound', { token: { scheme: 'DPoP', text: new Secret('a token') } }],
    ['a proof beside it', { dpopProof: 'a proof' }],
    ['a certificate beside it', { certificate }],
  ])('is not told of %s', (_what, presented) => {
    expect(knownOf(presented)).toBeUndefined()
  })

  test.each<[string, Partial<Caller>]>([
    ['is bound to a key', { claims: { cnf: { jkt: 'a thumbprint' } } }],
    ['is bound in a way that nobody knows', { claims: { cnf: null } }],
    ['should be bound', { issuer: issuerName('bound') }],
  ])('is not told of a token that %s', (_what, changes) => {
    expect(knownOf({}, callerWith(changes))).toBeUndefined()
  })
})
