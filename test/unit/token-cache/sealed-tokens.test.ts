import { describe, expect, test } from 'vitest'
import { atLeastMsUntil } from '../../../src/base/clock.ts'
import { newAttemptId } from '../../../src/base/ids.ts'
import { type TokenKey, tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { keyId, tokenKey } from '../../support/cached-tokens.ts'
import { grantName } from '../../support/grants.ts'
import { createFleet, refreshRules } from '../../support/fleet.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { required } from '../../support/required.ts'

const key = tokenKey()
const grant = grantName('orders')

/** One replica that has sealed a token, and another one that finds the row. */
async function sealedRow(parts = {}, of: TokenKey = key) {
  const fleet = createFleet()
  const token = fleet.obtained(of, parts)
  const sealed = await fleet.replica().tokens.seal(of, token, { grant, forced: false })
  const row = { sealed, expiresAtSeconds: token.expiresAtSeconds, keyId, grant, ageMs: 0 }
  return { fleet, token, row, other: fleet.replica() }
}

describe('a token that another replica has stored', () => {
  test('is what it was', async () => {
    const { token, row, other } = await sealedRow({ refreshInSeconds: 1800 })
    const opened = required(await other.tokens.open(key, row))
    expect(opened.token).toEqual(token)
    expect(opened.token.value.reveal()).toBe(token.value.reveal())
    expect(opened.forced).toBe(false)
    expect(other.refused).toEqual([])
  })

  test.each([
    ['any bit of it is changed', (sealed: Buffer, i: number) => flipped(sealed, i), undefined],
    ['it is cut', (sealed: Buffer) => sealed.subarray(0, -1), 'altered'],
    ['it is no sealed token at all', () => Buffer.from('{"token":"planted"}'), 'malformed'],
  ] as const)('is as good as none when %s', async (_, change, reason) => {
    const { row, other } = await sealedRow()
    const places = reason === undefined ? row.sealed.keys() : [0]
    for (const i of places) {
      expect(
        await other.tokens.open(key, { ...row, sealed: change(row.sealed, i) }),
      ).toBeUndefined()
    }
    expect(other.refused.length).toBeGreaterThan(0)
    if (reason !== undefined) expect(other.refused).toEqual([reason])
    expect(await other.tokens.open(key, row)).toBeDefined()
  })

  test.each([
    { tenant: 2 },
    { application: 'deploy' },
    { clientId: '22222222-0000-4000-8000-000000000002' },
    { clientId: null },
    { resource: 'https://eventhubs.azure.net' },
    { life: 'long-lived' },
    { isolation: 'orders' },
    { cloud: 'https://login.microsoftonline.us' },
  ] as const)('is as good as none when it was moved to %o', async (parts) => {
    const { row, other } = await sealedRow()
    expect(await other.tokens.open(tokenKey(parts), row)).toBeUndefined()
    expect(other.refused).toEqual(['altered'])
  })

  test('is as good as none when its end was moved', async () => {
    const { row, other } = await sealedRow()
    const moved = { ...row, expiresAtSeconds: row.expiresAtSeconds + 3600 }
    expect(await other.tokens.open(key, moved)).toBeUndefined()
    expect(other.refused).toEqual(['altered'])
  })

  test('is as good as none when it is in no form that we know', async () => {
    const { fleet, row, other } = await sealedRow()
    const { expiresAtSeconds } = row
    for (const text of ['', 'no JSON', '{}', '{"token":7}', 'null']) {
      const sealed = await fleet.sealer.seal(
        { key: tokenKeyText(key), expiresAtSeconds },
        Buffer.from(text),
      )
      expect(await other.tokens.open(key, { ...row, sealed }), text).toBeUndefined()
    }
    expect(new Set(other.refused)).toEqual(new Set(['unknown-form']))
  })

  test('is as good as none when the ledger knows no exchange of its attempt', async () => {
    const { fleet, token, row, other } = await sealedRow()
    fleet.recorded.delete(token.obtainedBy)
    expect(await other.tokens.open(key, row)).toBeUndefined()
    expect(other.refused).toEqual(['unrecorded'])
  })

  test.each([
    { tokenSha256: 'of another token' },
    { expiresAtSeconds: 1 },
    { application: 'deploy' },
    { tenant: 'another' },
    { scope: 'another' },
  ])('is as good as none when the ledger says otherwise: %o', async (fact) => {
    const { fleet, token, row, other } = await sealedRow()
    const said = required(fleet.recorded.get(token.obtainedBy))
    fleet.recorded.set(token.obtainedBy, { ...said, ...fact })
    expect(await other.tokens.open(key, row)).toBeUndefined()
    expect(other.refused).toEqual(['unrecorded'])
  })

  test('is not taken for that of another attempt', async () => {
    const { fleet, token, row, other } = await sealedRow()
    const said = required(fleet.recorded.get(token.obtainedBy))
    fleet.recorded.clear()
    fleet.recorded.set(newAttemptId(), said)
    expect(await other.tokens.open(key, row)).toBeUndefined()
  })
})

describe('the end of a token that another replica has stored', () => {
  const lasts = 1000 - refreshRules.minRemainingSeconds

  test('is when it has less than the promised time left by our clock', async () => {
    const { fleet, row, other } = await sealedRow({ lifetimeSeconds: 1000 })
    fleet.clock.advance(lasts)
    expect(await other.tokens.open(key, { ...row, ageMs: lasts * 1000 })).toBeDefined()
    fleet.clock.advance(1)
    expect(await other.tokens.open(key, { ...row, ageMs: (lasts + 1) * 1000 })).toBeUndefined()
    // That is no reason to be alarmed.
    expect(other.refused).toEqual([])
  })

  test("is not later for a replica whose clock is behind: the store's counts too", async () => {
    const { fleet, row } = await sealedRow({ lifetimeSeconds: 1000 })
    const behind = fleet.replica({ clock: fixedClock(fleet.clock.nowSeconds() - 7200) })
    expect(await behind.tokens.open(key, { ...row, ageMs: lasts * 1000 })).toBeDefined()
    expect(await behind.tokens.open(key, { ...row, ageMs: lasts * 1000 + 1 })).toBeUndefined()
  })

  test('is no later for an age that somebody has made up', async () => {
    const { fleet, row, other } = await sealedRow({ lifetimeSeconds: 1000 })
    for (const ageMs of [-86_400_000, 0]) {
      const { token } = required(await other.tokens.open(key, { ...row, ageMs }))
      expect(atLeastMsUntil(token.expiry, fleet.clock)).toBe(1_000_000)
    }
  })

  test('counts what passed between obtaining and storing', async () => {
    const fleet = createFleet()
    const token = fleet.obtained(key, { lifetimeSeconds: 1000 })
    fleet.clock.advance(60)
    const sealed = await fleet.replica().tokens.seal(key, token, { grant, forced: false })
    fleet.clock.jump(-3600)
    const row = { sealed, expiresAtSeconds: token.expiresAtSeconds, keyId, grant, ageMs: 40_000 }
    const opened = required(await fleet.replica().tokens.open(key, row))
    expect(atLeastMsUntil(opened.token.expiry, fleet.clock)).toBe(900_000)
  })
})

function flipped(sealed: Buffer, i: number): Buffer {
  const changed = Buffer.from(sealed)
  changed.writeUInt8(changed.readUInt8(i) ^ 1, i)
  return changed
}
