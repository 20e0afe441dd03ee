import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Fault } from '../../../src/emulator/faults.ts'
import type { VaultRecord } from '../../../src/emulator/vault-log/record.ts'
import type { WrappedSecret } from '../../../src/sealing/data-key.ts'
import {
  type AskedKey,
  createKeyVaultWrappingKey,
} from '../../../src/sealing/key-vault-wrapping-key.ts'
import { SealingError, type WrappingKey } from '../../../src/sealing/wrapping-key.ts'
import type { VaultAccess } from '../../../src/vault-access/vault-access.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { vaultAccessTo } from '../../support/vault-access.ts'

let emulator: TestEmulator
let access: VaultAccess

const own = ['wrapKey' as const, 'unwrapKey' as const]

/** What the documentation has an operator grant. */
const role = ['keys/read', 'keys/wrap/action', 'keys/unwrap/action'] as const
type Action = (typeof role)[number]

const vaultWithout = (action: Action) => ({
  name: `without-${role.indexOf(action)}`,
  keys: [{ name: 'wrapping', keyOps: own }],
  roleAssignments: [{ principal: 'signer', actions: role.filter((other) => other !== action) }],
})

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'hsm',
        keys: [
          { name: 'wrapping', keyOps: own },
          { name: 'other', keyOps: own },
          { name: 'rolling', keyOps: own },
          { name: 'large', keyOps: own, keySize: 4096 },
          { name: 'software', keyOps: own, keyType: 'RSA' },
          { name: 'exportable', keyOps: own, keyType: 'RSA', exportable: true },
          { name: 'wraps-alone', keyOps: ['wrapKey'] },
          { name: 'unwraps-alone', keyOps: ['unwrapKey'] },
          { name: 'encrypts-too', keyOps: [...own, 'encrypt'] },
          { name: 'decrypts-too', keyOps: [...own, 'decrypt'] },
          { name: 'signs-too', keyOps: [...own, 'sign', 'verify'] },
          { name: 'signs', keyOps: ['sign', 'verify'] },
          { name: 'disabled', keyOps: own, enabled: false },
          { name: 'expired', keyOps: own, notAfterSeconds: -60 },
          { name: 'too-early', keyOps: own, notBeforeSeconds: 3600 },
          { name: 'ends', keyOps: own, notAfterSeconds: 3600 },
        ],
        certificates: [{ name: 'of-a-certificate', keyOps: own }, { name: 'signing' }],
        roleAssignments: [{ principal: 'signer', actions: [...role] }],
      },
      ...role.map(vaultWithout),
    ],
  })
  access = vaultAccessTo(emulator, 'signer')
})
afterEach(() => {
  emulator.faults.clear()
})
afterAll(async () => {
  await access.close()
  await emulator.stop()
})

const wrappingKey = (
  vaultKeyName: string,
  {
    requireHsm = true,
    clock = systemClock,
    as = access,
    vault = 'hsm',
    onAsked = (_key: AskedKey, _requests: number): void => undefined,
  } = {},
): WrappingKey =>
  createKeyVaultWrappingKey(
    { vaultUrl: emulator.vaultUrl(vault), vaultKeyName, requireHsm },
    as,
    clock,
    onAsked,
  )

const secret = createSecretKey(randomBytes(32))
const textsOf = (key: KeyObject) =>
  (['base64url', 'base64', 'hex'] as const).map((encoding) =>
    key.export().toString(encoding).slice(0, 12),
  )

const failureOf = async (act: () => Promise<unknown>): Promise<SealingError> => {
  const failure: unknown = await act().then(
    () => new Error('it succeeded'),
    (error: unknown) => error,
  )
  if (failure instanceof SealingError) return failure
  throw new Error('expected a SealingError', { cause: failure })
}

const operationAndStatus = ({ operationName, properties }: VaultRecord) =>
  `${operationName} ${properties.httpStatusCode}`

function strike(fault: Partial<Fault>): void {
  const defaults = { at: 'vault', kind: 'delay', times: 1, probability: 1 } as const
  emulator.faults.add({ ...defaults, delayMs: 2000, status: 503, ...fault })
}

describe('a wrapping key of Key Vault', () => {
  test.each(['wrapping', 'large'])('unwraps what it has wrapped: %s', async (name) => {
    const key = wrappingKey(name)
    const wrapped = await key.wrap(secret)
    expect(wrapped.keyId).toMatch(
      new RegExp(`^${emulator.vaultUrl('hsm')}/keys/${name}/[0-9a-f]{32}$`),
    )
    expect(Buffer.from(wrapped.wrapped).includes(secret.export())).toBe(false)
    expect((await key.unwrap(wrapped)).equals(secret)).toBe(true)
  })

  test('wraps in the vault, and has it given back before anybody uses it', async () => {
    const records = await emulator.recordsOf(() => wrappingKey('wrapping').wrap(secret))
    const done = records.filter(({ properties }) => properties.httpStatusCode === 200)
    expect(done.map(({ operationName }) => operationName)).toEqual([
      'KeyGet',
      'KeyGet',
      'KeyWrap',
      'KeyUnwrap',
    ])
    expect(done.at(-1)?.properties['algorithm']).toBe('RSA-OAEP-256')
  })

  test('tells of every request that the vault counts for it, done or refused', async () => {
    const asked: string[] = []
    const key = wrappingKey('large', {
      onAsked: ({ keyId, heldBy, publicKey }, requests) => {
        expect(keyId).toContain('/keys/large/')
        const bits = publicKey.asymmetricKeyDetails?.modulusLength
        asked.push(...Array<string>(requests).fill(`${heldBy} ${String(bits)}`))
      },
    })
    const records = await emulator.recordsOf(async () => {
      const { keyId } = await key.wrap(secret)
      await failureOf(() => key.unwrap({ keyId, wrapped: randomBytes(512) }))
    })
    const counted = records.filter(({ properties }) => properties.httpStatusCode !== 401)
    expect(counted).toHaveLength(7)
    expect(asked).toEqual(Array(7).fill('hsm 4096'))
  })

  test('unwraps several at once on a client that was never used', async () => {
    const wrapped = await wrappingKey('wrapping').wrap(secret)
    const cold = wrappingKey('wrapping')
    const unwrapped = await Promise.all(Array.from({ length: 10 }, () => cold.unwrap(wrapped)))
    expect(unwrapped.every((one) => one.equals(secret))).toBe(true)
  })

  test('wraps with the current version, and unwraps with the one that wrapped', async () => {
    const key = wrappingKey('rolling')
    const before = await key.wrap(secret)
    await emulator.control('POST /vaults/hsm/keys/rolling/roll')
    const after = await key.wrap(secret)
    expect(after.keyId).not.toBe(before.keyId)
    expect((await key.unwrap(before)).equals(secret)).toBe(true)
    expect((await key.unwrap(after)).equals(secret)).toBe(true)
  })

  test('is found whatever the case of its name, as vaults have it', async () => {
    const wrapped = await wrappingKey('WRAPPING').wrap(secret)
    expect((await wrappingKey('wrapping').unwrap(wrapped)).equals(secret)).toBe(true)
  })

  test.each([
    ['wraps-alone', 'SEALING_KEY_CANNOT_WRAP'],
    ['unwraps-alone', 'SEALING_KEY_CANNOT_WRAP'],
    ['encrypts-too', 'SEALING_KEY_HAS_OTHER_USES'],
    ['decrypts-too', 'SEALING_KEY_HAS_OTHER_USES'],
    ['signs-too', 'SEALING_KEY_HAS_OTHER_USES'],
    ['signs', 'SEALING_KEY_CANNOT_WRAP'],
    ['signing', 'SEALING_KEY_CANNOT_WRAP'],
    ['of-a-certificate', 'SEALING_KEY_OF_CERTIFICATE'],
    ['software', 'SEALING_KEY_NOT_IN_HSM'],
    ['exportable', 'SEALING_KEY_NOT_IN_HSM'],
    ['disabled', 'SEALING_KEY_DISABLED'],
    ['expired', 'SEALING_KEY_OUTSIDE_VALIDITY'],
    ['too-early', 'SEALING_KEY_OUTSIDE_VALIDITY'],
    ['nothing-here', 'SEALING_KEY_MISSING'],
  ])('is refused when it is %s: nothing is wrapped', async (name, code) => {
    const records = await emulator.recordsOf(async () => {
      const failure = await failureOf(() => wrappingKey(name).wrap(secret))
      expect([failure.code, failure.transient]).toEqual([code, false])
    })
    expect(records.map(({ operationName }) => operationName)).not.toContain('KeyWrap')
  })

  test('may be held by software only when the operator says so, and never be exportable', async () => {
    const software = wrappingKey('software', { requireHsm: false })
    expect(await software.wrap(secret)).toHaveProperty('wrapped')
    const exportable = wrappingKey('exportable', { requireHsm: false })
    expect(await failureOf(() => exportable.wrap(secret))).toMatchObject({
      code: 'SEALING_KEY_EXPORTABLE',
    })
  })

  test('is not used after its end, which unwrapping is proven by too', async () => {
    const wrapped = await wrappingKey('ends').wrap(secret)
    const later = fixedClock(systemClock.nowSeconds() + 3601)
    const failure = await failureOf(() => wrappingKey('ends', { clock: later }).unwrap(wrapped))
    expect(failure.code).toBe('SEALING_KEY_OUTSIDE_VALIDITY')
    expect((await wrappingKey('ends').unwrap(wrapped)).equals(secret)).toBe(true)
  })
})

describe('a data key that was tampered with', () => {
  let wrapped: WrappedSecret
  beforeAll(async () => {
    wrapped = await wrappingKey('wrapping').wrap(secret)
  })

  test.each([
    ['of another key', (keyId: string) => keyId.replace('/wrapping/', '/other/')],
    ['of another vault', (keyId: string) => keyId.replace('https://', 'https://evil.')],
    ['of a longer host', (keyId: string) => keyId.replace('/keys', '.example/keys')],
    [
      'of a path elsewhere',
      (keyId: string) => keyId.replace(/.{32}$/, '../../keys/other/aaaaaaaaaa'),
    ],
    ['of no version', (keyId: string) => keyId.replace(/.{32}$/, '')],
    ['of nothing', () => ''],
  ])('names a key %s: nobody is asked', async (_case, change) => {
    const keyId = change(wrapped.keyId)
    const records = await emulator.recordsOf(async () => {
      const failure = await failureOf(() => wrappingKey('wrapping').unwrap({ ...wrapped, keyId }))
      expect([failure.code, failure.transient]).toEqual(['SEALING_KEY_FOREIGN', false])
    })
    expect(records).toEqual([])
  })

  test('names a version that there never was', async () => {
    const keyId = wrapped.keyId.replace(/.{32}$/, '0'.repeat(32))
    const failure = await failureOf(() => wrappingKey('wrapping').unwrap({ ...wrapped, keyId }))
    expect(failure.code).toBe('SEALING_KEY_MISSING')
  })

  test.each([
    ['one bit of it is changed', (bytes: Buffer) => bytes.fill((bytes[9] ?? 0) ^ 1, 9, 10)],
    ['it is cut', (bytes: Buffer) => bytes.subarray(1)],
    ['there is none of it', () => Buffer.alloc(0)],
  ])('is damaged when %s', async (_case, change) => {
    const bytes = change(Buffer.from(wrapped.wrapped))
    const unwrapping = () => wrappingKey('wrapping').unwrap({ ...wrapped, wrapped: bytes })
    expect((await failureOf(unwrapping)).code).toBe('SEALING_DATA_KEY_DAMAGED')
  })

  test('is damaged when it is wrapped soundly, and is no data key', async () => {
    const short = await wrappingKey('wrapping')
      .wrap(createSecretKey(randomBytes(16)))
      .catch((error: unknown) => error)
    expect(short).toMatchObject({ code: 'SEALING_NOT_GIVEN_BACK' })
    const client = await emulator.ask('hsm', 'POST /keys/wrapping/wrapkey?api-version=7.4', {
      token: await emulator.token('signer'),
      body: { alg: 'RSA-OAEP-256', value: randomBytes(16).toString('base64url') },
    })
    const { value } = client.body as { value: string }
    const bytes = Buffer.from(value, 'base64url')
    const unwrapping = () => wrappingKey('wrapping').unwrap({ ...wrapped, wrapped: bytes })
    expect((await failureOf(unwrapping)).code).toBe('SEALING_DATA_KEY_DAMAGED')
  })
})

describe('a vault that does not do it', () => {
  test.each(['throttle', 'server-error', 'drop-before', 'drop-after'] as const)(
    'gives no answer to the reading of the key: %s',
    async (kind) => {
      strike({ kind, match: 'GET /keys/' })
      const failure = await failureOf(() => wrappingKey('wrapping').wrap(secret))
      expect([failure.code, failure.transient]).toEqual(['SEALING_UNREACHABLE', true])
    },
  )

  test.each(['throttle', 'server-error', 'drop-before', 'drop-after'] as const)(
    'gives no answer to wrapping or unwrapping: %s',
    async (kind) => {
      const wrapped = await wrappingKey('wrapping').wrap(secret)
      for (const match of ['wrapkey', '/unwrapkey']) {
        strike({ kind, match })
        const key = wrappingKey('wrapping')
        const act = match === 'wrapkey' ? () => key.wrap(secret) : () => key.unwrap(wrapped)
        const failure = await failureOf(act)
        expect([failure.code, failure.transient]).toEqual(['SEALING_UNREACHABLE', true])
      }
    },
  )

  test('says nothing in time', async () => {
    const impatient = vaultAccessTo(emulator, 'signer', 300)
    for (const match of ['GET /keys/', '/wrapkey', '/unwrapkey']) {
      strike({ kind: 'delay', match })
      const failure = await failureOf(() => wrappingKey('wrapping', { as: impatient }).wrap(secret))
      expect([match, failure.code]).toEqual([match, 'SEALING_UNREACHABLE'])
    }
    await impatient.close()
  })

  test('is not asked without a token', async () => {
    const error = Object.assign(new Error('no identity'), { name: 'CredentialUnavailableError' })
    const silent = { ...access, credential: { getToken: () => Promise.reject(error) } }
    const failure = await failureOf(() => wrappingKey('wrapping', { as: silent }).wrap(secret))
    expect([failure.code, failure.transient]).toEqual(['SEALING_CREDENTIAL', true])
  })

  test.each(role)('has a role for us that lacks %s', async (action) => {
    const { name: vault } = vaultWithout(action)
    const failure = await failureOf(() => wrappingKey('wrapping', { vault }).wrap(secret))
    expect([failure.code, failure.transient]).toEqual(['SEALING_FORBIDDEN', false])
  })

  test('unwraps to something else: the data key is used by nobody', async () => {
    strike({ kind: 'wrong-signature', match: '/unwrapkey' })
    const failure = await failureOf(() => wrappingKey('wrapping').wrap(secret))
    expect(failure.code).toBe('SEALING_NOT_GIVEN_BACK')
  })

  test('wraps to something that it does not unwrap', async () => {
    strike({ kind: 'wrong-signature', match: '/wrapkey' })
    const failure = await failureOf(() => wrappingKey('wrapping').wrap(secret))
    expect(failure.code).toBe('SEALING_NOT_GIVEN_BACK')
  })

  test('disables the key between the reading and the wrapping', async () => {
    strike({ kind: 'delay', delayMs: 300, match: 'GET /keys/' })
    const read = emulator.vaultLog.records().length
    const records = await emulator.recordsOf(async () => {
      const wrapping = failureOf(() => wrappingKey('other').wrap(secret))
      await expect
        .poll(() => emulator.vaultLog.records().slice(read).map(operationAndStatus))
        .toContain('KeyGet 200')
      await emulator.control('POST /vaults/hsm/keys/other/disable')
      expect((await wrapping).code).toBe('SEALING_KEY_DISABLED')
      await emulator.control('POST /vaults/hsm/keys/other/enable')
    })
    expect(records.map(operationAndStatus)).toContain('KeyWrap 403')
  })
})

describe('a data key', () => {
  test('that was unwrapped shows nothing of itself', async () => {
    const key = wrappingKey('wrapping')
    const unwrapped = await key.unwrap(await key.wrap(secret))
    const shown = inspect({ unwrapped }, { depth: Infinity, showHidden: true })
    for (const text of textsOf(unwrapped)) {
      expect(shown + JSON.stringify({ unwrapped })).not.toContain(text)
    }
  })
})
