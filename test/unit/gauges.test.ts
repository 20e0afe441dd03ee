import { describe, expect, test } from 'vitest'
import { gaugesFrom, type GaugedParts } from '../../src/gauges.ts'
import type { ProvenCertificate } from '../../src/issuance/credentials.ts'
import type { Gauges } from '../../src/telemetry/gauges.ts'
import type { VaultStanding } from '../../src/signer/governor.ts'

const ok = { state: 'ok', sinceMs: 1_800_000_000_000 } as const

/** One process alone, which exports nothing and has proven nothing. */
const parts: GaugedParts = {
  memory: { bytes: 1, entries: 2 },
  proofs: { unproved: 3 },
  ledger: { tokensRemembered: () => 4 },
  entraRefusals: { size: 5 },
  governor: { standing: () => ({}) as VaultStanding },
  readiness: { ready: () => true },
  policies: { current: () => ({ broken: 6 }) },
  credentials: () => ({ proven: [] }),
  reloading: () => ({ configuration: { standing: 'in-force' }, policyStanding: undefined }),
  exporting: () => undefined,
}

/** What all of them show now. */
const shown = (gauges: Gauges) =>
  Object.fromEntries(
    Object.entries(gauges).map(([name, read]) => [name, (read as () => unknown)()]),
  )

const shownWith = (changes: Partial<GaugedParts>) => shown(gaugesFrom({ ...parts, ...changes }))

const alone = {
  cacheBytes: 1,
  cacheEntries: 2,
  unprovedSignatures: 3,
  rememberedCallerTokens: 4,
  rememberedRefusals: 5,
  brokenGrants: 6,
  ready: true,
  configurationInForce: true,
  policyGeneration: 0,
  folderInForce: true,
  exportBehindSeconds: 0,
  certificates: [],
}

describe('gauges', () => {
  test('show each its own, and of what there is none, nothing wrong', () => {
    expect(shownWith({})).toEqual(alone)
  })

  test('show that it is not ready', () => {
    expect(shownWith({ readiness: { ready: () => false } })).toEqual({ ...alone, ready: false })
  })

  test('show what is not in force', () => {
    const reloading: GaugedParts['reloading'] = () => ({
      configuration: { standing: 'differs' },
      policyStanding: { generation: 7, state: 'newest', folder: 'unreadable' },
    })
    expect(shownWith({ reloading })).toEqual({
      ...alone,
      configurationInForce: false,
      policyGeneration: 7,
      folderInForce: false,
    })
  })

  test('show that the folder is in force where replicas share the policy', () => {
    const policyStanding = { generation: 7, state: 'behind', folder: 'in-force' } as const
    const reloading = () => ({ ...parts.reloading(), policyStanding })
    expect(shownWith({ reloading })).toEqual({ ...alone, policyGeneration: 7 })
  })

  test('show how far the export is behind', () => {
    const telemetry = { state: ok, behindSeconds: () => 60 }
    expect(shownWith({ exporting: () => ({ telemetry }) })).toEqual({
      ...alone,
      exportBehindSeconds: 60,
    })
  })

  test('show each certificate with the standing of its own key', () => {
    const certificates = ['first', 'second'].map(
      (certificate) =>
        ({ certificate, key: { keyId: `key of ${certificate}` } }) as ProvenCertificate,
    )
    const { certificates: read } = gaugesFrom({
      ...parts,
      credentials: () => ({ proven: certificates }),
      governor: {
        standing: ({ keyId }) => ({ waiting: keyId === 'key of first' ? 1 : 2 }) as VaultStanding,
      },
    })
    expect(read()).toMatchObject([
      { certificate: 'first', waiting: 1 },
      { certificate: 'second', waiting: 2 },
    ])
  })
})
