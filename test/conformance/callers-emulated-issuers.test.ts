import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseClientId, parseTenantId, type ClientId, type TenantId } from '../../src/base/ids.ts'
import { Secret } from '../../src/base/secret.ts'
import type { CallerError, CallerIdentifier, Identification } from '../../src/caller/caller.ts'
import type { IssuerSettings } from '../../src/caller/issuer-settings.ts'
import { createJsonFetcher, type JsonFetcher } from '../../src/caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from '../../src/caller/jwt-caller.ts'
import { mintOrderSchema, type WrongToken } from '../../src/emulator/issuers/mint-order.ts'
import { issuerName } from '../support/caller-issuer.ts'
import { defaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { worldClock } from '../support/world-clock.ts'

/** Caller tokens minted by code that shares nothing with ours, fetched and proven over TLS. */

const audience = 'https://countersign.contoso.example'
const fabrikam = parseTenantId('fab00000-0000-4000-8000-000000000002') as TenantId
const events = parseClientId('11111111-0000-4000-8000-000000000001') as ClientId
const kinds = ['github', 'gitlab', 'kubernetes', 'azure-devops'] as const
type Kind = (typeof kinds)[number]
const namesInWorld = {
  github: 'github',
  gitlab: 'gitlab',
  kubernetes: 'cluster',
  'azure-devops': 'devops',
} as const

let emulator: TestEmulator
let fetcher: JsonFetcher
beforeAll(async () => {
  emulator = await startTestEmulator({
    world: {
      ...defaultWorld,
      issuers: [...defaultWorld.issuers, { name: 'customers', kind: 'entra-b2c', claims: {} }],
    },
  })
  fetcher = createJsonFetcher({ caCertificates: [emulator.ca] })
})
afterAll(async () => {
  await fetcher.close()
  await emulator.stop()
})

const pinned = { audience, algorithms: ['RS256'], require: [] } as const

function settings(): readonly IssuerSettings[] {
  const { authority } = emulator.endpoints
  const openId = kinds.map((kind) => ({
    ...pinned,
    kind,
    name: issuerName(namesInWorld[kind]),
    issuer: issuerOf(kind).url,
    maxTokenSeconds: 3600,
  }))
  const entra = {
    ...pinned,
    kind: 'entra',
    name: issuerName('platform'),
    authority,
    authorityV1: authority,
    tenants: [fabrikam],
    maxTokenSeconds: 90_000,
  } as const
  const mesh = {
    ...pinned,
    kind: 'spiffe',
    name: issuerName('mesh'),
    trustDomain: 'fabrikam.example',
    bundleUrl: `${required(emulator.issuers.find('mesh')).url}/bundle`,
    maxTokenSeconds: 3600,
  } as const
  const customers = {
    ...pinned,
    kind: 'entra-b2c',
    name: issuerName('customers'),
    issuer: required(emulator.issuers.find('customers')).url,
    policy: 'b2c_1_signin',
    maxTokenSeconds: 3600,
  } as const
  return [...openId, entra, mesh, customers]
}

function issuerOf(kind: Kind) {
  const issuer = emulator.issuers.find(namesInWorld[kind])
  if (issuer === undefined) throw new TypeError(`the default world has an issuer of kind ${kind}`)
  return issuer
}

function createIdentifier() {
  const away: CallerError[] = []
  const identifier = createJwtCallerIdentifier({
    issuers: settings(),
    ownClientIds: [events],
    clock: worldClock(emulator.clock),
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => away.push(failure),
  })
  return { identify: (token: string) => identifier.identify(new Secret(token)), away }
}

const mint = (kind: Kind, order: object = {}) =>
  issuerOf(kind).mint(mintOrderSchema.parse({ audience, ...order }))

const identify = (token: string): ReturnType<CallerIdentifier['identify']> =>
  createIdentifier().identify(token)

const reasonOf = (identification: Identification) =>
  identification.ok ? 'proven' : identification.refusal.reason

describe('callers of the emulated issuers', () => {
  it.each([
    ['github', 'repo:fabrikam/billing:environment:production'],
    ['gitlab', 'project_path:fabrikam/billing:ref_type:branch:ref:main'],
    ['kubernetes', 'system:serviceaccount:billing:export'],
    ['azure-devops', 'sc://fabrikam/billing/countersign'],
  ] as const)('are proven by the tokens of %s', async (kind, subject) => {
    expect(await identify(await mint(kind))).toMatchObject({
      ok: true,
      caller: { issuer: namesInWorld[kind], subject },
    })
  })

  it('are proven by tokens of GitHub that have ids in their subject, as by those that have names alone', async () => {
    const identified = await identify(await mint('github', { subject: 'immutable' }))
    expect(identified).toMatchObject({ ok: true, caller: { issuer: namesInWorld.github } })
    const { subject } = required(identified.ok ? identified.caller : undefined)
    expect(subject).toMatch(/^repo:fabrikam@\d+\/billing@\d+:environment:production$/)
  })

  it('are proven by JWT-SVIDs, with the keys of their trust domain and without an issuer', async () => {
    const mesh = required(emulator.issuers.find('mesh'))
    const svid = (order: object) => mesh.mint(mintOrderSchema.parse({ audience, ...order }))
    expect(await identify(await svid({}))).toMatchObject({
      ok: true,
      caller: { issuer: 'mesh', subject: 'spiffe://fabrikam.example/billing/export' },
    })
    const claims = { sub: 'spiffe://northwind.example/billing/export' }
    expect(reasonOf(await identify(await svid({ claims })))).toBe('caller_issuer_unknown')
    for (const [wrong, reason] of [
      ['signature', 'caller_signature_wrong'],
      ['unknown-key', 'caller_key_unknown'],
      ['audience', 'caller_audience_wrong'],
    ]) {
      expect(reasonOf(await identify(await svid({ wrong })))).toBe(reason)
    }
  })

  it('are proven by the access tokens of a policy of B2C, and by nothing else of that tenant', async () => {
    const customers = required(emulator.issuers.find('customers'))
    const reasonFor = async (order: object) =>
      reasonOf(await identify(await customers.mint(mintOrderSchema.parse({ audience, ...order }))))
    expect(await reasonFor({})).toBe('proven')
    expect(await reasonFor({ claims: { tfp: 'B2C_1_signup' } })).toBe('caller_issuer_unknown')
    expect(await reasonFor({ claims: { azp: null, scp: null } })).toBe('caller_claim_missing')
    for (const [wrong, reason] of [
      ['signature', 'caller_signature_wrong'],
      ['unknown-key', 'caller_key_unknown'],
      ['issuer', 'caller_issuer_unknown'],
      ['audience', 'caller_audience_wrong'],
      ['expired', 'caller_token_expired'],
    ]) {
      expect(await reasonFor({ wrong })).toBe(reason)
    }
  })

  it('keep the types of their claims', async () => {
    const gitlab = await identify(await mint('gitlab'))
    expect(gitlab).toMatchObject({ caller: { claims: { ref_protected: 'true', runner_id: 1 } } })
    const pod = await identify(await mint('kubernetes'))
    expect(pod).toMatchObject({
      caller: { claims: { aud: [audience], 'kubernetes.io': { namespace: 'billing' } } },
    })
  })

  it.each<[WrongToken, string]>([
    ['signature', 'caller_signature_wrong'],
    ['unknown-key', 'caller_key_unknown'],
    ['embedded-key', 'caller_token_malformed'],
    ['algorithm-none', 'caller_token_malformed'],
    ['algorithm-hs256', 'caller_algorithm_refused'],
    ['expired', 'caller_token_expired'],
    ['not-yet-valid', 'caller_token_not_yet_valid'],
    ['issuer', 'caller_issuer_unknown'],
    ['audience', 'caller_audience_wrong'],
  ])('are refused when a token is wrong in %s', async (wrong, reason) => {
    for (const kind of kinds)
      expect(reasonOf(await identify(await mint(kind, { wrong })))).toBe(reason)
  })

  it('are refused when a token lives longer than its issuer makes them', async () => {
    const token = await mint('github', { lifetimeSeconds: 7200 })
    expect(reasonOf(await identify(token))).toBe('caller_token_too_long_lived')
  })

  it('are refused with a token that another issuer made under this name', async () => {
    const claims = { iss: issuerOf('gitlab').url }
    expect(reasonOf(await identify(await mint('github', { claims })))).toBe('caller_key_unknown')
  })

  it('are proven by a new key at once, and no longer by a withdrawn one', async () => {
    const known = createIdentifier()
    const before = await mint('gitlab')
    expect(reasonOf(await known.identify(before))).toBe('proven')
    await issuerOf('gitlab').keys.rotate('withdrawn')
    expect(reasonOf(await known.identify(await mint('gitlab')))).toBe('proven')
    expect(reasonOf(await known.identify(before))).toBe('caller_key_unknown')
  })

  it('cannot be told from others while the issuer is down, and can be once it is back', async () => {
    const known = createIdentifier()
    emulator.faults.add({
      at: 'issuer',
      kind: 'server-error',
      times: 1,
      probability: 1,
      delayMs: 0,
      status: 503,
    })
    await expect(known.identify(await mint('kubernetes'))).rejects.toMatchObject({
      code: 'ISSUER_UNREACHABLE',
      issuer: 'cluster',
    })
    emulator.clock.shift(5)
    expect(reasonOf(await known.identify(await mint('kubernetes')))).toBe('proven')
    expect(known.away).toHaveLength(1)
  })

  it('are not asked about over a connection that nobody vouches for', async () => {
    const distrusting = createJsonFetcher()
    const identifier = createJwtCallerIdentifier({
      issuers: settings(),
      ownClientIds: [],
      clock: worldClock(emulator.clock),
      fetchJson: distrusting.fetchJson,
      onIssuerAway: () => undefined,
    })
    const token = new Secret(await mint('github'))
    await expect(identifier.identify(token)).rejects.toMatchObject({ code: 'ISSUER_UNREACHABLE' })
    await distrusting.close()
  })
})

describe('callers of the emulated Entra', () => {
  const tokenOf = (tenantId: string, clientId: string, accessTokenVersion: 1 | 2 = 1) => {
    const resource = {
      uris: [audience],
      clientId: '33333333-0000-4000-8000-000000000003',
      tenants: ['fabrikam'],
      tokenSeconds: 86_399,
      accessTokenVersion,
    }
    const objectId = '51000000-0000-4000-8000-000000000004'
    return emulator.entra.accessTokens.issue({ tenantId, clientId, objectId }, resource)
  }
  const stranger = '51000000-0000-4000-8000-0000000000c4'

  it('are proven by the token of a managed identity, which lives for a day', async () => {
    expect(await identify(await tokenOf(fabrikam, stranger))).toMatchObject({
      ok: true,
      caller: { issuer: 'platform', subject: '51000000-0000-4000-8000-000000000004' },
    })
  })

  it('are refused where the token says the client id instead of the URI, and it is not configured', async () => {
    expect(reasonOf(await identify(await tokenOf(fabrikam, stranger, 2)))).toBe(
      'caller_audience_wrong',
    )
  })

  it('are refused in a tenant that is not listed', async () => {
    const northwind = '0a0a0a0a-0000-4000-8000-000000000003'
    expect(reasonOf(await identify(await tokenOf(northwind, stranger)))).toBe(
      'caller_tenant_refused',
    )
  })

  it('are refused when they are an application of ours', async () => {
    expect(reasonOf(await identify(await tokenOf(fabrikam, events)))).toBe('caller_is_ourselves')
  })

  it('are proven after the keys have turned over', async () => {
    const known = createIdentifier()
    expect(reasonOf(await known.identify(await tokenOf(fabrikam, stranger)))).toBe('proven')
    await emulator.entra.accessTokens.rotate()
    expect(reasonOf(await known.identify(await tokenOf(fabrikam, stranger)))).toBe('proven')
  })
})
