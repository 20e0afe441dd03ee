import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { roundStateForm } from '../../../../src/reconcile/rounds/round-state.ts'
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
} from '../../../support/signed-traffic.ts'
import { appendTo, watchedRounds, type WatchedRounds } from '../../../support/watched-rounds.ts'

/** One log drops what grew old, and another has something late of that time. A signature a minute, from four o'clock on. */

const at = (index: number) => startMs + index * minuteMs
const indexes = Array.from({ length: 480 }, (_, index) => index)
const hourOfIndex = (index: number) => 4 + Math.floor(index / 60)
const textOf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')
const lineOfRogue = (index: number, id: number, oid = 'ff') =>
  recordLine(index, {
    correlationId: requestIdOf(900_000 + id),
    oid: `51000000-0000-4000-8000-0000000000${oid}`,
    clientInfo: 'curl/8',
  })
/** Of another vault's key, whose log is of no interest but for its time. */
const lineOfOther = (index: number) =>
  recordLine(index, {
    id: 'https://other-hsm.vault.azure.net/keys/other/1',
    operationName: 'KeyGet',
    correlationId: requestIdOf(800_000 + index),
  })

let files: ReconcileFiles
let watched: WatchedRounds
const blobs = new Map<number, string>()
const elsewhere = () => join(files.folder, 'elsewhere')
const comesElsewhere = (name: string, ...lines: readonly string[]) =>
  files.write(`elsewhere/resourceId=/V/y=2026/m=11/d=22/h=${name}/m=00/PT1H.json`, textOf(lines))

beforeEach(async () => {
  files = await createReconcileFiles([
    loaded,
    ...indexes.flatMap((index) => [begun(index), made(index)]),
    ...indexes.slice(0, 465).map((index) => proved(index)),
  ])
  for (const [hour, ofHour] of Map.groupBy(indexes, hourOfIndex)) {
    blobs.set(hour, files.writeBlob(hour, textOf(ofHour.map((index) => recordLine(index)))))
  }
  comesElsewhere('11', lineOfOther(478))
  watched = watchedRounds(files)
  watched.vaultLogs = [files.logFolder, elsewhere()]
})
afterEach(() => {
  files.remove()
})

const blob = (hour: number) => blobs.get(hour) ?? ''
const kindsTold = async (minute: number) =>
  (await watched.round(at(minute))).map(({ event, finding }) => `${event} ${finding.kind}`)
const retire = (...hours: readonly number[]) => {
  for (const hour of hours) rmSync(blob(hour))
}

describe('what one log has dropped as it grew old', () => {
  test('is not missed when another has something late of then', async () => {
    expect(await kindsTold(480)).toEqual([])
    retire(4, 5)
    expect(await kindsTold(481)).toEqual([])
    comesElsewhere('04', lineOfOther(10))
    expect(await kindsTold(482)).toEqual([])
    expect(watched.state.lastRound?.verdict).toBe('accounted-for')
    expect(watched.read.records).toBeGreaterThan(300)
    // What is late may be worth telling.
    comesElsewhere('05', lineOfRogue(70, 1))
    expect(await kindsTold(483)).toEqual(['finding.new sign.unexplained'])
  })

  test('is not missed either when it went at the same look', async () => {
    expect(await kindsTold(480)).toEqual([])
    retire(4)
    comesElsewhere('04', lineOfOther(10))
    expect(await kindsTold(481)).toEqual([])
    expect(watched.state.lastRound?.verdict).toBe('accounted-for')
  })

  test('is no silence of its vault', async () => {
    const head = { purpose: 'head' as const }
    await appendTo(files, [begun(1000, { ...head, atMs: at(15) }), made(1000, { atMs: at(15) })])
    appendFileSync(blob(4), textOf([recordLine(1000, { atMs: at(15) })]))
    await watched.round(at(480))
    retire(4, 5)
    await watched.round(at(481))
    comesElsewhere('04', lineOfOther(10))
    expect(await kindsTold(482)).not.toContain('finding.new logs.silent')
  })

  test('is missed where it was taken out of what is there', async () => {
    expect(await kindsTold(480)).toEqual([])
    retire(4, 5)
    expect(await kindsTold(481)).toEqual([])
    // The blob is no shorter for it.
    const others = [190, 191].map((index) => lineOfOther(index)).join('\n')
    writeFileSync(blob(7), readFileSync(blob(7), 'utf8').replace(recordLine(190), others))
    expect(await kindsTold(482)).toContain('finding.new sign.unrecorded')
  })

  test('leaves it undecided what an entry says of then that is written later', async () => {
    expect(await kindsTold(480)).toEqual([])
    retire(4, 5)
    expect(await kindsTold(481)).toEqual([])
    await appendTo(files, [
      begun(2000, { atMs: at(20) }),
      made(2000, { atMs: at(20) + 90 }),
      proved(2000),
    ])
    expect(await kindsTold(482)).not.toContain('finding.new sign.unrecorded')
    expect(watched.state.lastRound?.undecided).toMatchObject([
      { reason: 'log-does-not-reach', count: 1 },
    ])
  })
})

describe('the record of a finding', () => {
  /** One that stands, of twenty past four. */
  async function found(): Promise<void> {
    appendFileSync(blob(4), textOf([lineOfRogue(20, 1)]))
    expect(await kindsTold(480)).toEqual(['finding.new sign.unexplained'])
  }

  test('is not missed when its own log has dropped it, whatever others have', async () => {
    await found()
    retire(4)
    comesElsewhere('04', lineOfOther(10))
    expect(await kindsTold(481)).toEqual([])
  })

  test('is missed in its own log, whatever others have dropped', async () => {
    comesElsewhere('04', lineOfOther(10))
    comesElsewhere('06', lineOfOther(130))
    appendFileSync(blob(5), textOf([lineOfRogue(80, 1)]))
    expect(await kindsTold(480)).toEqual(['finding.new sign.unexplained'])
    rmSync(join(elsewhere(), 'resourceId=/V/y=2026/m=11/d=22/h=04/m=00/PT1H.json'))
    rmSync(join(elsewhere(), 'resourceId=/V/y=2026/m=11/d=22/h=06/m=00/PT1H.json'))
    writeFileSync(
      blob(5),
      readFileSync(blob(5), 'utf8').replace(lineOfRogue(80, 1), lineOfRogue(80, 2, 'fe')),
    )
    expect(await kindsTold(481)).toEqual([
      'finding.new sign.unexplained',
      'finding.new logs.removed',
    ])
  })

  test('is missed in the last log that had it', async () => {
    comesElsewhere('04', lineOfOther(10), lineOfRogue(20, 1))
    await found()
    expect(watched.state.findings).toMatchObject([{ log: `vault ${files.logFolder}` }])
    retire(4)
    comesElsewhere('04', lineOfOther(10), lineOfRogue(20, 1), lineOfOther(30))
    expect(await kindsTold(481)).toEqual([])
    expect(watched.state.findings).toMatchObject([{ log: `vault ${elsewhere()}` }])
    comesElsewhere('04', lineOfOther(10), lineOfRogue(20, 2, 'fe'), lineOfOther(30))
    expect(await kindsTold(482)).toContain('finding.new logs.removed')
  })

  test('of an earlier version is missed where every log has older ones alone', async () => {
    await found()
    const [known] = watched.state.findings
    const { log, ...rest } = known ?? {}
    expect(log).toBe(`vault ${files.logFolder}`)
    watched.state = roundStateForm.parse({ ...watched.state, findings: [rest] })
    retire(4)
    comesElsewhere('04', lineOfOther(10))
    expect(await kindsTold(481)).toEqual([])
  })
})

describe('a table, which cannot say what it has dropped', () => {
  const few = [290, 381, 410, 445]
  let quiet: ReconcileFiles
  beforeEach(async () => {
    quiet = await createReconcileFiles([
      loaded,
      ...few.flatMap((index) => [begun(index), made(index), proved(index)]),
    ])
    watched = watchedRounds(quiet)
    watched.vaultLogs = []
    watched.vaultTables = [quiet.logFolder]
  })
  afterEach(() => {
    quiet.remove()
  })
  /** All of one hour. */
  const comes = (...ofHour: readonly [number, ...number[]]) =>
    quiet.writeBlob(hourOfIndex(ofHour[0]), textOf(ofHour.map((index) => recordLine(index))))

  test('is missed a record that it never had, though the round that decides reads none before it', async () => {
    comes(290)
    comes(410)
    expect(await kindsTold(415)).toEqual([])
    expect(watched.state.lastRound?.verdict).toBe('undecided')
    comes(445)
    expect(await kindsTold(450)).toEqual(['finding.new sign.unrecorded'])
    expect(watched.read.records).toBe(2)
  })

  test('is missed nothing that it had when that was decided', async () => {
    const old = [comes(290), comes(381, 410)]
    comes(445)
    expect(await kindsTold(480)).toEqual([])
    for (const file of old) rmSync(file)
    comesElsewhere('08', lineOfOther(300))
    watched.vaultLogs = [elsewhere()]
    expect(await kindsTold(481)).toEqual([])
  })
})
