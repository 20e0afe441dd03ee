import { describe, expect, test } from 'vitest'
import type { SigningCredential } from '../../src/issuance/credentials.ts'
import { createReadiness, type ReadinessParts } from '../../src/readiness.ts'
import { applicationName, deploy, events } from '../support/grants.ts'

const since = { sinceMs: 1_800_000_000_000 }
const ok = { state: 'ok', ...since } as const
const failing = { state: 'failing', ...since } as const
const untried = { state: 'untried', ...since } as const

/** What is counted of them. */
const credential = {} as SigningCredential

const issuanceWith = (certificates: Readonly<Record<string, number>>) => () => ({
  applications: new Map(
    Object.keys(certificates).map((name) => [applicationName(name), undefined]),
  ),
  credentials: {
    current: (name: string) => Array.from({ length: certificates[name] ?? 0 }, () => credential),
  },
})

/** A service alone in which all is well; it signs no heads and exports nothing. */
const parts: ReadinessParts = {
  issuance: issuanceWith({ [events]: 1, [deploy]: 1 }),
  ledger: { healthy: () => true, isFull: () => false },
  reloading: () => ({
    configuration: { standing: 'in-force' },
    grantsAreWell: () => true,
    policyStanding: undefined,
  }),
  heads: () => undefined,
  exporting: () => undefined,
  vault: { state: ok },
  entra: { state: untried },
}

const readinessWith = (changes: Partial<ReadinessParts>) =>
  createReadiness({ ...parts, ...changes })

const reloadingWith = (changes: Partial<ReturnType<ReadinessParts['reloading']>>) => ({
  reloading: () => ({ ...parts.reloading(), ...changes }),
})

const wellReport = {
  certificates: 'proven',
  ledger: 'ok',
  configuration: 'ok',
  grants: 'ok',
  stopping: false,
  vault: ok,
  entra: untried,
}

describe('a service is ready', () => {
  test('when its certificates are proven, its ledger takes entries, and it is not stopping', () => {
    const readiness = createReadiness(parts)
    expect(readiness.ready()).toBe(true)
    expect(readiness.report()).toEqual(wellReport)
  })

  test.each([
    {
      why: 'while an application has no proven certificate',
      changes: { issuance: issuanceWith({ [events]: 1, [deploy]: 0 }) },
      report: { certificates: 'proving' },
    },
    {
      why: 'when its ledger fails',
      changes: { ledger: { healthy: () => false, isFull: () => false } },
      report: { ledger: 'failing' },
    },
    {
      why: 'when its ledger is full',
      changes: { ledger: { healthy: () => true, isFull: () => true } },
      report: { ledger: 'full' },
    },
    {
      why: 'when its ledger fails and is full, which is told as the worse',
      changes: { ledger: { healthy: () => false, isFull: () => true } },
      report: { ledger: 'failing' },
    },
  ])('but not $why', ({ changes, report }) => {
    const readiness = readinessWith(changes)
    expect(readiness.ready()).toBe(false)
    expect(readiness.report()).toEqual({ ...wellReport, ...report })
  })

  test('but not from when it is stopped on', () => {
    const readiness = createReadiness(parts)
    readiness.stop()
    expect(readiness.ready()).toBe(false)
    expect(readiness.report()).toEqual({ ...wellReport, stopping: true })
  })

  test('by the applications of the configuration that is in force then', () => {
    let certificates = { [events]: 1 }
    const readiness = readinessWith({ issuance: () => issuanceWith(certificates)() })
    expect(readiness.ready()).toBe(true)
    certificates = { [events]: 1, [deploy]: 0 }
    expect(readiness.ready()).toBe(false)
  })

  test.each([
    {
      although: 'what its files say is not in force',
      changes: reloadingWith({ configuration: { standing: 'differs' } }),
      report: { configuration: 'degraded' },
    },
    {
      although: 'not everything that grants say is in force',
      changes: reloadingWith({ grantsAreWell: () => false }),
      report: { grants: 'degraded' },
    },
    {
      although: 'its policy is behind that of other replicas',
      changes: reloadingWith({
        policyStanding: { generation: 7, state: 'behind', folder: 'differs' },
      }),
      report: { policy: { generation: 7, state: 'behind', folder: 'differs' } },
    },
    {
      although: 'its heads are not signed',
      changes: { heads: () => ({ telemetry: { heads: failing, anchors: ok } }) },
      report: { heads: failing, anchors: ok },
    },
    {
      although: 'its entries are not exported',
      changes: { exporting: () => ({ telemetry: { state: failing, behindSeconds: () => 60 } }) },
      report: { export: failing },
    },
    {
      although: 'its vault fails',
      changes: { vault: { state: failing } },
      report: { vault: failing },
    },
    {
      although: 'Entra fails',
      changes: { entra: { state: failing } },
      report: { entra: failing },
    },
  ])('although $although, and says so', ({ changes, report }) => {
    const readiness = readinessWith(changes)
    expect(readiness.ready()).toBe(true)
    expect(readiness.report()).toEqual({ ...wellReport, ...report })
  })
})
