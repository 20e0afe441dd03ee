import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import { worldSchema } from '../../src/emulator/world.ts'
import { oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { podSubject } from '../support/identity-sources.ts'
import { runModule } from '../support/module-run.ts'
import { required } from '../support/required.ts'

/** Microsoft's clients in a pod with workload identity: a token of its cluster stands for a managed identity. */

const world = worldSchema.parse({
  ...oneVaultWorld,
  principals: oneVaultWorld.principals.map((principal) =>
    principal.name === 'countersign'
      ? {
          ...principal,
          sources: ['workload-identity'],
          federatedCredentials: [{ issuer: 'cluster', subject: podSubject }],
        }
      : principal,
  ),
})

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({ world })
})
afterAll(() => emulator.stop())

const environment = (): Readonly<Record<string, string>> => ({
  ...required(emulator.endpoints.environments['countersign']?.['workload-identity']),
  NODE_EXTRA_CA_CERTS: emulator.endpoints.caFile,
})

const asking = (credential: string) => `
  import * as identity from '@azure/identity'
  try {
    console.log((await (${credential}).getToken('https://vault.azure.net/.default')).token)
  } catch (error) {
    console.log(error.message)
    process.exitCode = 1
  }
`

const workloadIdentity =
  'new identity.WorkloadIdentityCredential({ disableInstanceDiscovery: true })'

/** The same pod, but that this is in its file. */
async function withToken(order: Parameters<typeof mintOrderSchema.parse>[0], issuer = 'cluster') {
  const token = await required(emulator.issuers.find(issuer)).mint(mintOrderSchema.parse(order))
  const file = join(dirname(emulator.endpoints.caFile), 'another-token')
  writeFileSync(file, token)
  return runModule(asking(workloadIdentity), {
    ...environment(),
    AZURE_FEDERATED_TOKEN_FILE: file,
  })
}

const audience = 'api://AzureADTokenExchange'
const ofPod = { audience, claims: { sub: podSubject } }

describe('@azure/identity', () => {
  test.for([
    ['WorkloadIdentityCredential', workloadIdentity],
    ['ManagedIdentityCredential', 'new identity.ManagedIdentityCredential()'],
  ] as const)(
    '%s gets a token of the managed identity, and the vault accepts it',
    async ([, credential]) => {
      const { code, stdout } = await runModule(asking(credential), environment())
      expect(code, stdout).toBe(0)
      const token = stdout.trim()
      expect(decodeJwt(token)).toMatchObject({
        oid: '51000000-0000-4000-8000-000000000001',
        xms_mirid: expect.stringMatching(/\/userAssignedIdentities\/countersign$/) as unknown,
      })
      const read = 'GET /certificates/partner-signing/?api-version=2025-07-01'
      expect((await emulator.ask('contoso-hsm', read, { token })).status).toBe(200)
      expect(emulator.entra.exchanges.records().at(-1)?.outcome).toMatchObject({
        kind: 'issued',
        federatedIssuer: emulator.endpoints.issuers['cluster'],
      })
    },
  )

  test('gets one with any token of the credential', async () => {
    const { code, stdout } = await withToken(ofPod)
    expect(code, stdout).toBe(0)
  })

  test.for([
    ['another subject', { audience }, /AADSTS700213.*'system:serviceaccount:billing:export'/],
    [
      'another audience',
      { ...ofPod, audience: 'https://elsewhere.example' },
      /AADSTS700212.*elsewhere/,
    ],
    ['a token that is over', { ...ofPod, wrong: 'expired' }, /AADSTS700024/],
    ['a signature that is wrong', { ...ofPod, wrong: 'signature' }, /AADSTS700027/],
    ['a key that the issuer never shows', { ...ofPod, wrong: 'unknown-key' }, /AADSTS700027/],
    ['no signature', { ...ofPod, wrong: 'algorithm-none' }, /AADSTS5002738/],
    ['a key that is public', { ...ofPod, wrong: 'algorithm-hs256' }, /AADSTS5002738/],
  ] as const)('is told why there is none for %s', async ([, order, words]) => {
    const { code, stdout } = await withToken(order)
    expect([code, stdout]).toEqual([1, expect.stringMatching(words)])
  })

  test('is told why there is none for another issuer', async () => {
    const { code, stdout } = await withToken(ofPod, 'github')
    const issuer = required(emulator.endpoints.issuers['github'])
    expect([code, stdout]).toEqual([1, expect.stringContaining(`issuer '${issuer}'`)])
    expect(stdout).toContain('AADSTS700211')
  })

  test('is told that a managed identity for which nobody stands is not there', async () => {
    const { stdout } = await runModule(asking(workloadIdentity), {
      ...environment(),
      AZURE_CLIENT_ID: '51000000-0000-4000-8000-0000000000c2',
    })
    expect(stdout).toContain('AADSTS700016')
  })
})

test("the pod's token is replaced before it ends", async () => {
  const file = environment()['AZURE_FEDERATED_TOKEN_FILE'] ?? ''
  const before = decodeJwt(readFileSync(file, 'utf8')).exp ?? 0
  emulator.clock.shift(3000)
  await expect.poll(() => decodeJwt(readFileSync(file, 'utf8')).exp).toBeGreaterThan(before + 2000)
})
