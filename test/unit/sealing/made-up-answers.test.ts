import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test, describe } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createKeyVaultWrappingKey } from '../../../src/sealing/key-vault-wrapping-key.ts'
import { SealingError } from '../../../src/sealing/wrapping-key.ts'
import { protectedError } from '../../../src/telemetry/protected-error.ts'
import { createRedaction } from '../../../src/telemetry/redaction.ts'
import { startAnsweringVault, type VaultAnswer } from '../../support/answering-vault.ts'

/** What the emulator does not say, because a vault rarely does, or never: each has a code all the same. */

const version = '7e38eb9c8b554567aaf9966a7bbc0764'
const secret = createSecretKey(randomBytes(32))
const value = secret.export().toString('base64url')

const jwkOf = (modulusLength: number) => {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
  return { kty: 'RSA-HSM', n, e, key_ops: ['wrapKey', 'unwrapKey'] }
}
const sound = jwkOf(2048)

type Change = (path: string, url: string) => VaultAnswer | undefined

/** How unwrapping ends at a vault that answers soundly but for the change. */
async function unwrappingAt(change: Change): Promise<unknown> {
  const vault = await startAnsweringVault((path, url) => {
    const kid = `${url}/keys/k/${version}`
    const attributes = { enabled: true, hsmPlatform: '2' }
    return (
      change(path, url) ??
      (path.endsWith('/unwrapkey')
        ? { body: { kid, value } }
        : { body: { key: { kid, ...sound }, attributes } })
    )
  })
  try {
    const location = { vaultUrl: vault.url, vaultKeyName: 'k', requireHsm: true }
    const key = createKeyVaultWrappingKey(location, vault.access, systemClock, () => undefined)
    const keyId = `${vault.url}/keys/k/${version}`
    return await key.unwrap({ keyId, wrapped: randomBytes(256) })
  } catch (error) {
    return error
  } finally {
    await vault.close()
  }
}

const keyIs =
  (jwk: object, attributes: object = { enabled: true, hsmPlatform: '2' }): Change =>
  (path, url) =>
    path.endsWith('/unwrapkey')
      ? undefined
      : { body: { key: { kid: `${url}/keys/k/${version}`, ...jwk }, attributes } }

const unwrapped =
  (body: unknown, status = 200): Change =>
  (path) =>
    path.endsWith('/unwrapkey') ? { status, body } : undefined

describe('a vault', () => {
  test('that answers soundly gives the secret', async () => {
    const given = await unwrappingAt(() => undefined)
    expect(given).toHaveProperty('type', 'secret')
    expect(secret.equals(given as typeof secret)).toBe(true)
  })

  test.each<[string, Change, string]>([
    ['whose key is too small', keyIs(jwkOf(1024)), 'SEALING_KEY_NOT_RSA'],
    [
      'whose key is on a curve',
      keyIs({ ...sound, kty: 'EC-HSM', crv: 'P-256', n: undefined }),
      'SEALING_KEY_NOT_RSA',
    ],
    ['whose key has no modulus', keyIs({ ...sound, n: undefined }), 'SEALING_KEY_NOT_RSA'],
    [
      'whose key says nothing of its uses',
      keyIs({ ...sound, key_ops: undefined }),
      'SEALING_KEY_CANNOT_WRAP',
    ],
    [
      'whose key is called one of an HSM and is held by software',
      keyIs(sound, { enabled: true, hsmPlatform: '0' }),
      'SEALING_KEY_NOT_IN_HSM',
    ],
    [
      'whose key may be released from the HSM',
      keyIs(sound, { enabled: true, hsmPlatform: '2', exportable: true }),
      'SEALING_KEY_EXPORTABLE',
    ],
    [
      'that answers with a key of another vault',
      keyIs({ ...sound, kid: `https://127.0.0.1:9/keys/k/${version}` }),
      'SEALING_UNRECOGNISED',
    ],
    [
      'that answers with another version',
      (path, url) =>
        path.endsWith('/unwrapkey')
          ? undefined
          : { body: { key: { kid: `${url}/keys/k/${'0'.repeat(32)}`, ...sound } } },
      'SEALING_UNRECOGNISED',
    ],
    ['that unwraps to nothing', unwrapped({ value: '' }), 'SEALING_UNRECOGNISED'],
    ['that leaves the value out', unwrapped({}), 'SEALING_UNRECOGNISED'],
    [
      'that unwraps to more than a data key',
      unwrapped({ value: `${value}AAAA` }),
      'SEALING_DATA_KEY_DAMAGED',
    ],
    ['that says 402', unwrapped({ error: { code: 'Pay' } }, 402), 'SEALING_UNRECOGNISED'],
    [
      'that says that the key has expired',
      unwrapped({ error: { code: 'Forbidden', innererror: { code: 'KeyExpired' } } }, 403),
      'SEALING_KEY_OUTSIDE_VALIDITY',
    ],
  ])('%s is not believed', async (_case, change, code) => {
    const failure = await unwrappingAt(change)
    expect(failure).toBeInstanceOf(SealingError)
    expect(failure).toMatchObject({ code, message: code, transient: false })
  })
})

describe('nothing of a data key is in the log', () => {
  const words = { error: { code: 'BadParameter', message: `Property ${value} is invalid.` } }

  test.each<[string, unknown, number]>([
    ['repeats it', words, 400],
    ['repeats it in a code', { error: { code: value } }, 403],
    ['breaks off', `{"value":"${value}"`, 200],
    ['breaks off while it fails', `{"value":"${value}"`, 500],
  ])('when an answer %s', async (_case, body, status) => {
    const failure = await unwrappingAt(unwrapped(body, status))
    expect(failure).toBeInstanceOf(SealingError)
    const logged = JSON.stringify(protectedError(failure, createRedaction([])))
    const shown = inspect(failure, { depth: Infinity, showHidden: true })
    for (const text of [
      value,
      secret.export().toString('base64'),
      secret.export().toString('hex'),
    ]) {
      expect(logged).not.toContain(text)
      expect(shown).not.toContain(text)
    }
  })
})
