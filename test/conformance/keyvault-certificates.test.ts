import { createHash, createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { CertificateClient } from '@azure/keyvault-certificates'
import { KeyClient } from '@azure/keyvault-keys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { thumbprintOf } from '../../src/emulator/vault/bundles.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator
let certificates: CertificateClient
let keys: KeyClient

const vault = 'contoso-hsm'

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: vault,
        certificates: [
          { name: 'assert', subject: 'CN=assert, O=Contoso, C=NL' },
          { name: 'rolled' },
          { name: 'disabled', enabled: false },
          { name: 'expired', notBeforeSeconds: -7200, notAfterSeconds: -3600 },
          { name: 'exportable', keyType: 'RSA', exportable: true, keyOps: ['sign', 'wrapKey'] },
        ],
        roleAssignments: [
          { principal: 'signer', actions: ['certificates/read', 'keys/read'] },
          { principal: 'auditor', actions: ['certificates/read'], scope: 'certificates/assert' },
        ],
      },
    ],
  })
  certificates = client('signer')
  keys = new KeyClient(
    emulator.vaultUrl(vault),
    emulator.credential('signer'),
    emulator.clientOptions,
  )
})
afterAll(() => emulator.stop())

const client = (principal: string) =>
  new CertificateClient(
    emulator.vaultUrl(vault),
    emulator.credential(principal),
    emulator.clientOptions,
  )

const x509Of = (cer: Uint8Array | undefined) => new X509Certificate(Buffer.from(cer ?? []))

describe('a certificate', () => {
  test('is real X.509, self-signed by the key of the same name and version', async () => {
    const certificate = await certificates.getCertificate('assert')
    const x509 = x509Of(certificate.cer)
    const key = await keys.getKey('assert')
    const publicKey = createPublicKey({
      key: {
        kty: 'RSA',
        n: Buffer.from(key.key?.n ?? []).toString('base64url'),
        e: Buffer.from(key.key?.e ?? []).toString('base64url'),
      },
      format: 'jwk',
    })
    expect(x509.publicKey.equals(publicKey)).toBe(true)
    expect(x509.verify(publicKey)).toBe(true)
    expect(x509.ca).toBe(false)
    expect(x509.subject.split('\n')).toEqual(['CN=assert', 'O=Contoso', 'C=NL'])
    expect(certificate.keyId).toBe(key.id)
    expect(certificate.secretId).toBe(key.id?.replace('/keys/', '/secrets/'))
    expect(certificate.properties.id).toBe(key.id?.replace('/keys/', '/certificates/'))
  })

  test('mirrors its dates onto its key', async () => {
    const { cer, properties } = await certificates.getCertificate('assert')
    const { validFromDate, validToDate } = x509Of(cer)
    expect([properties.notBefore, properties.expiresOn]).toEqual([validFromDate, validToDate])
    const key = await keys.getKey('assert')
    expect([key.properties.notBefore, key.properties.expiresOn]).toEqual([
      validFromDate,
      validToDate,
    ])
  })

  test('has the SHA-1 of its DER as thumbprint', async () => {
    const { cer, properties } = await certificates.getCertificate('assert')
    const sha1 = createHash('sha1')
      .update(cer ?? '')
      .digest()
    expect(Buffer.from(properties.x509Thumbprint ?? []).equals(sha1)).toBe(true)
    expect(properties.x509ThumbprintString).toBe(sha1.toString('hex'))
  })

  test('gets the thumbprint that the real Key Vault gave to a recorded one', () => {
    const recorded = JSON.parse(
      readFileSync('test/fixtures/certificates/recorded-by-key-vault.json', 'utf8'),
    ) as Record<'cer' | 'x5t' | 'x5t#S256', string>
    const der = Buffer.from(recorded.cer, 'base64')
    expect(thumbprintOf(der)).toBe(recorded.x5t)
    expect(thumbprintOf(Buffer.from([...der, 0]))).not.toBe(recorded.x5t)
    expect(createHash('sha256').update(der).digest('base64url')).toBe(recorded['x5t#S256'])
  })

  test('comes with a policy that says how its key is held', async () => {
    expect((await certificates.getCertificate('assert')).policy).toMatchObject({
      exportable: false,
      keyType: 'RSA-HSM',
      keySize: 2048,
      reuseKey: false,
      issuerName: 'Self',
      keyUsage: ['digitalSignature'],
      subject: 'CN=assert, O=Contoso, C=NL',
    })
    expect(await certificates.getCertificatePolicy('exportable')).toMatchObject({
      exportable: true,
      keyType: 'RSA',
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      contentType: 'application/x-pkcs12',
    })
  })

  test.each(['disabled', 'expired'])('that is %s can still be read', async (name) => {
    const { properties, cer } = await certificates.getCertificate(name)
    expect(properties.enabled).toBe(name !== 'disabled')
    expect(cer?.length).toBeGreaterThan(700)
  })

  test('is not found by another name, or shown to whoever may not read it', async () => {
    await expect(certificates.getCertificate('absent')).rejects.toMatchObject({
      statusCode: 404,
      code: 'CertificateNotFound',
    })
    const scoped = client('auditor')
    expect((await scoped.getCertificate('assert')).name).toBe('assert')
    await expect(scoped.getCertificate('expired')).rejects.toMatchObject({ statusCode: 403 })
    await expect(client('bystander').getCertificate('assert')).rejects.toMatchObject({
      statusCode: 403,
    })
  })
})

describe('a new version', () => {
  test('is current at once, has a key of its own, and leaves the old one readable', async () => {
    const before = await certificates.getCertificate('rolled')
    await emulator.control(`POST /vaults/${vault}/certificates/rolled/roll`)
    const after = await certificates.getCertificate('rolled')
    expect(after.properties.version).not.toBe(before.properties.version)
    expect(x509Of(after.cer).publicKey.equals(x509Of(before.cer).publicKey)).toBe(false)

    const old = await certificates.getCertificateVersion('rolled', before.properties.version ?? '')
    expect(Buffer.from(old.cer ?? [])).toEqual(Buffer.from(before.cer ?? []))

    const versions: (string | undefined)[] = []
    for await (const one of certificates.listPropertiesOfCertificateVersions('rolled')) {
      versions.push(one.version)
    }
    expect(new Set(versions)).toEqual(
      new Set([before.properties.version, after.properties.version]),
    )
  })

  test('is refused by the control interface for what does not exist', async () => {
    await expect(
      emulator.control(`POST /vaults/${vault}/certificates/absent/roll`),
    ).rejects.toThrow('404 {"error":"no certificate \'absent\'"}')
    await expect(emulator.control('POST /vaults/nowhere/certificates/x/roll')).rejects.toThrow(
      /no vault 'nowhere': there is contoso-hsm/,
    )
  })
})
