import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { logFolder } from '../../src/reconcile/log-folder.ts'
import { vaultLogForm } from '../../src/reconcile/read-log.ts'
import { describeLogSource } from './log-source.contract.ts'

/** A storage account, whose blobs are named by the hours of their records. */

let root: string
let folder: string
let made = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'countersign-log-'))
})
afterAll(() => {
  rmSync(root, { recursive: true })
})
beforeEach(() => {
  made += 1
  folder = join(root, String(made))
})

function deliver(record: { readonly time: string }): void {
  const [, year, month, day, hour] = /^(\d+)-(\d+)-(\d+)T(\d+)/.exec(record.time) ?? []
  const file = join(folder, `y=${year}/m=${month}/d=${day}/h=${hour}/m=00/PT1H.json`)
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, `${JSON.stringify(record)}\n`)
}

describeLogSource('a folder of blobs', () => ({
  source: logFolder(folder, vaultLogForm),
  nowMs: () => systemClock.nowMs(),
  deliver,
  vanish: () => {
    rmSync(folder, { recursive: true })
  },
}))
