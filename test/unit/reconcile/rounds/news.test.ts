import { expect, test } from 'vitest'
import type { Finding, SignUnrecorded } from '../../../../src/reconcile/finding.ts'
import { isNews } from '../../../../src/reconcile/rounds/news.ts'
import { LateEntries } from '../../../../src/reconcile/rounds/written-late.ts'
import type { Round } from '../../../../src/reconcile/rounds/round.ts'
import { noRounds } from '../../../../src/reconcile/rounds/round-state.ts'
import type { KnownFinding, RoundState } from '../../../../src/reconcile/rounds/round-state.ts'
import type { UnreadFile } from '../../../../src/reconcile/rounds/unread-files.ts'
import { beganAtMs, keyId, requestIdOf, signatureIdOf } from '../../../support/signed-traffic.ts'

/** A signature without a record, half past four, of a time that is decided. */
const unrecorded: SignUnrecorded = {
  kind: 'sign.unrecorded',
  signature: signatureIdOf(30),
  vaultRequestId: requestIdOf(30),
  madeAtMs: beganAtMs(30) + 80,
  keyId,
}
const decided: RoundState = { ...noRounds, decidedUntilMs: beganAtMs(300) }

const blob = (hour: number) => `/log/V/y=2026/m=11/d=22/h=0${hour}/m=00/PT1H.json`
const unread = (file: string, of: UnreadFile['of'] = 'vault'): UnreadFile => ({
  of,
  file,
  count: 1,
  line: 1,
  why: '',
  readAtMs: 0,
})
type Lost = Round['vaultFilesRemoved']
const lostHours = (first: number, last: number): Lost => [
  {
    what: 'files',
    log: '/log',
    group: 'group',
    count: 1,
    fromMs: beganAtMs((first - 4) * 60),
    toMs: beganAtMs((last - 4) * 60),
    files: [],
  },
]
const tip = { sequence: 0, hash: new Uint8Array() }
const nothingRead = {
  entries: 0,
  behind: tip,
  fromMs: Infinity,
  tip,
  marks: [],
  recalled: [],
  rewritten: undefined,
}
const tells = (
  { state = decided, files = [] as UnreadFile[], lost = [] as Lost, late = [] as string[] },
  finding: Finding = unrecorded,
) => {
  const writtenLate = new LateEntries()
  for (const signature of late) writtenLate.add(signature, 0)
  const ledger: Round['ledger'] = { ...nothingRead, writtenLate }
  return isNews(state, { vaultFilesRemoved: lost, ledger }, files)(finding)
}

test.each([
  ['a blob of its hour', blob(4)],
  ['rows of its hour', 'AzureDiagnostics of workspace W at 2026-11-22T04'],
])('what is missing beside what was not understood in %s is no news', (_, file) => {
  expect(tells({ files: [unread(file)] })).toBe(false)
})

test.each([
  ['nothing', []],
  ['a blob of another hour', [unread(blob(5))]],
  ['another log', [unread(blob(4), 'sign-ins')]],
  ['a file that is named by no hour', [unread('/log/vault.json')]],
])('it is, where %s was not understood', (_, files) => {
  expect(tells({ files })).toBe(true)
})

test('what is missing in hours of which blobs are gone is no news, and in others it is', () => {
  expect(tells({ lost: lostHours(4, 4) })).toBe(false)
  expect(tells({ lost: lostHours(3, 5) })).toBe(false)
  expect(tells({ lost: lostHours(2, 3) })).toBe(true)
  expect(tells({ lost: lostHours(5, 9) })).toBe(true)
})

test('whatever was not decided is news', () => {
  const files = [unread(blob(4))]
  const silent = (vault: string): KnownFinding => ({
    id: 'silent',
    kind: 'logs.silent',
    severity: 'high',
    atMs: beganAtMs(20),
    vault,
    summary: '',
    foundAtMs: 0,
    times: 1,
  })
  const vault = 'contoso-hsm.vault.azure.net'
  const states: readonly [RoundState, boolean][] = [
    [{ ...decided, lookFromMs: beganAtMs(10) }, true],
    [{ ...decided, findings: [silent(vault)] }, true],
    [{ ...decided, findings: [silent('other-hsm.vault.azure.net')] }, false],
    [{ ...decided, findings: [{ ...silent(vault), resolvedAtMs: 1 }] }, false],
    [
      {
        ...decided,
        leftUndecided: [
          { reason: 'log-does-not-reach', fromMs: beganAtMs(29), toMs: beganAtMs(31) },
        ],
      },
      true,
    ],
  ]
  for (const [state, isTold] of states) expect(tells({ state, files })).toBe(isTold)
})

test('an entry that was dated back is news', () => {
  const files = [unread(blob(4))]
  expect(tells({ files, late: [signatureIdOf(30)] })).toBe(true)
  expect(tells({ files, late: [signatureIdOf(31)] })).toBe(false)
})

test('of other kinds nothing is held back', () => {
  const finding: Finding = { ...unrecorded, kind: 'sign.unproved', because: 'missing' }
  expect(tells({ files: [unread(blob(4))] }, finding)).toBe(true)
})
