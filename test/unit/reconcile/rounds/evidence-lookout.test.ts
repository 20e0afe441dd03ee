import { expect, test } from 'vitest'
import { EvidenceLookout } from '../../../../src/reconcile/rounds/evidence-lookout.ts'
import { findingIdOf } from '../../../../src/reconcile/rounds/finding-id.ts'
import { LogBeginnings } from '../../../../src/reconcile/rounds/log-beginnings.ts'
import type { KnownFinding } from '../../../../src/reconcile/rounds/round-state.ts'
import { vaultRecordFrom, type SignRecord } from '../../../../src/reconcile/vault-record.ts'
import { beganAtMs, recordLine, requestIdOf } from '../../../support/signed-traffic.ts'

const signRecord = (index: number): SignRecord => {
  const record = vaultRecordFrom(JSON.parse(recordLine(index)))
  if (record.kind !== 'sign') throw new TypeError('it is no signature')
  return record
}

const known = (
  index: number,
  ledger: string,
  changes: Partial<KnownFinding> = {},
): KnownFinding => ({
  id: findingIdOf(ledger, { kind: 'sign.unexplained', record: signRecord(index) }),
  kind: 'sign.unexplained',
  severity: 'high',
  atMs: beganAtMs(index) + 40,
  summary: '',
  foundAtMs: 0,
  times: 1,
  ...changes,
})

const log = 'vault /log'
const lookoutFor = (findings: readonly KnownFinding[]) =>
  new EvidenceLookout(
    { ledger: 'ledger', findings: [...findings] },
    new LogBeginnings({}, new Map()),
  )

test('sees the record of a finding that stands, also of one found when its ledger had no id', () => {
  const findings = [known(1, 'ledger'), known(2, ''), known(3, 'ledger', { resolvedAtMs: 1 })]
  const lookout = lookoutFor(findings)
  for (const index of [0, 1, 2, 3]) lookout.take(log, signRecord(index))
  expect([...lookout.seen.keys()]).toEqual([findings[0]?.id, findings[1]?.id])
})

test('sees a record that was missing, whatever time it is of', () => {
  const finding = known(1, 'ledger', {
    id: 'unrecorded',
    kind: 'sign.unrecorded',
    vaultRequestId: requestIdOf(5),
  })
  const lookout = lookoutFor([finding])
  lookout.take(log, signRecord(4))
  expect([...lookout.seen.keys()]).toEqual([])
  lookout.take(log, signRecord(5))
  expect([...lookout.seen.keys()]).toEqual(['unrecorded'])
  expect(lookout.misses(finding)).toBe(false)
})

test('misses what its log no longer has, but not what is older than all that it has', () => {
  const [old, young] = [known(1, 'ledger'), known(9, 'ledger')]
  const signIn = known(8, 'ledger', { kind: 'signin.unexplained' })
  const lookout = lookoutFor([old, young, signIn])
  expect([old, young, signIn].map((one) => lookout.misses(one))).toEqual([false, false, false])
  lookout.take(log, signRecord(5))
  expect([old, young, signIn].map((one) => lookout.misses(one))).toEqual([false, true, false])
  lookout.take(log, signRecord(9))
  expect(lookout.misses(young)).toBe(false)
})
