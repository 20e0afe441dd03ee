import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTurns } from '../../../src/base/turns.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { september2026 } from '../../support/configuration-fixtures.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import {
  type ConfigurationReload,
  createConfigurationReload,
  type LoadedConfiguration,
  type RefusedConfiguration,
} from '../../../src/reload/configuration-reload.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'

const now = 1_790_000_000

let folder: string
let file: string
let store: SqliteStore
let ledger: Ledger
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-reload-'))
  cpSync('examples/quickstart', folder, { recursive: true })
  file = join(folder, 'countersign.yaml')
  store = createSqliteStore()
  ledger = await store.open()
})
afterEach(async () => {
  await ledger.close()
  store.remove()
  rmSync(folder, { recursive: true, force: true })
})

interface Watched {
  readonly reload: ConfigurationReload
  readonly counts: { loads: number; prepared: number; inForce: number }
  readonly told: LoadedConfiguration[]
  readonly refused: RefusedConfiguration[]
}

/** @param prove Whether what is prepared can be proven. */
async function started(prove: () => Promise<void> = () => Promise.resolve()): Promise<Watched> {
  const loaded = await loadConfig(file, september2026)
  if (!loaded.ok) throw new Error('the quick start does not load')
  const counts = { loads: 0, prepared: 0, inForce: 0 }
  const told: LoadedConfiguration[] = []
  const refused: RefusedConfiguration[] = []
  const reload = createConfigurationReload({
    files: loaded.files,
    config: loaded.config,
    load: (named) => {
      counts.loads += 1
      return loadConfig(named, september2026)
    },
    prepare: async () => {
      counts.prepared += 1
      await prove()
      return () => ({ entries: [], putIntoForce: () => void (counts.inForce += 1) })
    },
    turns: createTurns(),
    ledger,
    clock: fixedClock(now),
    onLoaded: (one) => void told.push(one),
    onRefused: (one) => void refused.push(one),
    onReturned: () => undefined,
  })
  return { reload, counts, told, refused }
}

const edit = (from: string | RegExp, to: string) => {
  const text = readFileSync(file, 'utf8')
  expect(text).toMatch(from)
  writeFileSync(file, text.replace(from, to))
}

const moreTenants = () => {
  edit(/tenants: \[/, 'tenants: [0a0a0a0a-0000-4000-8000-000000000009, ')
}

describe('a look at the configuration', () => {
  test('reads nothing while no file has changed, and makes nothing of a comment', async () => {
    const { reload, counts, told } = await started()
    await reload.look()
    await reload.look()
    expect(counts).toEqual({ loads: 1, prepared: 0, inForce: 0 })
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n# reviewed\n`)
    await reload.look()
    expect(counts).toEqual({ loads: 2, prepared: 0, inForce: 0 })
    expect([told, store.entries()]).toEqual([[], []])
  })

  test('puts into force what it says, once, when that is written down', async () => {
    const { reload, counts, told } = await started()
    moreTenants()
    await reload.look()
    await reload.lookAnew()
    expect(counts).toMatchObject({ prepared: 1, inForce: 1 })
    expect(store.entries()).toMatchObject([
      { kind: 'configuration.loaded', atMs: now * 1000, ...told[0]?.changes },
    ])
    expect(told[0]?.changes.widened).toHaveLength(1)
    expect(reload.standing).toBe('in-force')
  })

  test('tries again what could not be proven, though no file has changed', async () => {
    let isAway = true
    const away = new Error('away')
    const prove = () => (isAway ? Promise.reject(away) : Promise.resolve())
    const { reload, counts, refused } = await started(prove)
    moreTenants()
    await reload.look()
    expect(reload.standing).toBe('differs')
    expect(refused).toEqual([{ problems: [], error: away }])
    isAway = false
    await reload.look()
    expect([reload.standing, counts.inForce]).toEqual(['in-force', 1])
  })

  test('tells what keeps it from being in force once, and again to whoever asks for that', async () => {
    const { reload, refused, counts } = await started()
    edit(/^publicUrl: .*$/m, 'publicUrl: https://another.example')
    moreTenants()
    await reload.look()
    await reload.look()
    expect(refused).toHaveLength(1)
    expect(refused[0]?.problems).toMatchObject([{ file, rule: 'config.restart-needed' }])
    await reload.lookAnew()
    expect(refused).toHaveLength(2)
    expect(counts).toMatchObject({ prepared: 0, inForce: 0 })
  })

  test('puts nothing into force that cannot be written down, and tries again', async () => {
    const { reload, counts } = await started()
    moreTenants()
    await ledger.close()
    await expect(reload.look()).rejects.toMatchObject({ code: 'LEDGER_CLOSED' })
    await expect(reload.look()).rejects.toMatchObject({ code: 'LEDGER_CLOSED' })
    expect([reload.standing, counts.inForce]).toEqual(['differs', 0])
  })
})
