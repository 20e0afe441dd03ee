import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { configWidenings } from '../../../src/config/config-widening.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { september2026 } from '../../support/configuration-fixtures.ts'

const loaded = await loadConfig('examples/quickstart/countersign.yaml', september2026)
if (!loaded.ok) throw new Error('the quick start does not load')
const { config } = loaded
const [application, issuer] = [config.applications[0], config.issuers[0]]
if (application === undefined || issuer === undefined) throw new Error('there is one of each')

const widenings = (after: Partial<Config>, before: Partial<Config> = {}) =>
  configWidenings({ ...config, ...before }, { ...config, ...after })

const withApplication = (some: object) => ({ applications: [{ ...application, ...some }] })
const withIssuer = (some: object) => ({ issuers: [{ ...issuer, ...some }] })
const ofApplication = (step: object) => [{ part: `application ${application.name}`, steps: [step] }]
const ofIssuer = (step: object) => [{ part: `issuer ${issuer.name}`, steps: [step] }]
const another = '0a0a0a0a-0000-4000-8000-000000000009'

describe('an application', () => {
  test.for<readonly [string, object, object]>([
    [
      'lists a tenant more',
      { tenants: [...application.tenants, another] },
      { step: 'tenants', added: [another] },
    ],
    ['hands out assertions', { handOut: true }, { step: 'hand-out' }],
  ])('that %s goes further, and not one that does no more', ([, some, step]) => {
    const before = withApplication({ handOut: false })
    const after = withApplication({ handOut: false, ...some })
    expect(widenings(after, before)).toEqual(ofApplication(step))
    expect(widenings(before, after)).toEqual([])
  })

  test('that is new, or is another one, goes further', () => {
    expect(widenings({}, { applications: [] })).toEqual(ofApplication({ step: 'new' }))
    expect(widenings({ applications: [] })).toEqual([])
    expect(widenings(withApplication({ clientId: another, future: true }))).toEqual(
      ofApplication({ step: 'changed', members: ['clientId', 'future'] }),
    )
  })
})

describe('an issuer', () => {
  const owner = { claim: 'owner', anyOf: ['1'] }

  test.for<readonly [string, object, object, object]>([
    [
      'requires less',
      { require: [owner] },
      { require: [] },
      { step: 'claim-removed', claim: 'owner' },
    ],
    [
      'requires another',
      { require: [owner] },
      { require: [{ claim: 'owner', anyOf: ['1', '2'] }] },
      { step: 'claim-widened', claim: 'owner', also: ['2'] },
    ],
    [
      'takes shared audiences',
      { acceptSharedAudience: false },
      { acceptSharedAudience: true },
      { step: 'shared-audience' },
    ],
    [
      'takes an algorithm more',
      { algorithms: ['RS256'] },
      { algorithms: ['RS256', 'ES256'] },
      { step: 'algorithms', added: ['ES256'] },
    ],
    [
      'takes longer tokens',
      { maxTokenSeconds: 60 },
      { maxTokenSeconds: 61 },
      { step: 'max-token-seconds', from: 60, to: 61 },
    ],
  ])('that %s goes further, and not when it is taken back', ([, before, after, step]) => {
    expect(widenings(withIssuer(after), withIssuer(before))).toEqual(ofIssuer(step))
    expect(widenings(withIssuer(before), withIssuer(after))).toEqual([])
  })

  test('of another audience, or with what is not known here, goes further', () => {
    expect(widenings(withIssuer({ audience: 'b' }), withIssuer({ audience: 'a' }))).toEqual(
      ofIssuer({ step: 'audience', from: 'a', to: 'b' }),
    )
    expect(widenings(withIssuer({ replay: 'often' }))).toEqual(
      ofIssuer({ step: 'changed', members: ['replay'] }),
    )
  })

  test('of Entra goes further with a tenant more, and not with one less', () => {
    const entra = (...tenants: readonly string[]) => withIssuer({ kind: 'entra', tenants })
    expect(widenings(entra('a', 'b'), entra('a'))).toEqual(
      ofIssuer({ step: 'tenants', added: ['b'] }),
    )
    expect(widenings(entra('a'), entra('a', 'b'))).toEqual([])
  })
})

describe('who may sign in', () => {
  const audit = (anyOf: readonly string[], clientId = 'page') => ({
    audit: {
      oidc: {
        issuer: 'https://issuer.example',
        clientId,
        clientSecretFile: undefined,
        rules: [{ claim: 'oid', anyOf }],
      },
    },
  })

  test('is more people with one more, and not with one less', () => {
    expect(widenings(audit(['a', 'b']), audit(['a']))).toEqual([
      { part: 'audit', steps: [{ step: 'claim-widened', claim: 'oid', also: ['b'] }] },
    ])
    expect(widenings(audit(['a']), audit(['a', 'b']))).toEqual([])
  })

  test('is new where nobody signed in, others where they sign in elsewhere, and nobody without it', () => {
    expect(widenings(audit(['a']))).toEqual([{ part: 'audit', steps: [{ step: 'new' }] }])
    expect(widenings(audit(['a'], 'other'), audit(['a']))).toEqual([
      { part: 'audit', steps: [{ step: 'changed', members: ['clientId'] }] },
    ])
    expect(widenings({ audit: undefined }, audit(['a']))).toEqual([])
  })
})

describe('the file', () => {
  test('goes further by what stands for all callers, and not by where things are kept', () => {
    const trusting = { trust: { caFiles: ['/roots.pem'] } }
    expect(widenings(trusting)).toEqual([
      { part: 'countersign.yaml', steps: [{ step: 'changed', members: ['trust'] }] },
    ])
    const kept = { ledger: { kind: 'sqlite', file: '/other.db', keptBytes: 0 } } as const
    expect(widenings({ ...kept, governor: { headroom: 0.1 } })).toEqual([])
  })
})
