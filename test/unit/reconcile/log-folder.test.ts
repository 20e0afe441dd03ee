import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logFolder } from '../../../src/reconcile/log-folder.ts'
import { vaultLogForm } from '../../../src/reconcile/read-log.ts'
import { minuteMs, recordLine, requestIdOf, startMs } from '../../support/signed-traffic.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-folder-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const atMinute = (minute: number) => startMs + minute * minuteMs

/** By the hour of that minute. */
function blobOf(vault: string, minute: number): string {
  const [year, month, day, hour] = new Date(atMinute(minute)).toISOString().split(/[-T:]/)
  const file = join(folder, `${vault}/y=${year}/m=${month}/d=${day}/h=${hour}/m=00/PT1H.json`)
  mkdirSync(dirname(file), { recursive: true })
  return file
}

const log = () => logFolder(folder, vaultLogForm)

/** How many records came, and the code of what kept the others away. */
async function readFrom(fromMs: number) {
  let records = 0
  try {
    for await (const batch of log().records(fromMs)) records += batch.length
  } catch (error) {
    return { records, code: (error as { code?: unknown }).code }
  }
  return { records }
}

describe('one blob of a folder that cannot be read', () => {
  beforeEach(() => {
    for (const minute of [0, 60, 120]) {
      writeFileSync(blobOf('B', minute), `${recordLine(minute)}\n`)
    }
  })

  test('keeps nobody from the others, and the log is not read to its end', async () => {
    expect(await readFrom(-Infinity)).toEqual({ records: 3 })
    mkdirSync(blobOf('A', 60))
    expect(await readFrom(-Infinity)).toEqual({ records: 3, code: 'LOG_UNREADABLE' })
  })

  test('has come with its hour, and keeps nobody from what else has come', async () => {
    const { mark } = await log().arrivals(undefined)
    expect(await log().arrivals(mark)).toMatchObject({ fromMs: Infinity })
    mkdirSync(blobOf('A', 60))
    appendFileSync(blobOf('B', 120), `${recordLine(120, { correlationId: requestIdOf(9) })}\n`)
    const { fromMs, changed } = await log().arrivals(mark)
    expect(fromMs).toBe(Math.floor(atMinute(60) / 3_600_000) * 3_600_000)
    expect(changed).toHaveLength(2)
    expect(await readFrom(fromMs)).toMatchObject({ code: 'LOG_UNREADABLE' })
  })

  test('may have anything, where its name tells no hour', async () => {
    const { mark } = await log().arrivals(undefined)
    mkdirSync(join(folder, 'PT1H.json'))
    expect(await log().arrivals(mark)).toMatchObject({ fromMs: -Infinity })
  })
})
