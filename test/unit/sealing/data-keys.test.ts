import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Fault } from '../../../src/emulator/faults.ts'
import { generationMax, type WrappedDataKey } from '../../../src/sealing/data-key.ts'
import type { DataKeyStore } from '../../../src/sealing/data-key-store.ts'
import { createDataKeys, type DataKeys } from '../../../src/sealing/data-keys.ts'
import { createKeyVaultWrappingKey } from '../../../src/sealing/key-vault-wrapping-key.ts'
import { generationOf } from '../../../src/sealing/seal.ts'
import { createSealer } from '../../../src/sealing/sealer.ts'
import type { VaultAccess } from '../../../src/vault-access/vault-access.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'
import { fixedClock, type FixedClock } from '../../support/fixed-clock.ts'
import { createMemoryDataKeyStore } from '../../support/memory-data-key-store.ts'
import { required } from '../../support/required.ts'
import { vaultAccessTo } from '../../support/vault-access.ts'

/** Replicas with the real adapter, an emulated vault and one store: only time stands still. */

let emulator: TestEmulator
let access: VaultAccess
let store: DataKeyStore
let clock: FixedClock
let unusable: string[]

const day = 86_400
const keyOps = ['wrapKey' as const, 'unwrapKey' as const]

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'hsm',
        keys: [
          { name: 'wrapping', keyOps },
          { name: 'successor', keyOps },
        ],
        roleAssignments: [
          { principal: 'signer', actions: ['keys/read', 'keys/wrap/action', 'keys/unwrap/action'] },
          { principal: 'auditor', actions: ['keys/read', 'keys/wrap/action'] },
        ],
      },
    ],
  })
  access = vaultAccessTo(emulator, 'signer')
})
beforeEach(() => {
  store = createMemoryDataKeyStore()
  clock = fixedClock(1_790_000_000)
  unusable = []
})
afterEach(() => {
  emulator.faults.clear()
})
afterAll(async () => {
  await access.close()
  await emulator.stop()
})

const replica = (vaultKeyName = 'wrapping', as = access): DataKeys =>
  createDataKeys({
    store,
    wrappingKey: createKeyVaultWrappingKey(
      { vaultUrl: emulator.vaultUrl('hsm'), vaultKeyName, requireHsm: true },
      as,
      systemClock,
      () => undefined,
    ),
    clock,
    onUnusable: (generation, { code }) => unusable.push(`${generation} ${code}`),
  })

/** What the vault was asked to do with keys, whether it did or not. */
const operationsOf = async (act: () => Promise<unknown>) =>
  (await emulator.recordsOf(act))
    .map(({ operationName }) => operationName)
    .filter((name) => name !== 'KeyGet')

function strike(fault: Partial<Fault>): void {
  const defaults = { at: 'vault', kind: 'server-error', times: 1, probability: 1 } as const
  emulator.faults.add({ ...defaults, delayMs: 0, status: 503, ...fault })
}

/** The store as somebody left it who can write, and cannot unwrap. */
const tamper = async (change: (row: WrappedDataKey) => WrappedDataKey) => {
  const row = required(await store.latest())
  const tampered = createMemoryDataKeyStore()
  await tampered.addNewest(change(row), 0)
  store = tampered
}

describe('the data key of a fleet', () => {
  test('is made by the first replica, and taken by those that follow', async () => {
    const made = await replica().forSealing()
    expect(made.generation).toBe(1)
    const second = replica()
    let taken = made
    const operations = await operationsOf(async () => {
      taken = await second.forSealing()
    })
    expect(operations).toEqual(['KeyUnwrap'])
    expect(taken.secret.equals(made.secret)).toBe(true)
    expect(taken).toMatchObject({ generation: 1, createdAtSeconds: clock.nowSeconds() })
  })

  test('is asked of the vault once for any number of messages', async () => {
    const one = replica()
    await one.forSealing()
    const operations = await operationsOf(async () => {
      for (let i = 0; i < 100; i += 1) await one.forSealing()
      await one.forOpening(1)
    })
    expect(operations).toEqual([])
  })

  test('is made once when many messages come first, at once', async () => {
    const one = replica()
    const operations = await operationsOf(() =>
      Promise.all(Array.from({ length: 20 }, () => one.forSealing())),
    )
    expect(operations).toEqual(['KeyWrap', 'KeyUnwrap'])
  })

  test('is one, when ten replicas start at once', async () => {
    const replicas = Array.from({ length: 10 }, () => replica())
    const keys = await Promise.all(replicas.map((one) => one.forSealing()))
    const [first] = keys
    expect(keys.every(({ secret }) => secret.equals(required(first).secret))).toBe(true)
    expect(new Set(keys.map(({ generation }) => generation))).toEqual(new Set([1]))
    expect((await store.latest())?.generation).toBe(1)
  })

  test('is not in the store as it is', async () => {
    const { secret } = await replica().forSealing()
    const row = required(await store.latest())
    expect(Buffer.from(row.wrapped).includes(secret.export())).toBe(false)
    expect(JSON.stringify(row)).not.toContain(secret.export().toString('base64url'))
  })

  test('opens for whoever comes upon its generation, and is looked up once', async () => {
    const { secret } = await replica().forSealing()
    const other = replica()
    const operations = await operationsOf(async () => {
      const keys = await Promise.all([other.forOpening(1), other.forOpening(1)])
      expect(keys.every((key) => key?.secret.equals(secret))).toBe(true)
      await other.forOpening(1)
      await other.forSealing()
    })
    expect(operations).toEqual(['KeyUnwrap'])
  })

  test('opens at one replica what another has sealed, after a rotation too', async () => {
    const [one, other] = [createSealer(replica()), createSealer(replica())]
    const target = { key: 'tenant a', expiresAtSeconds: clock.nowSeconds() + 3600 }
    const token = Buffer.from('an access token')
    const before = await one.seal(target, token)
    clock.advance(7 * day)
    const after = await one.seal(target, token)
    expect([generationOf(before), generationOf(after)]).toEqual([1, 2])
    for (const sealed of [before, after]) {
      expect(await other.open(target, sealed)).toEqual({ ok: true, plaintext: token })
    }
    clock.advance(2 * day)
    expect(await other.open(target, before)).toEqual({ ok: false, reason: 'data-key-gone' })
    expect(await other.open(target, after)).toEqual({ ok: true, plaintext: token })
  })

  test('of a generation that there is not is nowhere, and no vault is asked', async () => {
    await replica().forSealing()
    const operations = await operationsOf(async () => {
      expect(await replica().forOpening(2)).toBeUndefined()
    })
    expect(operations).toEqual([])
  })
})

describe('the next data key', () => {
  test('is made after seven days, not before, and the one before opens on', async () => {
    const one = replica()
    const first = await one.forSealing()
    clock.advance(7 * day - 1)
    expect((await one.forSealing()).generation).toBe(1)
    clock.advance(1)
    const second = await one.forSealing()
    expect(second.generation).toBe(2)
    expect(second.secret.equals(first.secret)).toBe(false)
    for (const any of [one, replica()]) {
      expect((await any.forOpening(1))?.secret.equals(first.secret)).toBe(true)
    }
  })

  test('is taken from whoever made it', async () => {
    const [one, other] = [replica(), replica()]
    await one.forSealing()
    await other.forSealing()
    clock.advance(7 * day)
    const made = await one.forSealing()
    const operations = await operationsOf(async () => {
      expect((await other.forSealing()).secret.equals(made.secret)).toBe(true)
    })
    expect(operations).toEqual(['KeyUnwrap'])
  })

  test('is made after a million messages of one process, while others go on', async () => {
    const [one, other] = [replica(), replica()]
    await other.forSealing()
    for (let i = 0; i < 2 ** 20; i += 1) await one.forSealing()
    expect((await one.forSealing()).generation).toBe(2)
    expect((await other.forSealing()).generation).toBe(1)
    expect((await other.forOpening(2))?.generation).toBe(2)
  })

  test('is wrapped by the current version of the wrapping key', async () => {
    const one = replica()
    const first = await one.forSealing()
    const before = required(await store.latest()).keyId
    await emulator.control('POST /vaults/hsm/keys/wrapping/roll')
    clock.advance(7 * day)
    await one.forSealing()
    expect(required(await store.latest()).keyId).not.toBe(before)
    expect((await replica().forOpening(1))?.secret.equals(first.secret)).toBe(true)
  })
})

describe('an old data key', () => {
  test('opens for nine days, and then nowhere', async () => {
    const one = replica()
    await one.forSealing()
    clock.advance(9 * day - 1)
    for (const any of [one, replica()]) {
      expect((await any.forOpening(1))?.generation).toBe(1)
    }
    clock.advance(1)
    for (const any of [one, replica()]) expect(await any.forOpening(1)).toBeUndefined()
  })

  test('is gone from the store when a new one is made after that', async () => {
    const one = replica()
    await one.forSealing()
    clock.advance(7 * day)
    await one.forSealing()
    expect(await store.find(1)).toBeDefined()
    clock.advance(7 * day)
    await one.forSealing()
    expect(await store.find(1)).toBeUndefined()
    expect(await store.find(2)).toBeDefined()
    expect((await store.latest())?.generation).toBe(3)
  })
})

describe('the newest data key of others', () => {
  test('that another wrapping key wrapped is replaced by whoever starts, and told', async () => {
    const before = replica('wrapping')
    await before.forSealing()
    const after = replica('successor')
    expect((await after.forSealing()).generation).toBe(2)
    expect(unusable).toEqual(['1 SEALING_KEY_FOREIGN'])
    // Nobody makes a third: each goes on with its own while it is young.
    expect((await before.forSealing()).generation).toBe(1)
    expect((await replica('successor').forSealing()).generation).toBe(2)
    expect((await store.latest())?.generation).toBe(2)
    await expect(before.forOpening(2)).rejects.toMatchObject({ code: 'SEALING_KEY_FOREIGN' })
  })

  test('that is damaged is replaced, and told', async () => {
    await replica().forSealing()
    await tamper((row) => ({ ...row, wrapped: Buffer.alloc(256, 1) }))
    expect((await replica().forSealing()).generation).toBe(2)
    expect(unusable).toEqual(['1 SEALING_DATA_KEY_DAMAGED'])
    expect((await replica().forSealing()).generation).toBe(2)
  })

  test('whose version of the wrapping key is disabled is replaced', async () => {
    await replica().forSealing()
    const version = required(await store.latest()).keyId.slice(-32)
    await emulator.control('POST /vaults/hsm/keys/wrapping/roll')
    await emulator.control('POST /vaults/hsm/keys/wrapping/disable', { version })
    expect((await replica().forSealing()).generation).toBe(2)
    expect(unusable).toEqual(['1 SEALING_KEY_DISABLED'])
  })

  test('that this replica may not unwrap is left alone: the role is what is wrong', async () => {
    await replica().forSealing()
    const auditor = vaultAccessTo(emulator, 'auditor')
    const operations = await operationsOf(async () => {
      const sealing = replica('wrapping', auditor).forSealing()
      await expect(sealing).rejects.toMatchObject({ code: 'SEALING_FORBIDDEN' })
    })
    await auditor.close()
    expect(operations).toEqual(['KeyUnwrap'])
    expect([unusable, (await store.latest())?.generation]).toEqual([[], 1])
  })

  test('with the last number there is, which nobody reaches, is not followed', async () => {
    await replica().forSealing()
    await tamper((row) => ({ ...row, generation: generationMax, wrapped: Buffer.alloc(256, 1) }))
    const sealing = replica().forSealing()
    await expect(sealing).rejects.toMatchObject({ code: 'SEALING_DATA_KEY_DAMAGED' })
  })
})

describe('while the vault is away', () => {
  test.each(['sealing', 'opening'] as const)(
    '%s fails at once for half a minute, and the vault is asked once',
    async (what) => {
      await replica().forSealing()
      const one = replica()
      const act = () => (what === 'sealing' ? one.forSealing() : one.forOpening(1))
      strike({ match: '/keys/wrapping' })
      const unreachable = { code: 'SEALING_UNREACHABLE', transient: true }
      await expect(act()).rejects.toMatchObject(unreachable)
      const records = await emulator.recordsOf(async () => {
        await expect(act()).rejects.toMatchObject(unreachable)
        clock.advance(29)
        await expect(act()).rejects.toMatchObject(unreachable)
      })
      expect(records).toEqual([])
      clock.advance(1)
      expect((await act())?.generation).toBe(1)
      expect(unusable).toEqual([])
    },
  )

  test('it does not take longer when the clock is set back', async () => {
    await replica().forSealing()
    const one = replica()
    strike({ match: '/keys/wrapping' })
    await expect(one.forOpening(1)).rejects.toMatchObject({ code: 'SEALING_UNREACHABLE' })
    clock.jump(-3600)
    await expect(one.forOpening(1)).rejects.toMatchObject({ code: 'SEALING_UNREACHABLE' })
    clock.advance(30)
    expect((await one.forOpening(1))?.generation).toBe(1)
  })

  test('no data key is made that the vault may not give back', async () => {
    strike({ kind: 'drop-after', match: '/unwrapkey' })
    await expect(replica().forSealing()).rejects.toMatchObject({ code: 'SEALING_UNREACHABLE' })
    expect(await store.latest()).toBeUndefined()
  })

  test('others that are known are not affected', async () => {
    const one = replica()
    const { secret } = await one.forSealing()
    clock.advance(7 * day)
    strike({ match: '/keys/wrapping' })
    await expect(one.forSealing()).rejects.toMatchObject({ code: 'SEALING_UNREACHABLE' })
    expect((await one.forOpening(1))?.secret.equals(secret)).toBe(true)
  })
})
