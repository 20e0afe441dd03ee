import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { newAttemptId, parseCertificateName, parseClientId } from '../../../src/base/ids.ts'
import { createCertificateDuty } from '../../../src/issuance/certificate-duty.ts'
import type { SigningCredential } from '../../../src/issuance/credentials.ts'
import {
  type AdmittedAttempt,
  type IssuanceDeps,
  notBegun,
} from '../../../src/issuance/issuance-deps.ts'
import { signAssertion } from '../../../src/issuance/sign-assertion.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { createFleetBudgets, type FleetBudgets } from '../../../src/signer/fleet-budgets.ts'
import { createMemoryGovernor } from '../../../src/signer/memory-governor.ts'
import { SignerError, type SignRequest } from '../../../src/signer/signer.ts'
import { lendingTerms } from '../../../src/signer/unit-lender.ts'
import { fixedClock, type FixedClock } from '../../support/fixed-clock.ts'
import { applicationName, tenantId } from '../../support/grants.ts'
import { createSqliteStore } from '../../support/ledger-store.ts'
import { createMemoryUnits } from '../../support/memory-unit-lender.ts'
import { required } from '../../support/required.ts'

/** Where time passes between leave to ask the vault and asking it: the process stands still. */

const credential: SigningCredential = {
  certificate: required(parseCertificateName('partners')),
  place: 'primary',
  key: {
    keyId: 'https://vault.example/keys/k/1',
    publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
    heldBy: 'hsm',
    notBeforeSeconds: undefined,
    notAfterSeconds: undefined,
  },
  header: { algorithm: 'PS256', encoded: '' },
}

let clock: FixedClock
let store: ReturnType<typeof createSqliteStore>
let ledger: Ledger
let budgets: FleetBudgets
beforeEach(async () => {
  clock = fixedClock(1_790_000_000)
  store = createSqliteStore()
  ledger = await store.open()
  budgets = createFleetBudgets({
    lenderOf: (_name, unitsMax, terms) => createMemoryUnits({ unitsMax, terms, clock }).open(),
    headroom: 0.8,
    clock,
    onTrade: () => undefined,
  })
})
afterEach(async () => {
  await budgets.close()
  await ledger.close()
  store.remove()
})

/** Signs when the ledger has taken so long; the vault answers everybody that it is away. */
async function signAfter(standstillMs: number) {
  const asked: SignRequest[] = []
  const governor = createMemoryGovernor({
    nowMs: () => Math.floor(clock.monotonicMs()),
    random: () => 0,
    onCircuit: () => undefined,
    budgetOf: budgets.budgetOf,
  })
  const deps = {
    clock,
    isInForce: () => true,
    governor,
    duty: createCertificateDuty({ nowMs: () => clock.monotonicMs(), epochMs: () => clock.nowMs() }),
    tokenEndpoint: { urlOf: () => 'https://login.example/token' },
    ledger: {
      append: async (entries: Parameters<Ledger['append']>[0]) => {
        await ledger.append(entries)
        if (entries.some(({ kind }) => kind === 'signature.begun')) {
          clock.advance(standstillMs / 1000)
        }
      },
    },
    signer: {
      sign: (request: SignRequest) => {
        asked.push(request)
        return Promise.reject(new SignerError('SIGNER_TIMEOUT', 'unknown'))
      },
    },
    events: { permitGranted: () => undefined, signatureFailed: () => undefined },
  } as unknown as IssuanceDeps
  const [attempt, application, tenant] = [
    newAttemptId(),
    applicationName('events'),
    tenantId('aaaaaaaa-0000-4000-8000-000000000001'),
  ]
  const admitted: AdmittedAttempt = {
    attempt,
    issuer: undefined,
    application: {
      name: application,
      clientId: required(parseClientId('11111111-0000-4000-8000-000000000001')),
      certificate: credential.certificate,
      profile: 'entra',
      x5c: 'omit',
      keyIdsBegin: [],
    },
    tenant,
    credentials: [credential],
    onRecord: {
      attempt,
      caller: { issuer: 'cluster', subject: 'orders' },
      grant: 'orders',
      application,
      tenant,
    },
    tokenUse: undefined,
    beginning: notBegun(clock),
    priority: 'caller',
    decidedUnder: 0,
  }
  const order = { purpose: 'exchange', lifetimeSeconds: 300, probesEntra: false } as const
  const one = { credential, whilePaused: 'wait' } as const
  const failure: unknown = await signAssertion(admitted, one, order, deps).catch(
    (error: unknown) => error,
  )
  return { asked, failure, unitsUsed: governor.standing(credential.key).unitsUsed }
}

test('the vault is asked for as long as others count on it, and is not waited for any longer', async () => {
  const { asked, failure } = await signAfter(8_000)
  expect(asked).toMatchObject([{ timeoutMs: lendingTerms.askedWithinMs - 8_000 }])
  expect(failure).toMatchObject({ code: 'SIGNER_TIMEOUT' })
})

test('the vault is not asked when others do not count on it any more, and the ledger says so', async () => {
  const { asked, failure, unitsUsed } = await signAfter(lendingTerms.askedWithinMs)
  expect(asked).toEqual([])
  expect(failure).toMatchObject({ code: 'SIGNER_TOO_LATE', applied: 'no' })
  expect(unitsUsed).toBe(0)
  expect(store.entries()).toMatchObject([
    { kind: 'request.granted' },
    { kind: 'signature.begun' },
    { kind: 'signature.failed', code: 'SIGNER_TOO_LATE', applied: 'no' },
  ])
})
