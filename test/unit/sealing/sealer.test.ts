import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { DataKey } from '../../../src/sealing/data-key.ts'
import { createSealer } from '../../../src/sealing/sealer.ts'

const key = { key: 'tenant a', expiresAtSeconds: 1_790_003_600 }
const token = Buffer.from('an access token')

const dataKey = (generation: number): DataKey => ({
  generation,
  secret: createSecretKey(randomBytes(32)),
  createdAtSeconds: 1_790_000_000,
})

/** Seals with the last of them. */
const sealerOf = (...dataKeys: readonly DataKey[]) =>
  createSealer({
    forSealing: () => Promise.resolve(dataKeys.at(-1) ?? dataKey(1)),
    forOpening: (generation) =>
      Promise.resolve(dataKeys.find((one) => one.generation === generation)),
  })

test('opens what another replica has sealed, with whichever generation', async () => {
  const [first, second] = [dataKey(1), dataKey(2)]
  const sealed = await sealerOf(first).seal(key, token)
  const opened = await sealerOf(first, second).open(key, sealed)
  expect(opened).toEqual({ ok: true, plaintext: token })
})

test('does not open what belongs elsewhere', async () => {
  const sealer = sealerOf(dataKey(1))
  const sealed = await sealer.seal(key, token)
  const opened = await sealer.open({ ...key, key: 'tenant b' }, sealed)
  expect(opened).toEqual({ ok: false, reason: 'altered' })
})

test('does not open what is sealed with a data key that is gone', async () => {
  const sealed = await sealerOf(dataKey(1)).seal(key, token)
  const opened = await sealerOf(dataKey(2)).open(key, sealed)
  expect(opened).toEqual({ ok: false, reason: 'data-key-gone' })
})

test('does not open what was never sealed, nor asks for a data key', async () => {
  const sealer = createSealer({
    forSealing: () => Promise.reject(new Error('asked')),
    forOpening: () => Promise.reject(new Error('asked')),
  })
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(32, 1), Buffer.alloc(200)]) {
    expect(await sealer.open(key, bytes)).toEqual({ ok: false, reason: 'malformed' })
  }
})
