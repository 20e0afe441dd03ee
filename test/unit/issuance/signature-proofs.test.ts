import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { instantNow, laterBy } from '../../../src/base/clock.ts'
import { newSignatureId } from '../../../src/base/ids.ts'
import {
  createSignatureProofs,
  type HeldSignature,
  type SignatureProofs,
} from '../../../src/issuance/signature-proofs.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { startedEntry } from '../../support/entries.ts'
import { fixedClock, type FixedClock } from '../../support/fixed-clock.ts'
import { changeFile, createSqliteStore } from '../../support/ledger-store.ts'

const startSeconds = 1_795_341_630
/** A batch: with it the ledger is full, so that a larger one would be refused. */
const batch = 500

let store: ReturnType<typeof createSqliteStore>
let ledger: Ledger
let clock: FixedClock
let proofs: SignatureProofs

beforeEach(async () => {
  store = createSqliteStore()
  ledger = await store.open(batch)
  clock = fixedClock(startSeconds)
  proofs = createSignatureProofs({ ledger, clock })
})
afterEach(async () => {
  await ledger.close()
  store.remove()
})

const proved = () => store.entries().filter((entry) => entry.kind === 'signature.proved')

/** Of an assertion that lives so long from now. */
function held(lifetimeSeconds: number): HeldSignature {
  const signatureId = newSignatureId()
  return {
    signatureId,
    signingInput: `eyJhbGciOiJQUzI1NiJ9.${signatureId}`,
    value: Buffer.from(signatureId),
    expiry: laterBy(lifetimeSeconds * 1000, instantNow(clock)),
  }
}

describe('a signature', () => {
  test('is published ten minutes after its assertion has expired, and not a second sooner', async () => {
    proofs.hold(held(300))
    clock.advance(300 + 599)
    await proofs.publish()
    expect(proved()).toEqual([])

    clock.advance(1)
    await proofs.publish()
    expect(proved()).toHaveLength(1)
  })

  test('is a copy of its own, and keeps no memory that others use meanwhile', async () => {
    const pool = new Uint8Array(65_536).fill(7)
    proofs.hold({ ...held(300), value: pool.subarray(0, 256) })
    pool.fill(8)
    clock.advance(300 + 600)
    await proofs.publish()

    const value = Buffer.alloc(256, 7).toString('base64url')
    expect(proved()).toMatchObject([{ signatureValue: value }])
  })

  test('is published whole, so that anybody can check it', async () => {
    const one = held(300)
    proofs.hold(one)
    clock.advance(900)
    await proofs.publish()

    expect(proved()).toEqual([
      {
        kind: 'signature.proved',
        atMs: clock.nowMs(),
        signature: one.signatureId,
        signingInput: one.signingInput,
        signatureValue: Buffer.from(one.value).toString('base64url'),
      },
    ])
  })

  test('is published once', async () => {
    proofs.hold(held(300))
    clock.advance(900)
    await proofs.publish()
    await proofs.publish()

    expect(proved()).toHaveLength(1)
  })

  test('is published when it is dead, whichever was held first', async () => {
    const [long, short] = [held(600), held(60)]
    proofs.hold(long)
    proofs.hold(short)
    clock.advance(660)
    await proofs.publish()

    expect(proved()).toMatchObject([{ signature: short.signatureId }])
    expect(proofs.unproved).toBe(1)
  })

  test('is not published early by a wall clock that jumps forward: others still accept its assertion', async () => {
    proofs.hold(held(300))
    clock.jump(16 * 60)
    await proofs.publish()
    expect(proved()).toEqual([])

    clock.advance(899)
    await proofs.publish()
    expect(proved()).toEqual([])

    clock.advance(1)
    await proofs.publish()
    expect(proved()).toHaveLength(1)
  })

  test('is not published before its `exp` has passed on a wall clock that was set back', async () => {
    proofs.hold(held(300))
    clock.jump(-16 * 60)
    clock.advance(900)
    await proofs.publish()
    expect(proved()).toEqual([])

    clock.advance(16 * 60)
    await proofs.publish()
    expect(proved()).toHaveLength(1)
  })
})

describe('a backlog', () => {
  const many = (count: number) =>
    Array.from({ length: count }, () => {
      const one = held(300)
      proofs.hold(one)
      return one.signatureId
    })

  test('is published in commits that leave room for those who wait, in order', async () => {
    const ids = many(2 * batch + 1)
    clock.advance(900)
    await proofs.publish()

    expect(proved().map(({ signature }) => signature)).toEqual(ids)
    expect(proofs.unproved).toBe(0)
  })

  test('is kept while the ledger is full, and published when it is not', async () => {
    const ids = many(2)
    clock.advance(900)
    const committing = ledger.append(Array(batch).fill(startedEntry('0.1.0')))
    await expect(proofs.publish()).rejects.toMatchObject({ code: 'LEDGER_OVERLOADED' })
    expect(proofs.unproved).toBe(2)
    await committing
    await proofs.publish()

    expect(proved().map(({ signature }) => signature)).toEqual(ids)
  })

  test('of which a part could be written is kept but for that part', async () => {
    many(2 * batch)
    clock.advance(900)
    changeFile(
      store.file,
      `CREATE TRIGGER full BEFORE INSERT ON entry WHEN NEW.sequence > ${batch}
       BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
    )
    await expect(proofs.publish()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' })

    expect(proved()).toHaveLength(batch)
    expect(proofs.unproved).toBe(batch)
  })

  test('has a bound: what is beyond it is said to be unproved, and does not fill the memory', async () => {
    const most = 200_000
    for (let count = 0; count < most + 3; count += 1) proofs.hold(held(count < 2 ? 300 : 600))
    expect(proofs.unproved).toBe(most + 3)
    clock.advance(900)
    await proofs.publish()

    // Two were dead and are proved; three were let go and never will be.
    expect(proved()).toHaveLength(2)
    expect(proofs.unproved).toBe(most - 2 + 3)
  })
})
