import { constants, createHash, createPublicKey, verify, type KeyObject } from 'node:crypto'
import { RestError } from '@azure/core-rest-pipeline'
import { CertificateClient } from '@azure/keyvault-certificates'
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import { compactVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

const vault = 'contoso-hsm'
const day = 86_400

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: vault,
        certificates: [
          { name: 'assert', notBeforeSeconds: -day, notAfterSeconds: day },
          { name: 'rsa-3072', keySize: 3072 },
          { name: 'rsa-4096', keySize: 4096 },
          { name: 'software', keyType: 'RSA', exportable: true },
          { name: 'disabled', enabled: false },
          { name: 'expired', notBeforeSeconds: -2 * day, notAfterSeconds: -day },
          { name: 'not-yet-valid', notBeforeSeconds: day, notAfterSeconds: 2 * day },
          { name: 'wrap-only', keyOps: ['wrapKey', 'unwrapKey'] },
          { name: 'rolled' },
        ],
        keys: [
          { name: 'by-itself' },
          { name: 'by-itself-in-software', keyType: 'RSA', notAfterSeconds: day },
        ],
        roleAssignments: [
          {
            principal: 'signer',
            actions: ['keys/read', 'keys/sign/action', 'keys/verify/action', 'certificates/read'],
          },
          // May sign and verify, but not read: its clients stay remote, with no check of their own.
          { principal: 'auditor', actions: ['keys/sign/action', 'keys/verify/action'] },
        ],
      },
    ],
  })
})
afterAll(() => emulator.stop())

const keyClient = (principal = 'signer') =>
  new KeyClient(emulator.vaultUrl(vault), emulator.credential(principal), emulator.clientOptions)
const cryptographyClient = (key: KeyVaultKey | string, principal = 'signer') =>
  new CryptographyClient(key, emulator.credential(principal), emulator.clientOptions)
const keyUrl = (name: string, version = '') => `${emulator.vaultUrl(vault)}/keys/${name}/${version}`

const message = Buffer.from('header.payload')
const digestOf = (algorithm: string) =>
  createHash(`sha${algorithm.slice(2)}`)
    .update(message)
    .digest()

function publicKeyOf({ key }: KeyVaultKey): KeyObject {
  const member = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64url')
  return createPublicKey({
    key: { kty: 'RSA', n: member(key?.n), e: member(key?.e) },
    format: 'jwk',
  })
}

async function refusalOf(act: Promise<unknown>): Promise<RestError> {
  const error: unknown = await act.then(
    () => new Error('it was granted'),
    (reason: unknown) => reason,
  )
  if (error instanceof RestError) return error
  throw new TypeError(`not refused by the service: ${String(error)}`)
}

describe('a key', () => {
  test('is shown as HSM-held, for signing only, and never with private parts', async () => {
    const key = await keyClient().getKey('assert')
    expect(key.keyType).toBe('RSA-HSM')
    expect(key.keyOperations).toEqual(['sign', 'verify'])
    expect(key.properties).toMatchObject({
      enabled: true,
      exportable: false,
      managed: true,
      hsmPlatform: '2',
      recoveryLevel: 'Recoverable+Purgeable',
      recoverableDays: 90,
    })
    expect(key.properties.version).toMatch(/^[0-9a-f]{32}$/)
    expect(key.key?.n?.length).toBe(256)
    expect([key.key?.d, key.key?.p, key.key?.q]).toEqual([undefined, undefined, undefined])
  })

  test('in software says so', async () => {
    const key = await keyClient().getKey('software')
    expect(key.keyType).toBe('RSA')
    expect(key.properties).toMatchObject({ exportable: true, hsmPlatform: '0' })
  })

  test('is found whatever the case of its name', async () => {
    expect((await keyClient().getKey('ASSERT')).id).toBe((await keyClient().getKey('assert')).id)
  })

  test('can be asked for by version', async () => {
    const current = await keyClient().getKey('assert')
    const version = current.properties.version ?? ''
    expect((await keyClient().getKey('assert', { version })).id).toBe(current.id)
    const unknown = await refusalOf(keyClient().getKey('assert', { version: '0'.repeat(32) }))
    expect([unknown.statusCode, unknown.code]).toEqual([404, 'KeyNotFound'])
  })

  test('that does not exist is not found, in the words of Key Vault', async () => {
    const error = await refusalOf(keyClient().getKey('absent'))
    expect([error.statusCode, error.code]).toEqual([404, 'KeyNotFound'])
    expect(error.message).toBe(
      'A key with (name/id) absent was not found in this key vault. If you recently deleted this key you may be ' +
        'able to recover it using the correct recovery command. For help resolving this issue, please see ' +
        'https://go.microsoft.com/fwlink/?linkid=2125182',
    )
  })

  test('has an attestation when it is in an HSM, and none in software', async () => {
    const attested = await keyClient().getKeyAttestation('assert')
    expect(attested.properties.attestation?.publicKeyAttestation).toBeDefined()
    const software = await keyClient().getKeyAttestation('software')
    expect(software.properties.attestation).toBeUndefined()
  })
})

describe('a key that belongs to no certificate', () => {
  test('is shown without an end, for all uses, and not as managed', async () => {
    const key = await keyClient().getKey('By-Itself')
    expect(key.keyType).toBe('RSA-HSM')
    expect(key.keyOperations?.toSorted()).toEqual([
      'decrypt',
      'encrypt',
      'sign',
      'unwrapKey',
      'verify',
      'wrapKey',
    ])
    expect(key.properties).toMatchObject({ enabled: true, exportable: false, hsmPlatform: '2' })
    expect(key.properties.managed).toBeUndefined()
    expect([key.properties.notBefore, key.properties.expiresOn]).toEqual([undefined, undefined])
  })

  test('has the end that it was given', async () => {
    const { properties, keyType } = await keyClient().getKey('by-itself-in-software')
    const createdMs = properties.createdOn?.getTime() ?? 0
    expect(keyType).toBe('RSA')
    expect(properties.expiresOn?.getTime()).toBe(createdMs + day * 1000)
  })

  test('is no certificate', async () => {
    const certificates = new CertificateClient(
      emulator.vaultUrl(vault),
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const error = await refusalOf(certificates.getCertificate('by-itself'))
    expect([error.statusCode, error.code]).toEqual([404, 'CertificateNotFound'])
    expect(await certificates.getCertificate('assert')).toHaveProperty('cer')
    const names: string[] = []
    for await (const { name } of certificates.listPropertiesOfCertificates()) {
      names.push(name ?? '')
    }
    expect(names).toContain('assert')
    expect(names).not.toContain('by-itself')
  })

  test('signs like any other, and with its older versions too', async () => {
    const first = await keyClient().getKey('by-itself')
    await emulator.control(`POST /vaults/${vault}/keys/by-itself/roll`)
    const current = await keyClient().getKey('by-itself')
    expect(current.id).not.toBe(first.id)
    for (const key of [first, current]) {
      const { result } = await cryptographyClient(key).sign('RS256', digestOf('RS256'))
      expect(verify('sha256', message, publicKeyOf(key), result)).toBe(true)
    }
    expect(publicKeyOf(current).equals(publicKeyOf(first))).toBe(false)
  })

  test('is disabled and enabled by itself, as the control interface shows', async () => {
    const disabled = await emulator.control(`POST /vaults/${vault}/keys/by-itself/disable`)
    expect(disabled).toMatchObject({ enabled: false })
    const key = await keyClient().getKey('by-itself')
    expect(key.properties.enabled).toBe(false)
    const remote = cryptographyClient(keyUrl('by-itself'), 'auditor')
    expect((await refusalOf(remote.sign('RS256', digestOf('RS256')))).statusCode).toBe(403)
    await emulator.control(`POST /vaults/${vault}/keys/by-itself/enable`)
    expect((await remote.sign('RS256', digestOf('RS256'))).result).toHaveLength(256)
    const state = JSON.stringify(await emulator.control('GET /state'))
    expect(state).toContain('by-itself-in-software')
    expect(state).toContain(key.properties.version)
  })
})

describe('versions', () => {
  test('are listed over several pages; the newest is current and the oldest still signs', async () => {
    const first = await keyClient().getKey('rolled')
    await emulator.control(`POST /vaults/${vault}/certificates/rolled/roll`)
    await emulator.control(`POST /vaults/${vault}/certificates/rolled/roll`)

    const pages: number[] = []
    const versions = new Set<string | undefined>()
    const listing = keyClient().listPropertiesOfKeyVersions('rolled').byPage({ maxPageSize: 2 })
    for await (const page of listing) {
      pages.push(page.length)
      for (const { version } of page) versions.add(version)
    }
    expect(pages).toEqual([2, 1])

    const current = await keyClient().getKey('rolled')
    expect(versions.size).toBe(3)
    expect(versions.has(current.properties.version)).toBe(true)
    expect(current.id).not.toBe(first.id)
    expect(publicKeyOf(current).equals(publicKeyOf(first))).toBe(false)

    const { result } = await cryptographyClient(first).sign('RS256', digestOf('RS256'))
    expect(verify('sha256', message, publicKeyOf(first), result)).toBe(true)
  })

  test('of all keys are listed for whoever may read the whole vault', async () => {
    const names: string[] = []
    for await (const { name } of keyClient().listPropertiesOfKeys()) names.push(name)
    expect(names).toHaveLength(11)
    const denied = await refusalOf(keyClient('auditor').listPropertiesOfKeys().next())
    expect(denied.statusCode).toBe(403)
  })
})

describe('a signature', () => {
  const pss = {
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
  const pkcs1 = { padding: constants.RSA_PKCS1_PADDING }
  const cases = ['assert', 'rsa-3072', 'rsa-4096'].flatMap((name) =>
    (['PS256', 'RS256', 'PS384', 'RS384', 'PS512', 'RS512'] as const).map(
      (algorithm) => [name, algorithm] as const,
    ),
  )

  test.each(cases)(
    'by %s as %s over a digest verifies over the message',
    async (name, algorithm) => {
      const key = await keyClient().getKey(name)
      const { result } = await cryptographyClient(key).sign(algorithm, digestOf(algorithm))
      const verifier = {
        key: publicKeyOf(key),
        ...(algorithm.startsWith('PS') ? pss : pkcs1),
      }
      expect(verify(`sha${algorithm.slice(2)}`, message, verifier, result)).toBe(true)
      const other = Buffer.from('header.other')
      expect(verify(`sha${algorithm.slice(2)}`, other, verifier, result)).toBe(false)
    },
  )

  test.each(['PS256', 'RS256'])('as %s completes a JWS that jose accepts', async (alg) => {
    const key = await keyClient().getKey('assert')
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const input = `${part({ alg })}.${part({ sub: 'somebody' })}`
    const digest = createHash('sha256').update(input).digest()
    const { result } = await cryptographyClient(key).sign(alg, digest)
    const compact = `${input}.${Buffer.from(result).toString('base64url')}`
    const { protectedHeader } = await compactVerify(compact, publicKeyOf(key))
    expect(protectedHeader.alg).toBe(alg)
  })

  test('is made with the current version when the key is named without one', async () => {
    const remote = cryptographyClient(keyUrl('assert'), 'auditor')
    const { result } = await remote.sign('RS256', digestOf('RS256'))
    const key = await keyClient().getKey('assert')
    expect(verify('sha256', message, publicKeyOf(key), result)).toBe(true)
  })

  test('is verified by the vault, and an altered one is not', async () => {
    const key = await keyClient().getKey('assert')
    const cryptography = cryptographyClient(key)
    const digest = digestOf('PS256')
    const { result } = await cryptography.sign('PS256', digest)
    expect((await cryptography.verify('PS256', digest, result)).result).toBe(true)
    const altered = Uint8Array.from(result, (byte, i) => (i === 100 ? byte ^ 1 : byte))
    expect((await cryptography.verify('PS256', digest, altered)).result).toBe(false)
    expect((await cryptography.verify('RS256', digest, result)).result).toBe(false)
  })
})

describe('the vault refuses to sign', () => {
  const sign = async (name: string, algorithm = 'PS256', digest = digestOf('PS256')) =>
    refusalOf(cryptographyClient(keyUrl(name), 'auditor').sign(algorithm, digest))
  const innerCode = ({ details }: RestError) =>
    (details as { error?: { innerError?: { code?: string } } }).error?.innerError?.code

  test('a digest of another length than the algorithm takes', async () => {
    const error = await sign('assert', 'RS256', Buffer.alloc(31))
    expect([error.statusCode, error.code]).toEqual([400, 'BadParameter'])
    expect(error.message).toBe(
      "Invalid length of 'value': 31 bytes. RS256 requires 32 bytes, encoded with base64url.",
    )
  })

  test('with an algorithm for other kinds of key', async () => {
    const error = await sign('assert', 'ES256')
    expect([error.statusCode, error.code]).toEqual([400, 'BadParameter'])
    expect(error.message).toContain('Key and signing algorithm are incompatible.')
  })

  test('with an algorithm that nobody knows', async () => {
    const error = await sign('assert', 'none')
    expect([error.statusCode, error.code]).toEqual([400, 'BadParameter'])
  })

  test.each([
    ['disabled', 'KeyDisabled', 'Operation sign is not allowed on a disabled key.'],
    ['expired', 'KeyExpired', 'Operation sign is not allowed on an expired key.'],
    [
      'not-yet-valid',
      'KeyNotYetValid',
      'Operation sign is not allowed on a key that is not yet valid.',
    ],
    ['wrap-only', 'KeyOperationForbidden', 'Operation sign is not permitted on this key.'],
  ])('with a key that is %s', async (name, code, text) => {
    const error = await sign(name)
    expect([error.statusCode, error.code, innerCode(error)]).toEqual([403, 'Forbidden', code])
    expect(error.message).toBe(text)
  })

  test('with a key that was disabled while a client held it, until it is enabled', async () => {
    const cryptography = cryptographyClient(await keyClient().getKey('assert'))
    await emulator.control(`POST /vaults/${vault}/certificates/assert/disable`)
    const error = await refusalOf(cryptography.sign('PS256', digestOf('PS256')))
    expect(innerCode(error)).toBe('KeyDisabled')
    await emulator.control(`POST /vaults/${vault}/certificates/assert/enable`)
    expect((await cryptography.sign('PS256', digestOf('PS256'))).result).toHaveLength(256)
  })

  test('with a key whose time is over, although verifying goes on', async () => {
    const digest = digestOf('PS256')
    const remote = cryptographyClient(keyUrl('assert'), 'auditor')
    const { result } = await remote.sign('PS256', digest)
    await emulator.control('POST /clock', { shiftSeconds: 2 * day })
    try {
      // Made afresh, because its token is from the time that has passed.
      const later = cryptographyClient(keyUrl('assert'), 'auditor')
      expect(innerCode(await refusalOf(later.sign('PS256', digest)))).toBe('KeyExpired')
      expect((await later.verify('PS256', digest, result)).result).toBe(true)
    } finally {
      await emulator.control('POST /clock', { shiftSeconds: -2 * day })
    }
  })
})

describe('role-based access', () => {
  test('is denied with everything an administrator needs to know', async () => {
    const error = await refusalOf(keyClient('bystander').getKey('assert'))
    expect([error.statusCode, error.code]).toEqual([403, 'Forbidden'])
    expect(error.message.split('\r\n')).toEqual([
      'Caller is not authorized to perform action on resource.',
      'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
      expect.stringMatching(
        /^Caller: appid=51000000-0000-4000-8000-0000000000c3;oid=51000000-0000-4000-8000-000000000003;iss=https:\/\/.*\/$/,
      ),
      "Action: 'Microsoft.KeyVault/vaults/keys/read'",
      expect.stringMatching(
        /^Resource: '\/subscriptions\/[-0-9a-f]{36}\/resourcegroups\/\w+\/providers\/microsoft\.keyvault\/vaults\/contoso-hsm\/keys\/assert'$/,
      ),
      'Assignment: (not found)',
      'DenyAssignmentId: null',
      "DecisionReason: 'DeniedWithNoValidRBAC' ",
      'Vault: contoso-hsm;location=westeurope',
    ])
  })

  test('does not tell whoever lacks it which keys exist', async () => {
    const error = await refusalOf(keyClient('bystander').getKey('absent'))
    expect(error.statusCode).toBe(403)
  })

  test('lets a principal sign that may not read', async () => {
    expect((await refusalOf(keyClient('auditor').getKey('assert'))).statusCode).toBe(403)
    const remote = cryptographyClient(keyUrl('assert'), 'auditor')
    expect((await remote.sign('PS256', digestOf('PS256'))).result).toHaveLength(256)
  })

  test.each([
    ['delete', () => keyClient().beginDeleteKey('assert')],
    ['backup', () => keyClient().backupKey('assert')],
    ['rotate', () => keyClient().rotateKey('assert')],
  ])('to %s is granted to nobody here', async (_, act) => {
    expect((await refusalOf(act())).statusCode).toBe(403)
  })
})

describe('switches for what nobody has confirmed', () => {
  test('decide about the words of a refusal and about leeway', async () => {
    const other = await startTestEmulator({
      unconfirmed: {
        innerErrorKeyDisabled: '',
        innerErrorKeyOperation: 'OperationNotAllowed',
        keyTimeLeewaySeconds: 300,
      },
      vaults: [
        {
          name: vault,
          certificates: [
            { name: 'disabled', enabled: false },
            { name: 'wrap-only', keyOps: ['wrapKey', 'unwrapKey'] },
            { name: 'just-expired', notBeforeSeconds: -day, notAfterSeconds: -60 },
            { name: 'long-expired', notBeforeSeconds: -day, notAfterSeconds: -600 },
          ],
          roleAssignments: [{ principal: 'signer', actions: ['keys/sign/action'] }],
        },
      ],
    })
    const verdictOf = async (name: string) => {
      const { status, body } = await other.ask(vault, `POST /keys/${name}/sign?api-version=7.4`, {
        token: await other.token('signer'),
        body: { alg: 'RS256', value: digestOf('RS256').toString('base64url') },
      })
      const { error } = body as { error?: { innererror?: { code: string } } }
      return [status, error?.innererror?.code]
    }
    const verdicts = [
      await verdictOf('disabled'),
      await verdictOf('wrap-only'),
      await verdictOf('just-expired'),
      await verdictOf('long-expired'),
    ]
    await other.stop()
    expect(verdicts).toEqual([
      [403, undefined],
      [403, 'OperationNotAllowed'],
      [200, undefined],
      [403, 'KeyExpired'],
    ])
  })
})
