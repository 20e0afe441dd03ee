import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VaultRecord } from '../../src/emulator/vault-log/record.ts'
import { worldSchema } from '../../src/emulator/world.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { expectNothingPrivate, expectProblem } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type AskOptions,
  cast,
  deployAsk,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** The three data actions of the service's role are enough, and no two of them are. */

const role = ['keys/sign/action', 'keys/read', 'certificates/read'] as const
type Action = (typeof role)[number]

/** A vault like the one of the default world, whose role lacks one action. */
const vaultWithout = (action: Action) => ({
  name: `without-${role.indexOf(action)}`,
  certificates: [{ name: 'partner-signing' }],
  roleAssignments: [
    { principal: 'countersign', actions: role.filter((other) => other !== action) },
  ],
})

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startServiceEmulator(
    worldSchema.parse({
      ...serviceWorld,
      vaults: [...serviceWorld.vaults, ...role.map(vaultWithout)],
    }),
  )
})
afterAll(() => emulator.stop())

/** A service whose certificate `partners` is in another vault. */
const serviceWithout = (action: Action) =>
  startTestService({
    emulator,
    certificates: 'later',
    configuration: (file) => ({
      ...file,
      certificates: {
        ...file.certificates,
        partners: { vault: emulator.vaultUrl(vaultWithout(action).name), name: 'partner-signing' },
      },
    }),
  })

async function withService(
  starting: Promise<TestService>,
  act: (service: TestService) => Promise<void>,
): Promise<void> {
  const service = await starting
  try {
    await act(service)
  } finally {
    await service.stop()
  }
}

const isByService = ({ identity }: VaultRecord) => identity.claim?.['oid'] === cast.serviceObjectId

describe('with sign, read keys and read certificates', () => {
  test('the service of the default world does everything', () =>
    withService(startTestService({ emulator }), async (service) => {
      const vault = required(serviceWorld.vaults[0])
      // What it has on the key that wraps is for replicas that share tokens, which one alone does not.
      const assigned = vault.roleAssignments.filter(
        ({ principal, scope }) => principal === 'countersign' && scope === undefined,
      )
      expect(assigned.flatMap(({ actions }) => actions).toSorted()).toEqual([...role].toSorted())

      const workload = await service.callerToken('fabrikam-orders')
      const job = await service.callerToken('github')
      const asks: readonly [request: string, options: AskOptions][] = [
        ['POST /v1/token', { token: workload, json: ordersAsk }],
        ['POST /v1/token', { token: workload, json: { ...ordersAsk, tenant: cast.northwind } }],
        ['POST /v1/assertion', { token: job, json: deployAsk }],
        [`GET /v1/assertion/deploy/${cast.fabrikam}`, { token: job }],
      ]
      for (const [request, options] of asks) {
        expect((await service.ask(request, options)).status, request).toBe(200)
      }
      expect((await service.ask('GET /readyz')).status).toBe(200)
    }))
})

describe('kept out by the network rules of its vault', () => {
  test('the service says that the operator has to act, and serves again by itself', () =>
    withService(startTestService({ emulator }), async (service) => {
      const token = await service.callerToken('fabrikam-orders')
      const ask = () => service.ask('POST /v1/token', { token, json: ordersAsk })
      await emulator.control('POST /vaults/contoso-hsm/network', { from: ['203.0.113.0/24'] })
      const answer = await ask()
      expect(answer).toMatchObject({ status: 503, body: { code: 'signing_broken' } })
      expectNothingPrivate(answer, service, { token })
      expect(service.entries().slice(-2)).toMatchObject([
        { kind: 'signature.failed', code: 'SIGNER_FORBIDDEN', applied: 'no' },
        { kind: 'request.failed', code: 'SIGNER_FORBIDDEN' },
      ])

      await emulator.control('POST /vaults/contoso-hsm/network', { from: 'everybody' })
      emulator.clock.shift(60)
      expect((await ask()).status).toBe(200)
    }))
})

describe('without', () => {
  test('keys/sign/action: the service is ready, and signing fails until the role is mended', () =>
    withService(serviceWithout('keys/sign/action'), async (service) => {
      await service.service.credentials.prove()
      const token = await service.callerToken('fabrikam-orders')
      const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })

      expectProblem(answer, {
        status: 503,
        code: 'signing_broken',
        title: 'Nothing can be signed',
        detail: 'The key cannot be used until the operator of this service has mended it.',
        retryAfterSeconds: 60,
      })
      expectNothingPrivate(answer, service, { token })
      expect(service.entries().slice(-2)).toMatchObject([
        { kind: 'signature.failed', code: 'SIGNER_FORBIDDEN', applied: 'no' },
        { kind: 'request.failed', code: 'SIGNER_FORBIDDEN' },
      ])
    }))

  test.each(['keys/read', 'certificates/read'] as const)(
    '%s: the service does not start, and says that it is the role',
    (action) =>
      withService(serviceWithout(action), async (service) => {
        await expect(service.service.credentials.prove()).rejects.toMatchObject({
          code: 'CERTIFICATE_FORBIDDEN',
          certificate: 'partners',
          transient: false,
        })
      }),
  )
})

// Last, because it is about all that was recorded before.
describe('the log of the vaults over the whole of this run', () => {
  test('has the service reading keys and certificates and signing, and nothing else', () => {
    const operations = emulator.vaultLog
      .records()
      .filter(isByService)
      .map(({ operationName }) => operationName)

    expect(new Set(operations)).toEqual(new Set(['CertificateGet', 'KeyGet', 'KeySign']))
  })

  test('has no operation on a secret by anybody', () => {
    const operations = emulator.vaultLog.records().map(({ operationName }) => operationName)

    expect(operations.filter((operation) => operation.startsWith('Secret'))).toEqual([])
  })
})
