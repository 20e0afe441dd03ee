import { hash, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { parseCertificateName } from '../../../src/base/ids.ts'
import {
  CertificateError,
  type CertificateLocation,
  type CertificateSource,
} from '../../../src/certificate/certificate.ts'
import { createKeyVaultCertificateSource } from '../../../src/certificate/key-vault-certificate.ts'
import type { VaultAccess } from '../../../src/vault-access/vault-access.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { vaultAccessTo } from '../../support/vault-access.ts'

let emulator: TestEmulator
let access: VaultAccess
let source: CertificateSource

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'hsm',
        certificates: [
          { name: 'good' },
          { name: 'large', keySize: 4096 },
          { name: 'software', keyType: 'RSA' },
          { name: 'exportable', keyType: 'RSA', exportable: true },
          { name: 'many-uses', keyOps: ['sign', 'verify', 'unwrapKey'] },
          { name: 'never-signs', keyOps: ['verify'] },
          { name: 'disabled', enabled: false },
          { name: 'expired', notBeforeSeconds: -7200, notAfterSeconds: -3600 },
          { name: 'too-early', notBeforeSeconds: 3600, notAfterSeconds: 7200 },
        ],
        roleAssignments: [
          { principal: 'signer', actions: ['keys/sign/action', 'keys/read', 'certificates/read'] },
          { principal: 'auditor', actions: ['certificates/read'] },
        ],
      },
    ],
  })
  access = vaultAccessTo(emulator, 'signer')
  source = createKeyVaultCertificateSource(access, systemClock)
})

afterAll(async () => {
  await access.close()
  await emulator.stop()
})

function locationOf(vaultCertificateName: string, requireHsm = true): CertificateLocation {
  const name = parseCertificateName('partners')
  if (name === undefined) throw new TypeError('a name')
  return { name, vaultUrl: emulator.vaultUrl('hsm'), vaultCertificateName, requireHsm }
}

const loading = (name: string, requireHsm = true) => source.load(locationOf(name, requireHsm))

describe('Key Vault certificate', () => {
  test('comes with the key version of the same name, and thumbprints computed from its DER', async () => {
    const certificate = await loading('good')
    const x509 = new X509Certificate(certificate.der)
    expect(certificate.key.publicKey.equals(x509.publicKey)).toBe(true)
    expect(certificate.key.keyId).toMatch(/\/keys\/good\/[0-9a-f]{32}$/)
    expect(certificate.thumbprintSha256).toBe(hash('sha256', certificate.der, 'base64url'))
    const sha256 = x509.fingerprint256.replaceAll(':', '').toLowerCase()
    expect(Buffer.from(certificate.thumbprintSha256, 'base64url').toString('hex')).toBe(sha256)
    const sha1 = x509.fingerprint.replaceAll(':', '').toLowerCase()
    expect(Buffer.from(certificate.thumbprintSha1, 'base64url').toString('hex')).toBe(sha1)
    expect(certificate.notAfterSeconds * 1000).toBe(x509.validToDate.getTime())
  })

  test('may be larger than 2048 bits', async () => {
    const { key } = await loading('large')
    expect(key.publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096)
  })

  test.each([
    ['software', 'CERTIFICATE_KEY_NOT_IN_HSM'],
    ['many-uses', 'CERTIFICATE_KEY_HAS_OTHER_USES'],
    ['never-signs', 'CERTIFICATE_KEY_CANNOT_SIGN'],
    ['disabled', 'CERTIFICATE_DISABLED'],
    ['expired', 'CERTIFICATE_OUTSIDE_VALIDITY'],
    ['too-early', 'CERTIFICATE_OUTSIDE_VALIDITY'],
    ['nothing-here', 'CERTIFICATE_MISSING'],
  ])('is refused when it is %s', async (name, code) => {
    await expect(loading(name)).rejects.toMatchObject({ code, certificate: 'partners' })
  })

  test('may be held by software only when the operator says so', async () => {
    const { key } = await loading('software', false)
    expect(key.heldBy).toBe('software')
    expect((await loading('good')).key.heldBy).toBe('hsm')
  })

  test.each([true, false])(
    'is never accepted with an exportable key (requireHsm %s)',
    async (hsm) => {
      const code = hsm ? 'CERTIFICATE_KEY_NOT_IN_HSM' : 'CERTIFICATE_KEY_EXPORTABLE'
      await expect(loading('exportable', hsm)).rejects.toMatchObject({ code })
    },
  )

  test('is refused to an identity that may not read the key', async () => {
    const auditor = vaultAccessTo(emulator, 'auditor')
    const reading = createKeyVaultCertificateSource(auditor, systemClock).load(locationOf('good'))
    await expect(reading).rejects.toMatchObject({ code: 'CERTIFICATE_FORBIDDEN' })
    await auditor.close()
  })

  test.each(['server-error', 'server-error-after', 'drop-before', 'throttle'] as const)(
    'is asked for again later when the vault gives no answer: %s',
    async (kind) => {
      emulator.faults.add({ at: 'vault', kind, times: 1, probability: 1, delayMs: 0, status: 503 })
      const failure = await loading('good').catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(CertificateError)
      expect(failure).toMatchObject({ code: 'CERTIFICATE_UNREACHABLE', transient: true })
      await expect(loading('good')).resolves.toMatchObject({ name: 'partners' })
    },
  )

  test.each(['GET /certificates', 'GET /keys'])(
    'is asked for again later when the vault says nothing in time: %s',
    async (match) => {
      emulator.faults.add({
        at: 'vault',
        kind: 'delay',
        match,
        times: 1,
        probability: 1,
        delayMs: 2000,
        status: 503,
      })
      const impatient = vaultAccessTo(emulator, 'signer', 300)
      const reading = createKeyVaultCertificateSource(impatient, systemClock)
      await expect(reading.load(locationOf('good'))).rejects.toMatchObject({
        code: 'CERTIFICATE_UNREACHABLE',
      })
      await impatient.close()
    },
  )

  test('is no certificate when the body of the answer is something else', async () => {
    emulator.faults.add({
      at: 'vault',
      kind: 'malformed',
      match: 'GET /certificates',
      times: 2,
      probability: 1,
      delayMs: 0,
      status: 503,
    })
    await expect(loading('good')).rejects.toMatchObject({ code: 'CERTIFICATE_UNRECOGNISED' })
    emulator.faults.clear()
  })

  test('is read without a single operation on secrets', async () => {
    const records = await emulator.recordsOf(() => loading('good'))
    expect(records.map(({ operationName }) => operationName)).toContain('CertificateGet')
    expect(records.filter(({ operationName }) => operationName.startsWith('Secret'))).toEqual([])
  })
})
