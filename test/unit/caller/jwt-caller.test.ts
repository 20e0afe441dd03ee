import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import type { CallerError, Identification } from '../../../src/caller/caller.ts'
import { createJsonFetcher } from '../../../src/caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from '../../../src/caller/jwt-caller.ts'
import {
  createIssuerKey,
  createStoppedClock,
  issuerName,
  signToken,
  startLoopbackIssuer,
  type LoopbackIssuer,
} from '../../support/caller-issuer.ts'

const audience = 'https://countersign.example'
const fetcher = createJsonFetcher()
const clock = createStoppedClock()
const now = clock.nowSeconds()
const key = createIssuerKey('k1')
let issuer: LoopbackIssuer

beforeAll(async () => {
  issuer = await startLoopbackIssuer(key)
})
afterAll(async () => {
  await issuer.close()
  await fetcher.close()
})

function createIdentifier() {
  const away: CallerError[] = []
  const identifier = createJwtCallerIdentifier({
    issuers: [
      {
        kind: 'oidc',
        name: issuerName('platform'),
        issuer: issuer.url,
        audience,
        algorithms: ['RS256'],
        require: [],
        maxTokenSeconds: 3600,
      },
    ],
    ownClientIds: [],
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => away.push(failure),
  })
  const identify = (token: string) => identifier.identify(new Secret(token))
  return { identify, away }
}

const claims = () => ({ iss: issuer.url, sub: 'job-1', aud: audience, iat: now, exp: now + 300 })

const reasonOf = (identification: Identification) =>
  identification.ok ? 'proven' : identification.refusal.reason

describe('createJwtCallerIdentifier', () => {
  it('proves a caller whose token the issuer signed for us', async () => {
    const { identify } = createIdentifier()
    const identification = await identify(await signToken(key, { ...claims(), team: 'billing' }))
    expect(identification).toMatchObject({
      ok: true,
      caller: { issuer: 'platform', subject: 'job-1', expiresAtSeconds: now + 300 },
    })
    expect(identification.ok && identification.caller.claims['team']).toBe('billing')
  })

  it('refuses the same claims under a signature of somebody else', async () => {
    const { identify } = createIdentifier()
    expect(reasonOf(await identify(await signToken(createIssuerKey('k1'), claims())))).toBe(
      'caller_signature_wrong',
    )
  })

  it('never asks an issuer that the settings do not name', async () => {
    const { identify } = createIdentifier()
    const before = issuer.asked.length
    const elsewhere = { ...claims(), iss: 'http://127.0.0.1:9' }
    expect(reasonOf(await identify(await signToken(key, elsewhere)))).toBe('caller_issuer_unknown')
    expect(issuer.asked).toHaveLength(before)
  })
})
