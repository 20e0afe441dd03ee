import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { parseCertificateName } from '../../../src/base/ids.ts'
import { createKeyVaultCertificateSource } from '../../../src/certificate/key-vault-certificate.ts'
import { startAnsweringVault, type VaultAnswer } from '../../support/answering-vault.ts'
import { createClientCertificate } from '../../support/client-certificate.ts'
import { required } from '../../support/required.ts'

const version = '7e38eb9c8b554567aaf9966a7bbc0764'
const certificate = await createClientCertificate()
const ownKey = certificate.privateKey

const rsaJwk = (key: KeyObject) => {
  const { n, e } = key.export({ format: 'jwk' })
  return { kty: 'RSA-HSM', n, e }
}
const sound = { jwk: rsaJwk(ownKey), cer: certificate.der.toString('base64') }

/** Loads from a vault that answers these, and gives back the code that it ends with. */
async function codeFor(
  { jwk, cer }: { readonly jwk: object; readonly cer: string },
  change: (path: string) => VaultAnswer | undefined = () => undefined,
): Promise<unknown> {
  const vault = await startAnsweringVault((path, url) => {
    const changed = change(path)
    if (changed !== undefined) return changed
    const attributes = { enabled: true, hsmPlatform: '2', exportable: false }
    const policy = { key_props: { exportable: false } }
    const ids = { id: `${url}/certificates/c/${version}`, kid: `${url}/keys/c/${version}` }
    const key = { kid: ids.kid, key_ops: ['sign', 'verify'], ...jwk }
    return path.startsWith('/keys/')
      ? { body: { key, attributes } }
      : { body: { ...ids, cer, attributes, policy } }
  })
  try {
    await createKeyVaultCertificateSource(vault.access, systemClock).load({
      name: required(parseCertificateName('partners')),
      vaultUrl: vault.url,
      vaultCertificateName: 'c',
      requireHsm: true,
    })
    return 'loaded'
  } catch (error) {
    return (error as { code?: unknown }).code
  } finally {
    await vault.close()
  }
}

const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
const curve = { kty: 'EC-HSM', crv: 'P-256', x: 'AAAA', y: 'AAAA' }

describe('a vault whose key and certificate', () => {
  test('belong together is believed', async () => {
    expect(await codeFor(sound)).toBe('loaded')
  })

  test('do not belong together is not believed', async () => {
    const code = await codeFor({ ...sound, jwk: rsaJwk(other) })
    expect(code).toBe('CERTIFICATE_KEY_MISMATCH')
  })

  test.each([
    ['is on a curve', curve],
    ['is too small', rsaJwk(small)],
    ['has no length', { kty: 'RSA-HSM', n: '', e: '' }],
  ])('%s: not the kind that is used here', async (_case, jwk) => {
    expect(await codeFor({ ...sound, jwk })).toBe('CERTIFICATE_NOT_RSA')
  })

  test.each([
    ['has no modulus', { ...sound, jwk: { kty: 'RSA-HSM' } }],
    ['is no certificate', { ...sound, cer: Buffer.from('nothing').toString('base64') }],
    ['is empty', { ...sound, cer: '' }],
  ])('%s is not understood', async (_case, answers) => {
    expect(await codeFor(answers)).toBe('CERTIFICATE_UNRECOGNISED')
  })

  test('names a key of somebody else is not followed there', async () => {
    const elsewhere = { kid: `https://127.0.0.1:9/keys/c/${version}` }
    expect(await codeFor({ ...sound, jwk: { ...sound.jwk, ...elsewhere } })).toBe(
      'CERTIFICATE_UNRECOGNISED',
    )
  })

  test('says of itself that it may be exported is not used', async () => {
    const code = await codeFor(sound, (path) =>
      path.startsWith('/keys/')
        ? {
            body: {
              key: { kid: 'https://127.0.0.1/keys/c/1', key_ops: ['sign', 'verify'], ...sound.jwk },
              attributes: { enabled: true, hsmPlatform: '2', exportable: true },
            },
          }
        : undefined,
    )
    expect(code).toBe('CERTIFICATE_KEY_EXPORTABLE')
  })

  test.each([
    [408, '<html>', 'CERTIFICATE_UNREACHABLE'],
    [499, '', 'CERTIFICATE_UNREACHABLE'],
    [503, '', 'CERTIFICATE_UNREACHABLE'],
    [404, '', 'CERTIFICATE_MISSING'],
    [413, '', 'CERTIFICATE_UNRECOGNISED'],
  ])('cannot be read through what is before it: %d %j', async (status, body, code) => {
    const headers = { 'content-type': 'text/html' }
    expect(await codeFor(sound, () => ({ status, body, headers }))).toBe(code)
  })

  test('cannot be read for lack of a token of ours: asked again later', async () => {
    const vault = await startAnsweringVault(() => ({ body: {} }))
    const failing = new Error('no identity here')
    failing.name = 'CredentialUnavailableError'
    const access = { ...vault.access, credential: { getToken: () => Promise.reject(failing) } }
    const loading = createKeyVaultCertificateSource(access, systemClock).load({
      name: required(parseCertificateName('partners')),
      vaultUrl: vault.url,
      vaultCertificateName: 'c',
      requireHsm: true,
    })
    await expect(loading).rejects.toMatchObject({ code: 'CERTIFICATE_CREDENTIAL', transient: true })
    await vault.close()
  })
})
