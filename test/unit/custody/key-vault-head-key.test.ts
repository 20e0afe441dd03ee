import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { HeadKeyError } from '../../../src/custody/head-key.ts'
import { createKeyVaultHeadKey } from '../../../src/custody/key-vault-head-key.ts'
import type { VaultAccess } from '../../../src/vault-access/vault-access.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { vaultAccessTo } from '../../support/vault-access.ts'

let emulator: TestEmulator
let access: VaultAccess

const own = ['sign' as const, 'verify' as const]

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'hsm',
        keys: [
          { name: 'heads', keyOps: own },
          { name: 'software', keyOps: own, keyType: 'RSA' },
          { name: 'exportable', keyOps: own, keyType: 'RSA', exportable: true },
          { name: 'verifies-alone', keyOps: ['verify'] },
          { name: 'wraps-too', keyOps: [...own, 'wrapKey'] },
          { name: 'disabled', keyOps: own, enabled: false },
          { name: 'expired', keyOps: own, notAfterSeconds: -60 },
          { name: 'too-early', keyOps: own, notBeforeSeconds: 3600 },
        ],
        certificates: [{ name: 'of-a-certificate' }],
        roleAssignments: [{ principal: 'signer', actions: ['keys/read', 'keys/sign/action'] }],
      },
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

const load = (vaultKeyName: string, requireHsm = true, as = access) =>
  createKeyVaultHeadKey(
    { vaultUrl: emulator.vaultUrl('hsm'), vaultKeyName, requireHsm },
    as,
    systemClock,
  ).load()

describe('a key of heads', () => {
  test('is named by us with the version that the vault has', async () => {
    const key = await load('HEADS')
    expect(key.keyId).toMatch(new RegExp(`^${emulator.vaultUrl('hsm')}/keys/HEADS/[0-9a-f]{32}$`))
    expect(key.heldBy).toBe('hsm')
    expect(key.publicKey.type).toBe('public')
  })

  test('may be in software where the operator says so, and may not be exported even then', async () => {
    expect((await load('software', false)).heldBy).toBe('software')
    await expect(load('exportable', false)).rejects.toMatchObject({ code: 'HEAD_KEY_EXPORTABLE' })
  })

  test.each([
    ['of-a-certificate', 'HEAD_KEY_OF_CERTIFICATE'],
    ['software', 'HEAD_KEY_NOT_IN_HSM'],
    ['verifies-alone', 'HEAD_KEY_CANNOT_SIGN'],
    ['wraps-too', 'HEAD_KEY_HAS_OTHER_USES'],
    ['disabled', 'HEAD_KEY_DISABLED'],
    ['expired', 'HEAD_KEY_OUTSIDE_VALIDITY'],
    ['too-early', 'HEAD_KEY_OUTSIDE_VALIDITY'],
    ['absent', 'HEAD_KEY_MISSING'],
  ])('is refused: %s', async (name, code) => {
    const failure = await load(name).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(HeadKeyError)
    expect(failure).toMatchObject({ code })
  })

  test('is out of reach without the role, and when the vault does not answer', async () => {
    const stranger = vaultAccessTo(emulator, 'bystander')
    await expect(load('heads', true, stranger)).rejects.toMatchObject({
      code: 'HEAD_KEY_FORBIDDEN',
    })
    await stranger.close()
    const defaults = { at: 'vault', times: 1, probability: 1, delayMs: 0, status: 503 } as const
    emulator.faults.add({ ...defaults, kind: 'server-error' })
    await expect(load('heads')).rejects.toMatchObject({ code: 'HEAD_KEY_UNREACHABLE' })
  })

  test('is waited for no longer when nobody waits for it', async () => {
    emulator.faults.add({
      at: 'vault',
      kind: 'delay',
      match: 'GET /keys/heads',
      times: 5,
      probability: 1,
      delayMs: 60_000,
      status: 503,
    })
    const source = createKeyVaultHeadKey(
      { vaultUrl: emulator.vaultUrl('hsm'), vaultKeyName: 'heads', requireHsm: true },
      access,
      systemClock,
    )
    await expect(source.load(AbortSignal.timeout(100))).rejects.toBeInstanceOf(HeadKeyError)
  })
})
