import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { newSignatureId, parseCertificateName } from '../../src/base/ids.ts'
import type { SigningKey } from '../../src/base/signing-key.ts'
import { createKeyVaultCertificateSource } from '../../src/certificate/key-vault-certificate.ts'
import { createKeyVaultSigner } from '../../src/signer/key-vault-signer.ts'
import type { Signer } from '../../src/signer/signer.ts'
import type { VaultAccess } from '../../src/vault-access/vault-access.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'
import { vaultAccessTo } from '../support/vault-access.ts'
import { describeSigner, type SignerUnderTest } from './signer.contract.ts'

let emulator: TestEmulator
let access: VaultAccess
let key: SigningKey
let signer: Signer

async function readKey(): Promise<SigningKey> {
  const name = parseCertificateName('partners')
  if (name === undefined) throw new TypeError('a name')
  const certificate = await createKeyVaultCertificateSource(access, systemClock).load({
    name,
    vaultUrl: emulator.vaultUrl('hsm'),
    vaultCertificateName: 'signing',
    requireHsm: true,
  })
  return certificate.key
}

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'hsm',
        certificates: [{ name: 'signing' }],
        roleAssignments: [
          { principal: 'signer', actions: ['keys/sign/action', 'keys/read', 'certificates/read'] },
          { principal: 'auditor', actions: ['keys/read'] },
        ],
      },
    ],
  })
  access = vaultAccessTo(emulator, 'signer')
  key = await readKey()
  signer = createKeyVaultSigner(access, 'countersign/0.0.0', systemClock)
  await signer.prepare(key)
})

afterAll(async () => {
  await access.close()
  await emulator.stop()
})

const faultKinds = {
  throttle: 'throttle',
  'lose before': 'drop-before',
  'lose after': 'drop-after',
  'wrong signature': 'wrong-signature',
  garbage: 'malformed',
  error: 'server-error',
  'error after': 'server-error-after',
} as const

const signRecords = () =>
  emulator.vaultLog.records().filter(({ operationName }) => operationName === 'KeySign')

describeSigner('Key Vault signer', (): SignerUnderTest => ({
  signer,
  key,
  breakNextSign: (how) => {
    emulator.faults.add({
      at: 'vault',
      kind: faultKinds[how],
      match: '/sign',
      times: 1,
      probability: 1,
      delayMs: 0,
      status: 503,
    })
  },
  disableKey: async () => {
    await emulator.control('POST /vaults/hsm/certificates/signing/disable')
  },
  enableKey: async () => {
    await emulator.control('POST /vaults/hsm/certificates/signing/enable')
  },
  signaturesMade: () =>
    signRecords().filter(({ properties }) => properties.httpStatusCode === 200).length,
}))

const signOnce = (nonce: string, timeoutMs = 5000) =>
  signer.sign({
    key,
    algorithm: 'PS256',
    signingInput: 'a.b',
    signatureId: newSignatureId(),
    nonce,
    timeoutMs,
  })

test('the audit record holds the nonce, and is found by the id that came with the signature', async () => {
  const { vaultRequestId } = await signOnce('AbCdEfGhIjKlMnOpQrStUv')
  const record = signRecords().find(({ correlationId }) => correlationId === vaultRequestId)
  expect(record?.properties['clientInfo']).toBe(
    'countersign/0.0.0 (signature-nonce AbCdEfGhIjKlMnOpQrStUv)',
  )
})

test('an answer that takes longer than it may is a time-out, perhaps applied', async () => {
  emulator.faults.add({
    at: 'vault',
    kind: 'delay',
    match: '/sign',
    times: 1,
    probability: 1,
    delayMs: 1500,
    status: 503,
  })
  await expect(signOnce('n', 300)).rejects.toMatchObject({
    code: 'SIGNER_TIMEOUT',
    applied: 'unknown',
  })
})

test('a cold key is prepared by reading it, and never by signing', async () => {
  const cold = createKeyVaultSigner(access, 'countersign/0.0.0', systemClock)
  const records = await emulator.recordsOf(() => cold.prepare(key))
  expect(new Set(records.map(({ operationName }) => operationName))).toEqual(new Set(['KeyGet']))
})

test('a vault that says nothing is not waited for when the key is prepared', async () => {
  emulator.faults.add({
    at: 'vault',
    kind: 'delay',
    match: 'GET /keys',
    times: 1,
    probability: 1,
    delayMs: 2000,
    status: 503,
  })
  const impatient = vaultAccessTo(emulator, 'signer', 300)
  const preparing = createKeyVaultSigner(impatient, 'countersign/0.0.0', systemClock).prepare(key)
  await expect(preparing).rejects.toMatchObject({ code: 'SIGNER_TIMEOUT', transient: true })
  await impatient.close()
})

test.each([
  ['has ended', { notAfterSeconds: systemClock.nowSeconds() }],
  ['has not begun', { notBeforeSeconds: systemClock.nowSeconds() + 3600 }],
])('a key whose time %s is not asked for a signature', async (_case, times) => {
  const signing = signer.sign({
    key: { ...key, ...times },
    algorithm: 'PS256',
    signingInput: 'a.b',
    signatureId: newSignatureId(),
    nonce: 'n',
    timeoutMs: 5000,
  })
  const records = await emulator.recordsOf(async () => {
    await expect(signing).rejects.toMatchObject({
      code: 'SIGNER_KEY_OUTSIDE_VALIDITY',
      applied: 'no',
      asked: false,
    })
  })
  expect(records).toEqual([])
})

test('a credential that never answers is not waited for, though it ignores the signal', async () => {
  const silent = {
    ...access,
    readTimeoutMs: 200,
    credential: { getToken: () => new Promise<never>(() => undefined) },
  }
  const preparing = createKeyVaultSigner(silent, 'countersign/0.0.0', systemClock).prepare(key)
  await expect(preparing).rejects.toMatchObject({ code: 'SIGNER_TIMEOUT', transient: true })
})

test('an identity without the sign role is refused, and the vault has a record of it', async () => {
  const auditor = vaultAccessTo(emulator, 'auditor')
  const other = createKeyVaultSigner(auditor, 'countersign/0.0.0', systemClock)
  await other.prepare(key)
  const signing = other.sign({
    key,
    algorithm: 'PS256',
    signingInput: 'a.b',
    signatureId: newSignatureId(),
    nonce: 'n',
    timeoutMs: 5000,
  })
  const failure: unknown = await signing.catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'SIGNER_FORBIDDEN', applied: 'no' })
  const record = signRecords().at(-1)
  expect(failure).toMatchObject({ vaultRequestId: record?.correlationId })
  await auditor.close()
})

test('an identity that may not even read the key is told when the key is prepared', async () => {
  const bystander = vaultAccessTo(emulator, 'bystander')
  const preparing = createKeyVaultSigner(bystander, 'countersign/0.0.0', systemClock).prepare(key)
  await expect(preparing).rejects.toMatchObject({ code: 'SIGNER_FORBIDDEN', applied: 'no' })
  await bystander.close()
})

test('a vault that is not there is unavailable, and nothing was applied', async () => {
  const away = createKeyVaultSigner(access, 'countersign/0.0.0', systemClock)
  const nowhere = {
    ...key,
    keyId: 'https://127.0.0.1:9/keys/signing/0123456789abcdef0123456789abcdef',
  }
  await expect(away.prepare(nowhere)).rejects.toMatchObject({
    code: 'SIGNER_UNAVAILABLE',
    applied: 'no',
  })
})
