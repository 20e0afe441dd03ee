import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTurns } from '../../../src/base/turns.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { compileGrants } from '../../../src/policy/compile-grants.ts'
import type { GrantSurroundings } from '../../../src/policy/grant-checks.ts'
import { readGrantFolder } from '../../../src/policy/grant-folder.ts'
import { createPolicyInForce } from '../../../src/policy/policy-in-force.ts'
import { createGrantsReload, type LoadedGrants } from '../../../src/reload/grants-reload.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { events, eventHubs, fabrikam, issuerName } from '../../support/grants.ts'
import { createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'

const now = 1_790_000_000
const surroundings: GrantSurroundings = {
  publicUrl: 'https://countersign.contoso.example',
  applications: [{ name: events, tenants: [fabrikam], handOut: false }],
  issuers: [{ name: issuerName('cluster'), kind: 'oidc', audience: 'countersign' }],
}

let root: string
let folder: string
let store: SqliteStore
let ledger: Ledger
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'countersign-reload-'))
  folder = join(root, 'grants')
  mkdirSync(folder)
  write('orders')
  store = createSqliteStore()
  ledger = await store.open()
})
afterEach(async () => {
  await ledger.close()
  store.remove()
  rmSync(root, { recursive: true, force: true })
})

const file = (name: string) => join(folder, `${name}.yaml`)

function write(name: string, sub = name): void {
  const may = [{ application: events, tenant: fabrikam, scopes: [eventHubs] }]
  const grant = { grant: name, caller: { issuer: 'cluster', claims: { sub } }, may }
  writeFileSync(file(name), JSON.stringify(grant))
}

async function started() {
  const { files } = await readGrantFolder(folder)
  const inForce = createPolicyInForce(compileGrants(files, surroundings, now))
  const told: LoadedGrants[] = []
  const onLoaded = (loaded: LoadedGrants) => void told.push(loaded)
  const clock = fixedClock(now)
  const deps = {
    folder,
    surroundings: () => surroundings,
    inForce,
    turns: createTurns(),
    ledger,
    clock,
    onLoaded,
  }
  const names = () => inForce.current().policy.grants.map(({ name }) => name)
  const loads = () => store.entries().filter(({ kind }) => kind === 'policy.loaded')
  return { reload: createGrantsReload(deps), inForce, names, told, loads }
}

describe('a look at the grants', () => {
  test('that finds what is in force does nothing', async () => {
    const { reload, inForce, told, loads } = await started()
    const before = inForce.current()
    await reload.look()
    expect(inForce.current()).toBe(before)
    expect([told, loads()]).toEqual([[], []])
  })

  test('puts into force what was added, removed, changed and widened, and writes down which', async () => {
    write('alerts')
    const { reload, names, told, loads } = await started()
    write('orders', 'orders-2')
    write('meters')
    rmSync(file('alerts'))
    await reload.look()
    expect(names()).toEqual(['meters', 'orders'])
    const changes = {
      added: ['meters'],
      removed: ['alerts'],
      changed: ['orders'],
      widened: ['meters', 'orders'],
    }
    expect(told).toMatchObject([{ changes, grants: 2, broken: 0, problems: [] }])
    expect(loads()).toMatchObject([{ atMs: now * 1000, grants: 2, broken: 0, ...changes }])
  })

  test('does not call widened what gives nobody more than before', async () => {
    const { reload, loads } = await started()
    writeFileSync(file('orders'), `${readFileSync(file('orders'), 'utf8')}\n# reviewed\n`)
    await reload.look()
    expect(loads()).toMatchObject([{ changed: ['orders'], widened: [] }])
  })

  test('takes away what is half written, and says so; the others stay', async () => {
    write('alerts')
    const { reload, names, told, loads } = await started()
    writeFileSync(file('alerts'), '{"grant": "alerts", "caller": {')
    await reload.look()
    expect(names()).toEqual(['orders'])
    expect(told[0]).toMatchObject({ broken: 1, changes: { removed: ['alerts'] } })
    expect(told[0]?.problems.some(({ severity }) => severity === 'error')).toBe(true)
    expect(loads()).toMatchObject([{ grants: 1, broken: 1, removed: ['alerts'] }])
  })

  test('takes everything away when the folder is gone, and gives it back with the folder', async () => {
    const { reload, names, told } = await started()
    rmSync(folder, { recursive: true })
    await reload.look()
    expect(names()).toEqual([])
    expect(told[0]?.problems).toMatchObject([{ rule: 'grants.unreadable', severity: 'error' }])
    mkdirSync(folder)
    write('orders')
    await reload.look()
    expect(names()).toEqual(['orders'])
  })

  const nothingToRead: readonly (readonly [how: string, rule: string, act: () => void])[] = [
    [
      'is emptied',
      'grants.empty',
      () => {
        rmSync(file('orders'))
      },
    ],
    [
      'becomes a file',
      'grants.unreadable',
      () => {
        rmSync(folder, { recursive: true })
        writeFileSync(folder, '')
      },
    ],
    [
      'cannot be read',
      'grants.unreadable',
      () => {
        rmSync(folder, { recursive: true })
        symlinkSync('grants', folder)
      },
    ],
    [
      'has one file, which cannot be read',
      'grant.unreadable',
      () => {
        rmSync(file('orders'))
        symlinkSync('orders.yaml', file('orders'))
      },
    ],
  ]

  test.each(nothingToRead)('allows nothing when the folder %s, and says so', async (...row) => {
    const [, rule, act] = row
    const { reload, names, told, loads } = await started()
    act()
    await reload.look()
    expect(names()).toEqual([])
    expect(told[0]?.problems).toMatchObject([{ rule }])
    expect(loads()).toMatchObject([{ grants: 0, removed: ['orders'] }])
  })

  test('changes nothing that cannot be written down, and tries again next time', async () => {
    const { reload, names, told } = await started()
    write('meters')
    await ledger.close()
    await expect(reload.look()).rejects.toMatchObject({ code: 'LEDGER_CLOSED' })
    expect(names()).toEqual(['orders'])
    expect(told).toEqual([])
    await expect(reload.look()).rejects.toMatchObject({ code: 'LEDGER_CLOSED' })
  })

  test('that is asked for while one is under way begins after it', async () => {
    const { reload, names, loads } = await started()
    write('alerts')
    const first = reload.look()
    await Promise.resolve()
    await Promise.resolve()
    await Promise.resolve()
    write('meters')
    await Promise.all([first, reload.look(), reload.look()])
    expect(names()).toEqual(['alerts', 'meters', 'orders'])
    expect(loads().length).toBeLessThanOrEqual(2)
  })

  test('writes down no more than a hundred names of each kind, and says that there are more', async () => {
    const { reload, loads } = await started()
    const some = Array.from({ length: 100 }, (_, index) => `grant-${index}`)
    for (const name of some) write(name)
    await reload.look()
    expect(loads()[0]).toMatchObject({ added: some.toSorted() })
    expect(loads()[0]).not.toHaveProperty('cut')
    for (const name of some) write(`more-${name}`)
    write('more')
    await reload.look()
    const [, second] = loads()
    expect(second).toMatchObject({ grants: 202, cut: true })
    expect((second as { readonly added?: readonly string[] }).added).toHaveLength(100)
  })
})
