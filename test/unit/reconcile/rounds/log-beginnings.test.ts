import { expect, test } from 'vitest'
import { LogBeginnings } from '../../../../src/reconcile/rounds/log-beginnings.ts'
import type { LookedAt } from '../../../../src/reconcile/rounds/log-beginnings.ts'
import { vaultRecordFrom, type SignRecord } from '../../../../src/reconcile/vault-record.ts'
import { beganAtMs, keyId, recordLine } from '../../../support/signed-traffic.ts'

const vault = 'contoso-hsm.vault.azure.net'
const otherKeyId = keyId.replace('contoso', 'other')
const one = 'vault /one'
const two = 'vault /two'
const signRecord = (index: number): SignRecord => {
  const record = vaultRecordFrom(JSON.parse(recordLine(index)))
  if (record.kind !== 'sign') throw new TypeError('it is no signature')
  return record
}
const folder: LookedAt = { retiredUntilMs: undefined, tellsRemovals: true }
const table: LookedAt = { ...folder, tellsRemovals: false }
const lookedAt = (...logs: readonly (readonly [string, LookedAt | undefined])[]) => new Map(logs)

test('a folder has dropped what it says, and no more of what its rounds have not read', () => {
  const beginnings = new LogBeginnings({}, lookedAt([one, folder]))
  beginnings.take(one, signRecord(100))
  expect(beginnings.droppedAt(keyId, beganAtMs(50))).toBeUndefined()
  const retiredUntilMs = beganAtMs(60)
  const later = new LogBeginnings({}, lookedAt([one, { ...folder, retiredUntilMs }]))
  later.take(one, signRecord(10))
  expect([50, 60].map((index) => later.droppedAt(keyId, beganAtMs(index)))).toEqual([
    'told',
    undefined,
  ])
  expect(later.beginsAtMs(one)).toBe(retiredUntilMs)
})

test('a table cannot say it: what it has no longer from its beginning on is taken for dropped', () => {
  const beginnings = new LogBeginnings({}, lookedAt([one, table]))
  expect(beginnings.droppedAt(keyId, beganAtMs(50))).toBeUndefined()
  beginnings.take(one, signRecord(100))
  const dropped = [50, 101].map((index) => beginnings.droppedAt(keyId, beganAtMs(index)))
  expect(dropped).toEqual(['untold', undefined])
  // Nothing of it is kept: the next round sees for itself.
  expect(beginnings.remembered()).toEqual({ [one]: { vaults: [vault] } })
})

test('is remembered of the logs that are named, also of one that could not be looked at', () => {
  const retiredUntilMs = beganAtMs(60)
  const known = { [one]: { vaults: [vault], retiredUntilMs }, [two]: { vaults: [vault] } }
  const away = new LogBeginnings(known, lookedAt([one, undefined]))
  expect(away.remembered()).toEqual({ [one]: known[one] })
  expect(away.droppedAt(keyId, beganAtMs(59))).toBe('told')
  const renamed = new LogBeginnings(known, lookedAt([two, folder]))
  expect(renamed.droppedAt(keyId, beganAtMs(59))).toBeUndefined()
})

test('is of the vaults that a log has records of, and of any where nobody has noted them', () => {
  const retired = { ...folder, retiredUntilMs: beganAtMs(60) }
  const known = { [one]: { vaults: ['third.vault.azure.net'] }, [two]: { vaults: [vault] } }
  const beginnings = new LogBeginnings(known, lookedAt([one, retired], [two, folder]))
  expect(beginnings.droppedAt(keyId, beganAtMs(10))).toBeUndefined()
  expect(beginnings.droppedAt(otherKeyId, beganAtMs(10))).toBe('told')
})

test('is of logs of vaults alone, whatever logs of other kinds have dropped', () => {
  const retired = { ...folder, retiredUntilMs: beganAtMs(60) }
  const beginnings = new LogBeginnings({}, lookedAt([one, folder], ['sign-ins /s', retired]))
  expect(beginnings.droppedAt(keyId, beganAtMs(10))).toBeUndefined()
})

test('names the log of a record where there are several, and the only one of its kind', () => {
  const alone = new LogBeginnings({}, lookedAt([one, folder], ['sign-ins /s', folder]))
  expect(alone.logOf(signRecord(1))).toBe(one)
  const several = new LogBeginnings({}, lookedAt([one, folder], [two, folder]))
  expect(several.logOf(signRecord(1))).toBeUndefined()
  expect(several.logOf({ ...signRecord(1), log: two })).toBe(two)
})
