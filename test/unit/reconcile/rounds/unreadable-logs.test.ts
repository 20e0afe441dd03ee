import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ledgerInFile } from '../../../../src/ledger/ledger-source.ts'
import { afterLostLedger } from '../../../../src/reconcile/rounds/after-lost-ledger.ts'
import { afterRound } from '../../../../src/reconcile/rounds/after-round.ts'
import { eventsMax } from '../../../../src/reconcile/rounds/judged.ts'
import { noRounds, roundStateForm } from '../../../../src/reconcile/rounds/round-state.ts'
import type { FindingEvent, RoundState } from '../../../../src/reconcile/rounds/round-state.ts'
import { runRound } from '../../../../src/reconcile/rounds/round.ts'
import { roundsUntilTold } from '../../../../src/reconcile/rounds/unreadable-logs.ts'
import { logFolders } from '../../../support/log-folders.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../../support/reconcile-files.ts'
import {
  begun,
  loaded,
  made,
  minuteMs,
  proved,
  recordLine,
  requestIdOf,
  startMs,
  withProofs,
} from '../../../support/signed-traffic.ts'
import { appendTo } from '../../../support/watched-rounds.ts'

/** Whoever keeps watch over a vault's log and one of sign-ins, of which now one is away and now the other. */

const tenant = 'fab00000-0000-4000-8000-000000000002'
const clientId = '11111111-0000-4000-8000-000000000001'
const foreignSignIn = (id: string, minute: number) =>
  JSON.stringify({
    id,
    createdDateTime: new Date(startMs + minute * minuteMs).toISOString(),
    appId: clientId,
    clientCredentialType: 'clientSecret',
    servicePrincipalCredentialKeyId: 'a-secret',
    tenantId: tenant,
    status: { errorCode: 0 },
  })
const signInOf = (servicePrincipalId: string, minute: number) =>
  JSON.stringify({ ...JSON.parse(foreignSignIn('b', minute)), servicePrincipalId })
const rogue = (minute: number, id = minute) =>
  recordLine(minute, {
    correlationId: requestIdOf(900_000 + id),
    oid: '51000000-0000-4000-8000-0000000000ff',
    clientInfo: 'curl/8',
  })

const readOnly = (minute: number) =>
  recordLine(minute, { operationName: 'KeyGet', correlationId: requestIdOf(800_000 + minute) })

let files: ReconcileFiles
let state: RoundState
let minute: number
let vaultLogs: readonly string[]
let auditLogs: readonly string[]
beforeEach(async () => {
  files = await createReconcileFiles(withProofs([loaded, begun(0), made(0)]))
  files.writeBlob(4, `${recordLine(0)}\n`)
  files.write('sign-ins.json', '')
  state = noRounds
  minute = 600
  vaultLogs = [files.logFolder]
  auditLogs = []
})
afterEach(() => {
  files.remove()
})

const signIns = () => join(files.folder, 'sign-ins.json')

function waitingEvent(_: unknown, index: number): FindingEvent {
  const { id, summary } = { id: `event-${index}`, summary: '' }
  const finding = {
    id,
    kind: 'sign.assumed',
    severity: 'low',
    atMs: 0,
    summary,
    facts: [],
  } as const
  return {
    id,
    event: 'finding.resolved',
    atMs: 0,
    finding: { ...finding, facts: [] },
    pending: ['test'],
  }
}

/** What is told in a round, a minute behind the one before. */
async function round(): Promise<readonly string[]> {
  minute += 1
  const outcome = await runRound(state, {
    ledger: ledgerInFile(files.ledgerFile),
    sources: logFolders({ vaultLogs, signInLogs: [signIns()], auditLogs }),
    keys: [],
    applicationIds: [clientId],
    nowMs: startMs + minute * minuteMs,
    graceMs: 30 * minuteMs,
  })
  const next = afterRound(state, outcome, { ledger: 'ledger', tookMs: 1, tell: ['test'] })
  state = roundStateForm.parse(JSON.parse(JSON.stringify({ ...next, events: [] })))
  return next.events.map(({ event, finding }) => `${event} ${finding.kind}`)
}

const hide = (path: string) => {
  renameSync(path, `${path}.away`)
}
const bringBack = (path: string) => {
  renameSync(`${path}.away`, path)
}

test('finds in the others what they have, while one is away', async () => {
  await round()
  hide(signIns())
  files.writeBlob(5, `${rogue(70)}\n`)
  expect(await round()).toEqual(['finding.new sign.unexplained'])
  expect(state.lastRound?.undecided).toContainEqual({ reason: 'log-unreadable', count: 1 })
})

test('is undecided while one is away, and no longer when it is back', async () => {
  await round()
  hide(signIns())
  await round()
  expect(state.lastRound?.verdict).toBe('undecided')
  bringBack(signIns())
  await round()
  expect(state.lastRound).toMatchObject({ verdict: 'accounted-for', undecided: [] })
})

test('tells of one that stays away, once, and of its coming back', async () => {
  await round()
  hide(signIns())
  for (let time = 1; time < roundsUntilTold; time += 1) expect(await round()).toEqual([])
  expect(await round()).toEqual(['finding.new logs.unreadable'])
  expect(await round()).toEqual([])
  expect(state.lastRound?.verdict).toBe('findings')
  bringBack(signIns())
  expect(await round()).toEqual(['finding.resolved logs.unreadable'])
  expect(state.lastRound?.verdict).toBe('accounted-for')
  hide(signIns())
  for (let time = 1; time < roundsUntilTold; time += 1) expect(await round()).toEqual([])
  expect(await round()).toEqual(['finding.new logs.unreadable'])
})

test('finds what came to one while it was away, however much was decided meanwhile', async () => {
  await round()
  hide(signIns())
  for (let time = 0; time < 4; time += 1) await round()
  minute += 2 * 24 * 60
  await round()
  expect(state.decidedUntilMs).toBeGreaterThan(startMs + 90 * minuteMs)
  bringBack(signIns())
  files.write('sign-ins.json', `${foreignSignIn('a', 90)}\n`)
  expect(await round()).toEqual([
    'finding.new signin.foreign-credential',
    'finding.resolved logs.unreadable',
  ])
})

test('takes nothing back because nobody can see it any more', async () => {
  files.write('sign-ins.json', `${foreignSignIn('a', 590)}\n`)
  minute = 620
  expect(await round()).toEqual(['finding.new signin.foreign-credential'])
  hide(signIns())
  expect(await round()).toEqual([])
  expect(state.findings.filter(({ resolvedAtMs }) => resolvedAtMs !== undefined)).toEqual([])
  // A log that is there, and no longer has it, does not take it back either: that is told.
  files.write('sign-ins.json', '')
  expect(await round()).toEqual(['finding.new logs.removed'])
  expect(state.findings.filter(({ resolvedAtMs }) => resolvedAtMs !== undefined)).toEqual([])
})

test('of a vault, concludes nothing from what is missing while its log is away', async () => {
  const { logFolder } = files
  await round()
  hide(logFolder)
  for (let time = 0; time < roundsUntilTold; time += 1) await round()
  expect(state.findings.map(({ kind }) => kind)).toEqual(['logs.unreadable'])
  bringBack(logFolder)
  files.writeBlob(5, `${rogue(80)}\n`)
  expect(await round()).toEqual([
    'finding.new sign.unexplained',
    'finding.resolved logs.unreadable',
  ])
})

test('takes back what was gone and is there again, though another log is away then', async () => {
  files.write('sign-ins.json', '\n\n\n')
  await round()
  files.write('sign-ins.json', '\n')
  expect(await round()).toEqual(['finding.new logs.removed'])
  hide(files.logFolder)
  expect(await round()).toEqual([])
  files.write('sign-ins.json', '\n\n\n\n')
  expect(await round()).toEqual(['finding.resolved logs.removed'])
})

test('takes back what was missing and comes, though another log of the vault is away then', async () => {
  const other = files.write('vault.json', `${readOnly(5)}\n`)
  vaultLogs = [files.logFolder, other]
  await appendTo(files, [begun(30), made(30), proved(30)])
  files.writeBlob(4, [recordLine(0), readOnly(50)].join('\n'))
  files.writeBlob(5, `${readOnly(100)}\n`)
  expect(await round()).toEqual(['finding.new sign.unrecorded'])
  hide(other)
  files.writeBlob(4, [recordLine(0), readOnly(50), recordLine(30)].join('\n'))
  expect(await round()).toEqual(['finding.resolved sign.unrecorded'])
  bringBack(other)
  expect(await round()).toEqual([])
})

test('looks again at what was given up while a log was away, when it is back', async () => {
  const other = files.write('vault.json', `${readOnly(700)}\n`)
  vaultLogs = [files.logFolder, other]
  await round()
  hide(other)
  await appendTo(files, [begun(610), made(610), proved(610)])
  files.writeBlob(14, [readOnly(605), readOnly(630)].join('\n'))
  files.writeBlob(15, `${readOnly(690)}\n`)
  minute += 2 * 24 * 60
  for (let time = 1; time < roundsUntilTold; time += 1) expect(await round()).toEqual([])
  expect(state.decidedUntilMs).toBeGreaterThan(startMs + 700 * minuteMs)
  expect(state.leftUndecided.map(({ reason }) => reason)).toContain('log-does-not-reach')
  bringBack(other)
  expect(await round()).toEqual([])
  expect(await round()).toEqual(['finding.new sign.unrecorded'])
  expect(state.leftUndecided).toEqual([])
  await round()
  expect(state).not.toHaveProperty('lookFromMs')
})

test('looks again at changes of applications when more of them are known', async () => {
  const object = '0b000000-0000-4000-8000-000000000001'
  const change = {
    id: 'd1',
    activityDateTime: new Date(startMs + 10 * minuteMs).toISOString(),
    activityDisplayName: 'Add service principal credentials',
    result: 'success',
    targetResources: [{ id: object, type: 'ServicePrincipal', modifiedProperties: [] }],
  }
  auditLogs = [files.write('audits.json', `${JSON.stringify(change)}\n`)]
  files.writeBlob(14, `${readOnly(610)}\n`)
  minute += 2 * 24 * 60
  expect(await round()).toEqual([])
  expect(state.leftUndecided).toMatchObject([{ reason: 'change-of-unknown-application' }])
  files.write('sign-ins.json', `${signInOf(object, minute - 5)}\n`)
  expect(await round()).toEqual(['finding.new signin.foreign-credential'])
  expect(await round()).toEqual(['finding.new application.changed'])
  expect(state.leftUndecided).toEqual([])
})

test('does not tell that one is back which is named no more', async () => {
  const other = files.write('vault.json', `${readOnly(5)}\n`)
  vaultLogs = [files.logFolder, other]
  await round()
  hide(other)
  for (let time = 1; time < roundsUntilTold; time += 1) await round()
  expect(await round()).toEqual(['finding.new logs.unreadable'])
  vaultLogs = [files.logFolder]
  expect(await round()).toEqual([])
  vaultLogs = [files.logFolder, other]
  expect(await round()).toEqual([])
  bringBack(other)
  expect(await round()).toEqual(['finding.resolved logs.unreadable'])
})

describe('the ledger', () => {
  const lose = () => {
    minute += 1
    const nowMs = startMs + minute * minuteMs
    const lost = { name: files.ledgerFile, why: 'it is not there', nowMs }
    const next = afterLostLedger(state, lost, ['test'])
    state = roundStateForm.parse(JSON.parse(JSON.stringify({ ...next, events: [] })))
    return next.events.map(({ event, finding }) => `${event} ${finding.kind}`)
  }

  test('is told when it stays away, once, and when it is back', async () => {
    await round()
    const { decidedUntilMs, logs } = state
    for (let time = 1; time < roundsUntilTold; time += 1) expect(lose()).toEqual([])
    expect(state.lastRound).toMatchObject({
      verdict: 'undecided',
      undecided: [{ reason: 'log-unreadable', count: 1 }],
    })
    expect(lose()).toEqual(['finding.new logs.unreadable'])
    expect(lose()).toEqual([])
    expect(state).toMatchObject({ decidedUntilMs, logs, lastRound: { verdict: 'findings' } })
    expect(await round()).toEqual(['finding.resolved logs.unreadable'])
    expect(state.lastRound).toMatchObject({ verdict: 'accounted-for', undecided: [] })
    for (let time = 1; time < roundsUntilTold; time += 1) expect(lose()).toEqual([])
    expect(lose()).toEqual(['finding.new logs.unreadable'])
  })

  test('is not told when it was away for a moment, again and again', async () => {
    for (let times = 0; times < 3; times += 1) {
      for (let time = 1; time < roundsUntilTold; time += 1) expect(lose()).toEqual([])
      expect(await round()).toEqual([])
    }
  })

  test('hides no log that is away besides', async () => {
    await round()
    hide(signIns())
    for (let time = 1; time < roundsUntilTold; time += 1) await round()
    for (let time = 1; time <= roundsUntilTold; time += 1) lose()
    expect(state.lastRound?.undecided).toEqual([{ reason: 'log-unreadable', count: 2 }])
    expect(await round()).toEqual([
      'finding.new logs.unreadable',
      'finding.resolved logs.unreadable',
    ])
    expect(state.unreadable).toMatchObject([{ of: 'sign-ins', rounds: roundsUntilTold }])
  })

  test('waits for room like anything else', () => {
    for (let time = 1; time < roundsUntilTold; time += 1) lose()
    state = { ...state, events: Array.from({ length: eventsMax }, waitingEvent) }
    expect(lose()).not.toContain('finding.new logs.unreadable')
    expect(lose()).toEqual(['finding.new logs.unreadable'])
  })
})

test('looks no further back for one of which nobody can be told', async () => {
  await round()
  minute += 24 * 60
  await round()
  hide(signIns())
  for (let time = 1; time < roundsUntilTold; time += 1) await round()
  state = { ...state, events: Array.from({ length: eventsMax }, waitingEvent) }
  expect(await round()).not.toContain('finding.new logs.unreadable')
  expect(state.lastRound).toMatchObject({ heldBack: 1 })
  expect(state).not.toHaveProperty('lookFromMs')
  expect(await round()).toEqual(['finding.new logs.unreadable'])
})

test('goes on from a state of a version that knew of no such log', () => {
  const { unreadable, ...old } = noRounds
  expect(unreadable).toEqual([])
  expect(roundStateForm.parse(old)).toEqual(noRounds)
})
