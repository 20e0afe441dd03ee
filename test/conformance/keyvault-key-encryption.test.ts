import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto'
import { RestError } from '@azure/core-rest-pipeline'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
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
        certificates: [{ name: 'signing' }],
        keys: [
          { name: 'wrapping', keyOps: ['wrapKey', 'unwrapKey'] },
          { name: 'other', keyOps: ['wrapKey', 'unwrapKey'] },
          { name: 'rsa-3072', keySize: 3072 },
          { name: 'rsa-4096', keySize: 4096, keyType: 'RSA' },
          { name: 'disabled', enabled: false },
          { name: 'expired', notAfterSeconds: -day },
          { name: 'not-yet-valid', notBeforeSeconds: day },
          { name: 'unwrap-only', keyOps: ['unwrapKey'] },
        ],
        roleAssignments: [
          {
            principal: 'signer',
            actions: [
              'keys/read',
              'keys/wrap/action',
              'keys/unwrap/action',
              'keys/encrypt/action',
              'keys/decrypt/action',
            ],
          },
          // May not read: its clients stay remote, with no check of their own and nothing done locally.
          { principal: 'auditor', actions: ['keys/wrap/action', 'keys/unwrap/action'] },
          {
            principal: 'bystander',
            actions: ['keys/read', 'keys/wrap/action'],
            scope: 'keys/wrapping',
          },
        ],
      },
    ],
  })
})
afterAll(() => emulator.stop())

const keyClient = (principal = 'signer') =>
  new KeyClient(emulator.vaultUrl(vault), emulator.credential(principal), emulator.clientOptions)
const keyUrl = (name: string) => `${emulator.vaultUrl(vault)}/keys/${name}/`
const remote = (name: string, principal = 'auditor') =>
  new CryptographyClient(keyUrl(name), emulator.credential(principal), emulator.clientOptions)

const dataKey = randomBytes(32)

async function refusalOf(act: Promise<unknown>): Promise<RestError> {
  const error: unknown = await act.then(
    () => new Error('it was granted'),
    (reason: unknown) => reason,
  )
  if (error instanceof RestError) return error
  throw new TypeError(`not refused by the service: ${String(error)}`)
}

const codesOf = ({ statusCode, code, details }: RestError) => [
  statusCode,
  code,
  (details as { error?: { innerError?: { code?: string } } }).error?.innerError?.code,
]

const operationsOf = async (act: () => Promise<unknown>) =>
  (await emulator.recordsOf(act))
    .filter(({ properties }) => properties.httpStatusCode === 200)
    .map(({ operationName, properties }) => [operationName, properties['algorithm']])

describe('a wrapped key', () => {
  const cases = ['wrapping', 'rsa-3072', 'rsa-4096'].flatMap((name) =>
    (['RSA-OAEP-256', 'RSA-OAEP'] as const).map((algorithm) => [name, algorithm] as const),
  )

  test.each(cases)(
    'by %s with %s is unwrapped by the same key, and by the vault alone',
    async (name, algorithm) => {
      const client = remote(name)
      const { result } = await client.wrapKey(algorithm, dataKey)
      expect(result.length).toBeGreaterThanOrEqual(256)
      expect(Buffer.from(result).includes(dataKey)).toBe(false)
      const unwrapped = await client.unwrapKey(algorithm, result)
      expect(Buffer.from(unwrapped.result)).toEqual(dataKey)
    },
  )

  test('looks different each time', async () => {
    const client = remote('wrapping')
    const [one, other] = [
      await client.wrapKey('RSA-OAEP-256', dataKey),
      await client.wrapKey('RSA-OAEP-256', dataKey),
    ]
    expect(Buffer.from(one.result)).not.toEqual(Buffer.from(other.result))
  })

  test('with RSA-OAEP is wrapped by the SDK itself where it may read the key, and unwrapped all the same', async () => {
    const key = await keyClient().getKey('wrapping')
    const client = new CryptographyClient(
      key,
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const operations = await operationsOf(async () => {
      const { result } = await client.wrapKey('RSA-OAEP', dataKey)
      const unwrapped = await client.unwrapKey('RSA-OAEP', result)
      expect(Buffer.from(unwrapped.result)).toEqual(dataKey)
    })
    expect(operations).toEqual([['KeyUnwrap', 'RSA-OAEP']])
  })

  test('with RSA-OAEP-256 is wrapped by the vault even so', async () => {
    const client = new CryptographyClient(
      await keyClient().getKey('wrapping'),
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const operations = await operationsOf(async () => {
      const { result } = await client.wrapKey('RSA-OAEP-256', dataKey)
      await client.unwrapKey('RSA-OAEP-256', result)
    })
    expect(operations).toEqual([
      ['KeyWrap', 'RSA-OAEP-256'],
      ['KeyUnwrap', 'RSA-OAEP-256'],
    ])
  })

  test('made with the public half by plain node:crypto is unwrapped: MGF1 has the same hash', async () => {
    const { key } = await keyClient().getKey('wrapping')
    const member = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64url')
    const publicKey = createPublicKey({
      key: { kty: 'RSA', n: member(key?.n), e: member(key?.e) },
      format: 'jwk',
    })
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const wrapped = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, dataKey)
    const unwrapped = await remote('wrapping').unwrapKey('RSA-OAEP-256', wrapped)
    expect(Buffer.from(unwrapped.result)).toEqual(dataKey)
  })

  test('is unwrapped by the version that wrapped it, and by no other', async () => {
    const first = await keyClient().getKey('other')
    const withFirst = keyClient().getCryptographyClient('other', {
      keyVersion: first.properties.version ?? '',
    })
    const { result } = await withFirst.wrapKey('RSA-OAEP-256', dataKey)
    await emulator.control(`POST /vaults/${vault}/keys/other/roll`)
    expect(Buffer.from((await withFirst.unwrapKey('RSA-OAEP-256', result)).result)).toEqual(dataKey)
    const error = await refusalOf(remote('other').unwrapKey('RSA-OAEP-256', result))
    expect([...codesOf(error), error.message]).toEqual([
      400,
      'BadParameter',
      undefined,
      'Error occurred while decoding OAEP padding.',
    ])
  })

  test.each(['expired', 'not-yet-valid'])(
    'is unwrapped with a key that is %s, because what it wrapped is still needed',
    async (name) => {
      // Which the vault would not do any more, or not yet.
      const { key } = await keyClient().getKey(name)
      const client = new CryptographyClient({ ...key, keyOps: ['wrapKey'] })
      const { result } = await client.wrapKey('RSA-OAEP', dataKey)
      const unwrapped = await remote(name).unwrapKey('RSA-OAEP', result)
      expect(Buffer.from(unwrapped.result)).toEqual(dataKey)
    },
  )
})

describe('encrypting', () => {
  test('is another operation with the same arithmetic', async () => {
    const client = remote('rsa-3072', 'signer')
    const operations = await operationsOf(async () => {
      const { result } = await client.encrypt({ algorithm: 'RSA-OAEP-256', plaintext: dataKey })
      const { result: plaintext } = await client.decrypt({
        algorithm: 'RSA-OAEP-256',
        ciphertext: result,
      })
      expect(Buffer.from(plaintext)).toEqual(dataKey)
    })
    expect(operations).toEqual([
      ['KeyGet', undefined],
      ['KeyEncrypt', 'RSA-OAEP-256'],
      ['KeyDecrypt', 'RSA-OAEP-256'],
    ])
  })

  test('needs a role of its own', async () => {
    const plaintext = { algorithm: 'RSA-OAEP-256' as const, plaintext: dataKey }
    expect((await refusalOf(remote('rsa-3072').encrypt(plaintext))).statusCode).toBe(403)
  })
})

describe('the vault refuses', () => {
  const ask = async (request: string, alg: string, value: Buffer, principal = 'signer') => {
    const { status, body } = await emulator.ask(vault, `${request}?api-version=7.4`, {
      token: await emulator.token(principal),
      body: { alg, value: value.toString('base64url') },
    })
    const { error } = body as {
      error?: { code: string; message: string; innererror?: { code: string } }
    }
    return [status, error?.innererror?.code ?? error?.code, error?.message]
  }

  test.each([
    ['disabled', 'KeyDisabled', 'Operation wrapKey is not allowed on a disabled key.'],
    ['expired', 'KeyExpired', 'Operation wrapKey is not allowed on an expired key.'],
    [
      'not-yet-valid',
      'KeyNotYetValid',
      'Operation wrapKey is not allowed on a key that is not yet valid.',
    ],
    ['unwrap-only', 'KeyOperationForbidden', 'Operation wrapKey is not permitted on this key.'],
    ['signing', 'KeyOperationForbidden', 'Operation wrapKey is not permitted on this key.'],
  ])('to wrap with a key that is %s', async (name, code, text) => {
    expect(await ask(`POST /keys/${name}/wrapkey`, 'RSA-OAEP-256', dataKey)).toEqual([
      403,
      code,
      text,
    ])
  })

  test('to unwrap with a key that is disabled', async () => {
    expect(await ask('POST /keys/disabled/unwrapkey', 'RSA-OAEP-256', dataKey)).toEqual([
      403,
      'KeyDisabled',
      'Operation unwrapKey is not allowed on a disabled key.',
    ])
  })

  test('to unwrap what was never wrapped, or with another algorithm', async () => {
    const refused = [400, 'BadParameter', 'Error occurred while decoding OAEP padding.']
    const unwrap = 'POST /keys/wrapping/unwrapkey'
    expect(await ask(unwrap, 'RSA-OAEP-256', randomBytes(256))).toEqual(refused)
    expect(await ask(unwrap, 'RSA-OAEP-256', randomBytes(8))).toEqual(refused)
    const { result } = await remote('wrapping').wrapKey('RSA-OAEP', dataKey)
    expect(await ask(unwrap, 'RSA-OAEP-256', Buffer.from(result))).toEqual(refused)
    expect(await ask(unwrap, 'RSA-OAEP', Buffer.from(result))).toEqual([200, undefined, undefined])
  })

  test('to wrap one byte more than fits', async () => {
    const wrap = 'POST /keys/wrapping/wrapkey'
    expect(await ask(wrap, 'RSA-OAEP-256', Buffer.alloc(190))).toEqual([200, undefined, undefined])
    expect(await ask(wrap, 'RSA-OAEP-256', Buffer.alloc(191))).toEqual([
      400,
      'BadParameter',
      "Invalid length of 'value': 191 bytes. RSA-OAEP-256 takes at most 190 bytes with this key.",
    ])
    expect(await ask(wrap, 'RSA-OAEP', Buffer.alloc(214))).toEqual([200, undefined, undefined])
    expect((await ask(wrap, 'RSA-OAEP', Buffer.alloc(215)))[0]).toBe(400)
  })

  test.each([
    ['for other kinds of key', 'A256KW', /^Key and encryption algorithm are incompatible\./],
    ['that nobody knows', 'RSA-OAEP-257', /^Property 'alg' is invalid\.$/],
    ['that is for signing', 'PS256', /^Property 'alg' is invalid\.$/],
  ])('an algorithm %s', async (_case, alg, text) => {
    expect(await ask('POST /keys/wrapping/wrapkey', alg, dataKey)).toEqual([
      400,
      'BadParameter',
      expect.stringMatching(text),
    ])
  })

  test('what is no base64url', async () => {
    const { status } = await emulator.ask(vault, 'POST /keys/wrapping/wrapkey?api-version=7.4', {
      token: await emulator.token('signer'),
      body: { alg: 'RSA-OAEP-256', value: 'a+b=' },
    })
    expect(status).toBe(400)
  })

  test('who may wrap, but not unwrap, in the words of Key Vault', async () => {
    const { result } = await remote('wrapping', 'bystander').wrapKey('RSA-OAEP-256', dataKey)
    const error = await refusalOf(remote('wrapping', 'bystander').unwrapKey('RSA-OAEP-256', result))
    expect(codesOf(error)).toEqual([403, 'Forbidden', 'ForbiddenByRbac'])
    expect(error.message).toContain("Action: 'Microsoft.KeyVault/vaults/keys/unwrap/action'\r\n")
    expect(error.message).toMatch(/\/vaults\/contoso-hsm\/keys\/wrapping'\r\n/)
  })

  test('who may wrap with another key alone', async () => {
    const error = await refusalOf(remote('other', 'bystander').wrapKey('RSA-OAEP-256', dataKey))
    expect(codesOf(error)).toEqual([403, 'Forbidden', 'ForbiddenByRbac'])
    expect(error.message).toContain("Action: 'Microsoft.KeyVault/vaults/keys/wrap/action'\r\n")
  })
})

describe('the record of an unwrapping', () => {
  test('says with which version and algorithm, and never what', async () => {
    const client = remote('wrapping')
    const { result } = await client.wrapKey('RSA-OAEP-256', dataKey)
    const records = await emulator.recordsOf(() => client.unwrapKey('RSA-OAEP-256', result))
    const version = emulator.vaults[0]?.store.keys.find('wrapping')?.versions.at(-1)?.version ?? ''
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      operationName: 'KeyUnwrap',
      identity: { claim: { oid: '51000000-0000-4000-8000-000000000002' } },
      properties: {
        id: `${keyUrl('wrapping')}${version}`,
        algorithm: 'RSA-OAEP-256',
        httpStatusCode: 200,
        keyProperties: { type: 'RSA-HSM', size: 2048, operations: ['wrapKey', 'unwrapKey'] },
      },
    })
    const text = JSON.stringify(records)
    for (const secret of [dataKey, Buffer.from(result)]) {
      expect(text).not.toContain(secret.toString('base64url'))
    }
  })

  test('counts against the budget of its kind of key, by its size', async () => {
    const small = await startTestEmulator({
      throttleScale: 0.008,
      vaults: [
        {
          name: vault,
          keys: [{ name: 'rsa-4096', keySize: 4096 }],
          roleAssignments: [{ principal: 'signer', actions: ['keys/wrap/action'] }],
        },
      ],
    })
    const token = await small.token('signer')
    const wrap = () =>
      small.ask(vault, 'POST /keys/rsa-4096/wrapkey?api-version=7.4', {
        token,
        body: { alg: 'RSA-OAEP-256', value: dataKey.toString('base64url') },
      })
    // 16 units in 10 s, and one operation spends eight of them.
    await small.control('POST /clock', { shiftSeconds: 10 - ((Date.now() / 1000) % 10) })
    const statuses = [await wrap(), await wrap(), await wrap()].map(({ status }) => status)
    await small.stop()
    expect(statuses).toEqual([200, 200, 429])
  })
})
