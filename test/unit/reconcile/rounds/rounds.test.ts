import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logFolders } from '../../../support/log-folders.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../../support/reconcile-files.ts'
import {
  begun,
  laterMs,
  loaded,
  made,
  minuteMs,
  proved,
  recordLine,
  requestIdOf,
  signatureIdOf,
  startMs,
} from '../../../support/signed-traffic.ts'
import type { SignatureMade } from '../../../../src/ledger/entry.ts'
import { ledgerInFile } from '../../../../src/ledger/ledger-source.ts'
import { nothingExpected } from '../../../../src/reconcile/expectations.ts'
import { afterRound } from '../../../../src/reconcile/rounds/after-round.ts'
import { eventsMax } from '../../../../src/reconcile/rounds/judged.ts'
import { isOpen } from '../../../../src/reconcile/rounds/known-finding.ts'
import {
  noRounds,
  roundStateForm,
  type FindingEvent,
  type KnownFinding,
  type RoundState,
} from '../../../../src/reconcile/rounds/round-state.ts'
import { isExplained } from '../../../../src/reconcile/rounds/resolution.ts'
import { runRound, type Round } from '../../../../src/reconcile/rounds/round.ts'
import { appendTo, graceMs, watchedRounds } from '../../../support/watched-rounds.ts'

/** A signature a minute, from four o'clock on; blobs by the hour. */

const hours = 8
const indexes = Array.from({ length: hours * 60 }, (_, index) => index)
const hourOfIndex = (index: number) => 4 + Math.floor(index / 60)
const lineOfRogue = (index: number, id: number) =>
  recordLine(index, {
    correlationId: requestIdOf(900_000 + id),
    oid: '51000000-0000-4000-8000-0000000000ff',
    clientInfo: 'curl/8',
  })

let files: ReconcileFiles
beforeEach(async () => {
  files = await createReconcileFiles([loaded])
})
afterEach(() => {
  files.remove()
})

/** What was signed is published when it has been dead for ten minutes. */
const provedAfter = 15
const provedBy = (index: number) =>
  index < provedAfter ? [] : [proved(index - provedAfter, { atMs: at(index) })]

/** What happened until then is in the ledger, and its records were delivered. */
async function deliver(from: number, to: number, leftOut: readonly number[] = []): Promise<void> {
  const some = indexes.slice(from, to)
  await appendTo(
    files,
    some.flatMap((index) => [...provedBy(index), begun(index), made(index)]),
  )
  for (const [hour, ofHour] of Map.groupBy(some, hourOfIndex)) {
    const lines = ofHour
      .filter((index) => !leftOut.includes(index))
      .map((index) => recordLine(index))
    appendFileSync(blob(hour), lines.map((line) => `${line}\n`).join(''))
  }
}

const blobs = new Map<number, string>()
beforeEach(() => {
  blobs.clear()
})
function blob(hour: number): string {
  const known = blobs.get(hour) ?? files.writeBlob(hour, '')
  blobs.set(hour, known)
  return known
}

/** As marks were made before they had names: 96 bits of each path, and of what the system says of it. */
function namelessMark(): Record<string, string> {
  const short = (text: string) => createHash('sha256').update(text).digest('base64url').slice(0, 16)
  return Object.fromEntries(
    [...blobs.values()].map((file) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
      return [short(file), short([file, dev, ino, size, mtimeNs, ctimeNs].join(' '))]
    }),
  )
}

function waitingEvent(_: unknown, index: number): FindingEvent {
  return {
    id: `event-${index}`,
    event: 'finding.resolved',
    atMs: startMs,
    finding: {
      id: `finding-${index}`,
      kind: 'sign.assumed',
      severity: 'low',
      atMs: startMs,
      summary: '',
      facts: [],
    },
    pending: ['test'],
  }
}

const at = (index: number) => startMs + index * minuteMs

/** What a round comes to, before it is held to what was known. */
const outcomeOf = (state: RoundState, index: number): Promise<Round> =>
  runRound(state, {
    ledger: ledgerInFile(files.ledgerFile),
    sources: logFolders({ vaultLogs: [files.logFolder], signInLogs: [], auditLogs: [] }),
    keys: [],
    nowMs: at(index),
    graceMs,
  })

describe('rounds', () => {
  test('read what is decided for good no more, and tell nothing while all is well', async () => {
    const watched = watchedRounds(files)
    for (let index = 120; index <= indexes.length; index += 120) {
      await deliver(index - 120, index)
      expect(await watched.round(at(index))).toEqual([])
    }
    const last = watched.state.lastRound
    expect(last).toMatchObject({ verdict: 'accounted-for', undecided: [] })
    // Of eight hours: those that are read over again at the edge, and what is new.
    expect(watched.read.entries).toBeLessThan(indexes.length * 3 * 0.75)
    expect(watched.read.records).toBeLessThan(indexes.length * 0.75)
    expect(watched.state.decidedUntilMs).toBeGreaterThan(
      at(indexes.length) - 2 * graceMs - (provedAfter + 2) * minuteMs,
    )
    expect(watched.state.leftUndecided).toEqual([])
  })

  test('tell each finding once, with the same id in whatever run', async () => {
    await deliver(0, 120)
    appendFileSync(blob(4), `${lineOfRogue(30, 1)}\n`)
    const watched = watchedRounds(files)
    const [told, ...more] = await watched.round(at(120))
    expect(more).toEqual([])
    expect(told).toMatchObject({
      event: 'finding.new',
      finding: { kind: 'sign.unexplained', severity: 'high' },
    })
    expect(await watched.round(at(121))).toEqual([])
    const [again] = await watchedRounds(files).round(at(122))
    expect(again?.id).toBe(told?.id)
  })

  test('go on with what was found while nobody could tell which ledger it is', async () => {
    await deliver(0, 120)
    appendFileSync(blob(4), `${lineOfRogue(30, 1)}\n`)
    const before = watchedRounds(files, noRounds, null)
    expect(await before.round(at(120))).toHaveLength(1)
    const watched = watchedRounds(files, before.state)
    expect(await watched.round(at(121))).toEqual([])
    expect(watched.state.findings).toEqual(before.state.findings)
  })

  test('find a record that comes hours late, and read back to it and no further', async () => {
    await deliver(0, 420)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    const before = watched.read
    appendFileSync(blob(7), `${lineOfRogue(200, 1)}\n`)
    const told = await watched.round(at(422))
    expect(told).toMatchObject([{ event: 'finding.new', finding: { kind: 'sign.unexplained' } }])
    expect(watched.read.records).toBeGreaterThan(before.records)
    expect(await watched.round(at(423))).toEqual([])
    expect(watched.read.records).toBe(before.records)
  })

  test('tell all of what came late, once, though it is more than there is room for', async () => {
    await deliver(0, 420)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    const decidedUntilMs = watched.state.decidedUntilMs
    const rogues = Array.from({ length: eventsMax + 500 }, (_, id) => lineOfRogue(200, id))
    appendFileSync(blob(7), rogues.map((line) => `${line}\n`).join(''))
    const told: FindingEvent[] = []
    for (const minute of [422, 423, 424, 425]) told.push(...(await watched.round(at(minute))))
    expect(told).toHaveLength(rogues.length)
    expect(new Set(told.map(({ finding }) => finding.id)).size).toBe(rogues.length)
    expect(watched.state).not.toHaveProperty('lookFromMs')
    expect(watched.state.decidedUntilMs).toBeGreaterThanOrEqual(decidedUntilMs ?? Infinity)
  })

  test('hold back what is found while nobody takes what was told, and tell it then', async () => {
    await deliver(0, 420)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    const untold = { ...watched.state, events: Array.from({ length: eventsMax }, waitingEvent) }
    watched.state = untold
    appendFileSync(blob(7), `${lineOfRogue(200, 1)}\n`)
    await watched.round(at(422))
    expect(watched.state.findings).toEqual([])
    expect(watched.state.lastRound).toMatchObject({ verdict: 'findings', heldBack: 1 })
    // All was taken meanwhile.
    expect(await watched.round(at(423))).toMatchObject([{ finding: { kind: 'sign.unexplained' } }])
    expect(await watched.round(at(424))).toEqual([])
  })

  test('keep room for what is severe', async () => {
    await deliver(0, 120)
    const watched = watchedRounds(files)
    const refused = (id: number) =>
      recordLine(20, {
        correlationId: requestIdOf(800_000 + id),
        oid: '51000000-0000-4000-8000-0000000000ff',
        httpStatusCode: 403,
      })
    const flood = Array.from({ length: eventsMax + 100 }, (_, id) => `${refused(id)}\n`)
    appendFileSync(blob(4), flood.join(''))
    const first = await watched.round(at(120))
    expect(first.length).toBeLessThan(eventsMax)
    watched.state = { ...watched.state, events: [...first] }
    appendFileSync(blob(4), `${lineOfRogue(50, 1)}\n`)
    const next = await watched.round(at(121))
    expect(next.filter(({ finding }) => finding.severity === 'high')).toHaveLength(1)
  })

  test('look again as long as there is more evidence than is kept', async () => {
    await deliver(0, 120)
    const outcome = await outcomeOf(noRounds, 120)
    const tooMany: Round = { ...outcome, undecided: [{ reason: 'too-many', count: 1 }] }
    const known = { ...noRounds, decidedUntilMs: at(100) }
    const late = { ...tooMany, fromMs: at(30) }
    const next = afterRound(known, late, { ledger: 'ledger', tookMs: 1, tell: [] })
    expect(next).toMatchObject({ decidedUntilMs: at(100), lookFromMs: at(30) })
    const decided = afterRound(
      next,
      { ...late, undecided: [] },
      { ledger: 'ledger', tookMs: 1, tell: [] },
    )
    expect(decided).not.toHaveProperty('lookFromMs')
  })

  test('give up what is more than is kept after a day, and say so', async () => {
    await deliver(0, 120)
    await appendTo(
      files,
      indexes.slice(120 - provedAfter, 120).map((index) => proved(index)),
    )
    const outcome = await outcomeOf(noRounds, 120)
    const nowMs = at(120) + 2 * 24 * 60 * minuteMs
    const undecided = [{ reason: 'too-many', count: 1 } as const]
    const flooded: Round = { ...outcome, fromMs: at(30), nowMs, undecided }
    const known = { ...noRounds, decidedUntilMs: at(30) }
    const next = afterRound(known, flooded, { ledger: 'ledger', tookMs: 1, tell: [] })
    const givenUpMs = nowMs - graceMs - 24 * 60 * minuteMs
    expect(next).toMatchObject({
      decidedUntilMs: givenUpMs,
      lookFromMs: givenUpMs,
      leftUndecided: [{ reason: 'too-many', fromMs: at(30), toMs: givenUpMs }],
    })
    const first = { ...flooded, fromMs: -Infinity }
    expect(afterRound(noRounds, first, { ledger: 'ledger', tookMs: 1, tell: [] })).toMatchObject({
      lookFromMs: givenUpMs,
      leftUndecided: [{ reason: 'too-many', fromMs: 0, toMs: givenUpMs }],
    })
  })

  test.each([
    ['damaged gzip', Buffer.from('1f8b0800000000000003ffff', 'hex')],
    ['lines that are no records', Buffer.from('x'.repeat(50) + '\n{"time":"bad"}\n')],
  ])('count a blob that comes late with nothing but %s', async (_, bytes) => {
    await deliver(0, 420)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    writeFileSync(files.writeBlob(2, ''), bytes)
    await watched.round(at(422))
    expect(watched.state.lastRound).toMatchObject({ verdict: 'undecided' })
    expect(watched.state.lastRound?.unread).toBeGreaterThan(0)
  })

  test('count a place that is not understood until its file is mended', async () => {
    await deliver(0, 60)
    const good = readFileSync(blob(4), 'utf8')
    const garbled = '{"operationName":"KeySign","time":"2026-11-22T04:30:00Z" GARBLED\n'
    appendFileSync(blob(4), garbled)
    const watched = watchedRounds(files)
    await watched.round(at(60))
    const undecided = { verdict: 'undecided', unread: 1 }
    expect(watched.state.lastRound).toMatchObject(undecided)
    for (let index = 60; index < indexes.length; index += 60) {
      await deliver(index, index + 60)
      await watched.round(at(index + 60))
      expect(watched.state.lastRound).toMatchObject(undecided)
    }
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(180))
    expect(watched.state.unread).toMatchObject([{ file: blob(4), count: 1, line: 61 }])
    expect(watched.state.lastRound?.undecided).toContainEqual({
      reason: 'log-not-understood',
      count: 1,
    })
    writeFileSync(blob(4), `${good}${recordLine(59, { operationName: 'KeyGet' })}\n`)
    await watched.round(at(481))
    expect(watched.state.lastRound).toMatchObject({ verdict: 'accounted-for', unread: 0 })
    expect(watched.state.unread).toEqual([])
  })

  /** So that the log reaches on while nobody signs. */
  function deliverReads(from: number, to: number): void {
    for (const [hour, ofHour] of Map.groupBy(indexes.slice(from, to), hourOfIndex)) {
      const lines = ofHour.map((index) =>
        recordLine(index, { operationName: 'KeyGet', correlationId: requestIdOf(5000 + index) }),
      )
      appendFileSync(blob(hour), lines.map((line) => `${line}\n`).join(''))
    }
  }
  const lineOfRefused = (index: number) =>
    recordLine(index, {
      httpStatusCode: 403,
      correlationId: requestIdOf(7777),
      oid: '51000000-0000-4000-8000-0000000000ff',
    })

  test('know who the service is in hours in which it signs nothing', async () => {
    await deliver(0, 60)
    await appendTo(files, indexes.slice(60, 75).flatMap(provedBy))
    deliverReads(60, 300)
    const watched = watchedRounds(files)
    await watched.round(at(300))
    await watched.round(at(301))
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(200))
    deliverReads(300, 360)
    appendFileSync(blob(9), `${lineOfRefused(310)}\n`)
    const [told, ...more] = await watched.round(at(360))
    expect(more).toEqual([])
    expect(told).toMatchObject({ finding: { kind: 'sign.refused-elsewhere' } })
    const [anew] = await watchedRounds(files).round(at(361))
    expect(anew?.id).toBe(told?.id)
  })

  test('leave it undecided who was refused until the service is known', async () => {
    deliverReads(0, 300)
    appendFileSync(blob(4), `${lineOfRefused(10)}\n`)
    const watched = watchedRounds(files)
    expect(await watched.round(at(300))).toEqual([])
    expect(watched.state.lastRound?.verdict).toBe('undecided')
    await watched.round(at(301))
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(200))
    expect(watched.state.leftUndecided).toMatchObject([{ reason: 'service-not-known' }])
    await deliver(301, 360)
    await watched.round(at(360))
    expect(await watched.round(at(361))).toMatchObject([
      { finding: { kind: 'sign.refused-elsewhere', atMs: at(10) + 40 } },
    ])
    expect(watched.state.leftUndecided).toEqual([])
    await watched.round(at(362))
    expect(watched.state).not.toHaveProperty('lookFromMs')
  })

  test('know who the service is when somebody says so at last', async () => {
    deliverReads(0, 300)
    appendFileSync(blob(4), `${lineOfRefused(10)}\n`)
    const watched = watchedRounds(files)
    await watched.round(at(300))
    expect(watched.state.leftUndecided).toMatchObject([{ reason: 'service-not-known' }])
    watched.expect = { ...nothingExpected, principals: ['51000000-0000-4000-8000-000000000001'] }
    await watched.round(at(301))
    expect(await watched.round(at(302))).toMatchObject([
      { finding: { kind: 'sign.refused-elsewhere' } },
    ])
    expect(watched.state.leftUndecided).toEqual([])
  })

  test('go on from the state of an earlier version', async () => {
    await deliver(0, 420)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    const before = watched.read.records
    const { unread, principals, ...rest } = watched.state
    expect(unread).toEqual([])
    expect(principals).toHaveLength(1)
    const logs = Object.fromEntries(Object.keys(rest.logs).map((name) => [name, namelessMark()]))
    watched.state = roundStateForm.parse({ ...rest, logs })
    expect(await watched.round(at(422))).toEqual([])
    expect(watched.read.records).toBe(before)
    appendFileSync(blob(7), `${lineOfRogue(200, 1)}\n`)
    expect(await watched.round(at(423))).toMatchObject([{ finding: { kind: 'sign.unexplained' } }])
  })

  test('resolve a finding when the record that was missing comes at last', async () => {
    await deliver(0, 180, [30])
    const watched = watchedRounds(files)
    const [told] = await watched.round(at(180))
    expect(told).toMatchObject({ event: 'finding.new', finding: { kind: 'sign.unrecorded' } })
    await deliver(180, 420)
    expect(await watched.round(at(420))).toEqual([])
    expect(await watched.round(at(421))).toEqual([])
    appendFileSync(blob(4), `${recordLine(30)}\n`)
    const [resolved, ...more] = await watched.round(at(422))
    expect(more).toEqual([])
    expect(resolved).toMatchObject({
      event: 'finding.resolved',
      finding: { id: told?.finding.id, kind: 'sign.unrecorded' },
    })
    expect(resolved?.id).not.toBe(told?.id)
  })

  test('keep a finding whose record is taken out of its blob, and tell that it is gone', async () => {
    await deliver(0, 420)
    const innocent = readFileSync(blob(7), 'utf8')
    appendFileSync(blob(7), `${lineOfRogue(200, 1)}\n`)
    const whole = readFileSync(blob(7), 'utf8')
    const watched = watchedRounds(files)
    const [told] = await watched.round(at(420))
    writeFileSync(blob(7), innocent)
    const removed = await watched.round(at(421))
    expect(removed.map(({ event, finding }) => [event, finding.kind])).toEqual([
      ['finding.new', 'logs.removed'],
      ['finding.new', 'logs.removed'],
    ])
    const facts = removed.map(({ finding }) => finding.facts)
    expect(facts[0]).toContainEqual(['shorter', 'CONTOSO-HSM/y=2026/m=11/d=22/h=07/m=00/PT1H.json'])
    expect(facts[0]).toContainEqual(['from', '2026-11-22T07:00:00.000Z'])
    expect(facts[1]?.flat().join(' ')).toContain(told?.finding.id ?? 'none')
    expect(await watched.round(at(422))).toEqual([])
    expect(watched.state.findings.filter(isOpen)).toHaveLength(3)
    // And comes back from a copy, which explains nothing.
    writeFileSync(blob(7), whole)
    const back = await watched.round(at(423))
    expect(back.map(({ event, finding }) => [event, finding.kind])).toEqual([
      ['finding.resolved', 'logs.removed'],
      ['finding.resolved', 'logs.removed'],
    ])
    expect(watched.state.findings.filter(isOpen)).toMatchObject([{ id: told?.finding.id }])
    expect(await watched.round(at(424))).toEqual([])
  })

  test('keep a finding whose blob is deleted, whatever comes late then', async () => {
    await deliver(0, 420)
    appendFileSync(blob(7), `${lineOfRogue(200, 1)}\n`)
    const watched = watchedRounds(files)
    expect(await watched.round(at(420))).toHaveLength(1)
    await watched.round(at(421))
    rmSync(blob(7))
    const [removed, ...more] = await watched.round(at(422))
    expect(more).toEqual([])
    expect(removed).toMatchObject({ event: 'finding.new', finding: { kind: 'logs.removed' } })
    appendFileSync(blob(6), `${recordLine(120)}\n`)
    const events = await watched.round(at(423))
    expect(events.filter(({ event }) => event === 'finding.resolved')).toEqual([])
    expect(events.map(({ finding }) => finding.kind)).toContain('logs.removed')
    const kinds = watched.state.findings.filter(isOpen).map(({ kind }) => kind)
    expect(kinds).toContain('sign.unexplained')
  })

  test('tell nothing of blobs that grow old', async () => {
    await deliver(0, 420)
    appendFileSync(blob(4), `${lineOfRogue(10, 1)}\n`)
    const watched = watchedRounds(files)
    await watched.round(at(420))
    await watched.round(at(421))
    for (const hour of [4, 5]) rmSync(blob(hour))
    expect(await watched.round(at(422))).toEqual([])
    expect(watched.state.findings.filter(isOpen)).toHaveLength(1)
  })

  test('resolve a finding when its record is read again and the ledger knows it', async () => {
    await deliver(0, 120)
    appendFileSync(blob(6), `${recordLine(120)}\n`)
    appendFileSync(blob(6), `${recordLine(170, { operationName: 'KeyGet' })}\n`)
    const watched = watchedRounds(files)
    const [told] = await watched.round(at(170))
    expect(told).toMatchObject({ finding: { kind: 'sign.unexplained' } })
    await appendTo(files, [begun(120), made(120), proved(120)])
    // The record is read again, because the entries are of a time that was decided.
    expect(await watched.round(at(171))).toMatchObject([
      { event: 'finding.resolved', finding: { id: told?.finding.id } },
    ])
    expect(await watched.round(at(172))).toEqual([])
  })

  test('resolve nothing by a ledger that has lost what it is about', async () => {
    await deliver(0, 180, [170])
    const watched = watchedRounds(files)
    await deliver(180, 300)
    expect(await watched.round(at(300))).toMatchObject([{ finding: { kind: 'sign.unrecorded' } }])
    const db = new DatabaseSync(files.ledgerFile)
    db.exec(`DELETE FROM entry WHERE sequence > ${170 * 2}`)
    db.close()
    const events = await watched.round(at(301))
    expect(events.map(({ event }) => event)).not.toContain('finding.resolved')
    expect(events.map(({ finding }) => finding.kind)).toContain('ledger.broken')
  })

  test('resolve it when the vault has dated its record by a clock that is ahead', async () => {
    await deliver(0, 480, [100])
    const watched = watchedRounds(files)
    expect(await watched.round(at(480))).toMatchObject([{ finding: { kind: 'sign.unrecorded' } }])
    // In a blob of the hour in which it came.
    const ahead = recordLine(100, { atMs: at(100) + 30_000 })
    appendFileSync(blob(12), `${ahead}\n`)
    expect(await watched.round(at(481))).toMatchObject([{ event: 'finding.resolved' }])
  })

  test('find a signature that nobody made, written now and dated back, once', async () => {
    await deliver(0, 300)
    const watched = watchedRounds(files)
    await watched.round(at(300))
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(200))
    const backdated = { atMs: at(100) + 30_000, signature: signatureIdOf(7777) }
    await appendTo(files, [
      begun(7777, { ...backdated, expiresAtSeconds: at(105) / 1000 }),
      made(7777, backdated),
    ])
    await deliver(300, 330)
    const told = await watched.round(at(330))
    expect(told.map(({ finding }) => finding.kind).toSorted()).toEqual([
      'sign.unproved',
      'sign.unrecorded',
    ])
    expect(await watched.round(at(331))).toEqual([])
    const anew = await watchedRounds(files).round(at(332))
    expect(anew.map(({ id }) => id).toSorted()).toEqual(told.map(({ id }) => id).toSorted())
  })

  test('wait for the proof of what is dated back, as of any other', async () => {
    await deliver(0, 300)
    const watched = watchedRounds(files)
    await watched.round(at(300))
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(241))
    const backdated = { atMs: at(240) + 30_000, signature: signatureIdOf(7777) }
    await appendTo(files, [
      begun(7777, { ...backdated, expiresAtSeconds: at(300) / 1000 }),
      made(7777, backdated),
    ])
    await deliver(300, 302)
    const kindsIn = async (index: number) =>
      (await watched.round(at(index))).map(({ finding }) => finding.kind)
    expect(await kindsIn(302)).toEqual(['sign.unrecorded'])
    expect(await kindsIn(303)).toEqual([])
    await deliver(302, 341)
    expect(await kindsIn(341)).toEqual(['sign.unproved'])
    await watched.round(at(342))
    expect(watched.state).not.toHaveProperty('lookFromMs')
  })

  test('keep an entry that cannot be read a finding until it is read', async () => {
    await deliver(0, 60)
    const { kind, signature, atMs } = made(7777, { atMs: at(60) })
    await appendTo(files, [{ kind, signature, atMs } as SignatureMade])
    const watched = watchedRounds(files)
    expect(await watched.round(at(60))).toMatchObject([{ finding: { kind: 'ledger.broken' } }])
    await deliver(60, 360)
    expect(await watched.round(at(360))).toEqual([])
    expect(await watched.round(at(361))).toEqual([])
    const open = watched.state.findings.filter(isOpen)
    expect(open).toMatchObject([{ kind: 'ledger.broken', fault: 'unreadable' }])
  })

  test('take an entry for readable again when it was read', async () => {
    await deliver(0, 60)
    const outcome = await outcomeOf(noRounds, 60)
    const unreadable = (sequence?: number): KnownFinding => ({
      id: 'unreadable',
      kind: 'ledger.broken',
      severity: 'high',
      atMs: null,
      fault: 'unreadable',
      ...(sequence === undefined ? {} : { sequence }),
      summary: '',
      foundAtMs: 0,
      times: 1,
    })
    const hash = new Uint8Array()
    const link = (sequence: number) => ({ sequence, hash })
    const round = { ...outcome, ledger: { ...outcome.ledger, behind: link(10), tip: link(20) } }
    const isTaken = (sequence?: number) => isExplained(unreadable(sequence), round, true)
    expect([10, 11, 20, 21, undefined].map(isTaken)).toEqual([false, true, true, false, false])
    expect(isExplained(unreadable(11), round, false)).toBe(false)
  })

  test('keep a finding when the time that it is of is looked at no more', async () => {
    await deliver(0, 120)
    appendFileSync(blob(4), `${lineOfRogue(10, 1)}\n`)
    const watched = watchedRounds(files)
    await watched.round(at(120))
    await deliver(120, 480)
    expect(await watched.round(at(480))).toEqual([])
    expect(await watched.round(at(481))).toEqual([])
    expect(watched.state.findings).toMatchObject([{ kind: 'sign.unexplained' }])
    expect(watched.state.findings[0]).not.toHaveProperty('resolvedAtMs')
    expect(watched.state.lastRound?.verdict).toBe('findings')
  })

  test('wait for an hour that was not delivered, and for a day at most', async () => {
    const inHour6 = indexes.slice(120, 180)
    await deliver(0, 480, inHour6)
    const watched = watchedRounds(files)
    expect(await watched.round(at(480))).toEqual([])
    expect(watched.state.lastRound?.undecided.map(({ reason }) => reason)).toContain(
      'hour-not-delivered',
    )
    expect(watched.state.decidedUntilMs).toBeLessThan(at(121))
    expect(watched.state.leftUndecided).toEqual([])
    // A day and more later nothing else has happened.
    await watched.round(laterMs + 12 * 60 * minuteMs)
    expect(watched.state.decidedUntilMs).toBeGreaterThan(at(180))
    expect(watched.state.leftUndecided.map(({ reason }) => reason)).toContain('hour-not-delivered')
    // And then it comes.
    for (const index of inHour6) appendFileSync(blob(6), `${recordLine(index)}\n`)
    expect(await watched.round(laterMs + 12 * 60 * minuteMs + minuteMs)).toEqual([])
    expect(watched.state.leftUndecided.map(({ reason }) => reason)).not.toContain(
      'hour-not-delivered',
    )
  })

  test('see that a ledger which holds together was written anew', async () => {
    await deliver(0, 120)
    const watched = watchedRounds(files)
    await watched.round(at(120))
    const db = new DatabaseSync(files.ledgerFile)
    db.exec('DELETE FROM entry WHERE sequence > (SELECT max(sequence) - 3 FROM entry)')
    db.close()
    const told = await watched.round(at(121))
    expect(told).toMatchObject([{ finding: { kind: 'ledger.broken' } }])
    expect(told[0]?.finding.facts.flat().join(' ')).toContain('which was read before')
    // Nothing makes that good again.
    await watched.round(at(122))
    expect(watched.state.findings[0]).not.toHaveProperty('resolvedAtMs')
  })
})
