import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256Base64url } from '../../../src/base/sha256.ts'
import { createTurns } from '../../../src/base/turns.ts'
import type { PolicyLoaded } from '../../../src/ledger/entry.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { compileGrants } from '../../../src/policy/compile-grants.ts'
import type { GrantSurroundings } from '../../../src/policy/grant-checks.ts'
import { createPolicyInForce } from '../../../src/policy/policy-in-force.ts'
import {
  createFleetGrants,
  type FleetGrantsDeps,
  type PolicyStanding,
} from '../../../src/reload/fleet-grants.ts'
import { lagMaxMs } from '../../../src/reload/folder-place.ts'
import type { LoadedGrants } from '../../../src/reload/grants-reload.ts'
import type { PolicyGenerations } from '../../../src/reload/policy-generations.ts'
import { type FixedClock, fixedClock } from '../../support/fixed-clock.ts'
import { events, eventHubs, fabrikam, issuerName } from '../../support/grants.ts'
import { createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'
import { createMemoryPolicyGenerations } from '../../support/memory-policy-generations.ts'

const now = 1_790_000_000
const surroundings: GrantSurroundings = {
  publicUrl: 'https://countersign.contoso.example',
  applications: [{ name: events, tenants: [fabrikam], handOut: false }],
  issuers: [{ name: issuerName('cluster'), kind: 'oidc', audience: 'countersign' }],
}

let root: string
let store: SqliteStore
let ledger: Ledger
let generations: PolicyGenerations
let clock: FixedClock
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'countersign-fleet-'))
  store = createSqliteStore()
  ledger = await store.open()
  generations = createMemoryPolicyGenerations()
  clock = fixedClock(now)
})
afterEach(async () => {
  await ledger.close()
  store.remove()
  rmSync(root, { recursive: true, force: true })
})

/** What a folder holds: grants by their names, each for whoever has its name. */
function fill(folder: string, names: readonly string[]): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const name of names) {
    const may = [{ application: events, tenant: fabrikam, scopes: [eventHubs] }]
    const grant = { grant: name, caller: { issuer: 'cluster', claims: { sub: name } }, may }
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(grant))
  }
}

function replica(name: string, changes: Partial<FleetGrantsDeps> = {}) {
  const folder = join(root, name)
  const inForce = createPolicyInForce(compileGrants([], surroundings, now))
  const loaded: LoadedGrants[] = []
  const told: string[] = []
  const grants = createFleetGrants({
    folder,
    surroundings: () => surroundings,
    turns: createTurns(),
    inForce,
    ledger,
    clock,
    generations,
    onLoaded: (one) => void loaded.push(one),
    onFolder: (standing, problems) =>
      void told.push([standing.folder, ...problems.map(({ rule }) => rule)].join(' ')),
    ...changes,
  })
  return {
    ...{ folder, grants, loaded, told },
    fill: (...names: string[]) => {
      fill(folder, names)
    },
    names: () => inForce.current().policy.grants.map((grant) => grant.name as string),
    start: () => grants.first(),
    look: () => grants.look(),
  }
}

const published = async () => (await generations.find('')).newest?.generation ?? 0
const loads = () =>
  store.entries().filter((entry): entry is PolicyLoaded => entry.kind === 'policy.loaded')
const standing = (generation: number, changes: Partial<PolicyStanding> = {}) => ({
  generation,
  state: 'newest',
  folder: 'in-force',
  ...changes,
})

/** Two with the same folder, both at the start. */
async function pair(...names: string[]) {
  const [one, two] = [replica('one'), replica('two')]
  one.fill(...names)
  two.fill(...names)
  await one.start()
  await two.start()
  return [one, two] as const
}

describe('at the start', () => {
  test('the first replica publishes its folder, and the next one finds it in force', async () => {
    const [one, two] = [replica('one'), replica('two')]
    one.fill('orders')
    two.fill('orders')
    expect(one.names()).toEqual([])
    expect(await one.start()).toMatchObject({ kind: 'policy.loaded', generation: 1, grants: 1 })
    expect(await two.start()).toMatchObject({ generation: 1, grants: 1 })
    expect(await two.start()).not.toHaveProperty('added')
    expect([one.names(), two.names()]).toEqual([['orders'], ['orders']])
    expect([one.told, two.told]).toEqual([[], []])
    expect(two.loaded).toMatchObject([{ generation: 1, changes: undefined }])
    expect(await published()).toBe(1)
    // Whoever begins the run writes it down.
    expect(loads()).toEqual([])
  })

  test('a folder that was in force is not brought back, and that is said at once', async () => {
    const [one] = await pair('orders', 'alerts')
    one.fill('orders')
    await one.look()
    const late = replica('late')
    late.fill('orders', 'alerts')
    await late.start()
    expect(late.names()).toEqual(['orders'])
    expect(late.told).toEqual(['differs'])
    expect(late.grants.standing).toEqual(standing(2, { folder: 'differs' }))
    clock.advance(lagMaxMs)
    await late.look()
    expect([late.names(), await published()]).toEqual([['orders'], 2])
  })

  test('a folder that nobody knows is in force for all', async () => {
    const [one] = await pair('orders')
    const next = replica('next')
    next.fill('orders', 'meters')
    await next.start()
    await one.look()
    expect([next.names(), one.names()]).toEqual([
      ['meters', 'orders'],
      ['meters', 'orders'],
    ])
  })

  test.each(['empty', 'gone'])('a folder that is %s takes nothing from the others', async (how) => {
    const [one] = await pair('orders')
    const late = replica('late')
    if (how === 'empty') late.fill()
    await late.start()
    await one.look()
    expect([late.names(), one.names()]).toEqual([['orders'], ['orders']])
    expect(late.grants.standing).toEqual(standing(1, { folder: 'differs' }))
    late.fill('orders')
    await late.look()
    expect(late.grants.standing).toEqual(standing(1))
    expect(await published()).toBe(1)
  })

  test('may be tried again', async () => {
    const one = replica('one')
    one.fill('orders')
    const first = await one.start()
    expect(await one.start()).toEqual(first)
    expect([await published(), one.loaded.length]).toEqual([1, 1])
  })
})

describe('while it runs', () => {
  test('what one replica takes away is gone from the others when they look, and written down by each', async () => {
    const [one, two] = await pair('orders', 'alerts')
    one.fill('orders')
    await one.look()
    await two.look()
    expect([one.names(), two.names()]).toEqual([['orders'], ['orders']])
    expect(loads()).toMatchObject([
      { generation: 2, grants: 1, added: [], removed: ['alerts'], changed: [] },
      { generation: 2, grants: 1, removed: ['alerts'] },
    ])
    expect(two.grants.standing).toEqual(standing(2, { folder: 'differs' }))
    two.fill('orders')
    await two.look()
    expect(two.grants.standing).toEqual(standing(2))
    expect([await published(), loads().length]).toEqual([2, 2])
    expect([one.told, two.told]).toEqual([[], []])
  })

  test('a folder that is late does not undo what came after it', async () => {
    const [one, two] = await pair('a')
    for (const name of ['b', 'c']) {
      one.fill(name)
      await one.look()
    }
    two.fill('b')
    await two.look()
    expect([two.names(), await published()]).toEqual([['c'], 3])
    two.fill('c')
    await two.look()
    expect([two.names(), two.grants.standing]).toEqual([['c'], standing(3)])
  })

  test('going back is a new generation', async () => {
    const [one, two] = await pair('a')
    two.fill('b')
    await two.look()
    two.fill('a')
    await two.look()
    await one.look()
    expect([one.names(), one.grants.standing]).toEqual([['a'], standing(3)])
  })

  test('what the others may have passed over is in force only when it has settled, and that is said', async () => {
    const [one, two] = await pair('a')
    one.fill('c')
    await one.look()
    two.fill('b')
    await two.look()
    expect([two.names(), two.told]).toEqual([['c'], []])
    clock.advance(lagMaxMs / 1000 - 1)
    await two.look()
    expect([two.names(), await published()]).toEqual([['c'], 2])
    clock.advance(1)
    await two.look()
    await one.look()
    expect([two.names(), one.names(), await published()]).toEqual([['b'], ['b'], 3])
  })

  test('what the others take back does not come again with a folder that is late for both', async () => {
    const [one, two] = await pair('a')
    clock.advance(lagMaxMs / 1000)
    for (const name of ['b', 'a']) {
      one.fill(name)
      await one.look()
    }
    await two.look()
    two.fill('b')
    await two.look()
    expect([two.names(), await published()]).toEqual([['a'], 3])
    two.fill('a')
    await two.look()
    expect([two.grants.standing, await published()]).toEqual([standing(3), 3])
  })

  test('what others have passed over waits again when they have gone further', async () => {
    const [one, two] = await pair('a')
    one.fill('c')
    await one.look()
    two.fill('b')
    await two.look()
    clock.advance(lagMaxMs / 1000)
    one.fill('d')
    await one.look()
    await two.look()
    expect([two.names(), await published()]).toEqual([['d'], 3])
    two.fill('d')
    await two.look()
    expect([two.grants.standing, await published()]).toEqual([standing(3), 3])
  })

  test('a folder that lags is told of only when it has done so for longer than folders do', async () => {
    const [one, two] = await pair('a')
    clock.advance(lagMaxMs / 1000)
    one.fill('b')
    await one.look()
    await two.look()
    clock.advance(lagMaxMs / 1000 - 1)
    await two.look()
    expect([two.told, two.grants.standing]).toEqual([[], standing(2, { folder: 'differs' })])
    clock.advance(1)
    await two.look()
    expect(two.told).toEqual(['differs'])
  })

  test('a folder that is left behind is told of once, and again when it is in force', async () => {
    const [one, two] = await pair('a')
    one.fill('b')
    await one.look()
    for (let looks = 0; looks < 3; looks += 1) {
      clock.advance(lagMaxMs / 1000)
      await two.look()
    }
    expect(two.told).toEqual(['differs'])
    two.fill('b')
    await two.look()
    expect(two.told).toEqual(['differs', 'in-force'])
  })

  test.each(['empty', 'gone'])('a folder that becomes %s allows nothing, for all', async (how) => {
    const [one, two] = await pair('orders')
    if (how === 'empty') one.fill()
    else rmSync(one.folder, { recursive: true })
    await one.look()
    await two.look()
    expect([one.names(), two.names()]).toEqual([[], []])
  })

  test('a folder that cannot be read says nothing, loudly: others still change what is in force', async () => {
    const [one, two] = await pair('orders', 'alerts')
    rmSync(one.folder, { recursive: true })
    symlinkSync(one.folder, one.folder)
    await one.look()
    await two.look()
    expect([one.names(), two.names()]).toEqual([
      ['alerts', 'orders'],
      ['alerts', 'orders'],
    ])
    expect(one.grants.standing).toEqual(standing(1, { folder: 'unreadable' }))
    expect(one.told).toEqual(['unreadable grants.unreadable'])
    two.fill('orders')
    await two.look()
    await one.look()
    expect([one.names(), one.told.length]).toEqual([['orders'], 1])
  })

  test('a file that is broken grants nothing on any replica, and each says so', async () => {
    const [one, two] = await pair('orders', 'alerts')
    writeFileSync(join(one.folder, 'alerts.yaml'), '{"grant": "alerts", "caller": {')
    await one.look()
    await two.look()
    expect(two.names()).toEqual(['orders'])
    expect(two.loaded.at(-1)).toMatchObject({ broken: 1, generation: 2 })
    expect(two.loaded.at(-1)?.problems[0]).toMatchObject({
      file: 'generation 2/alerts.yaml',
      severity: 'error',
    })
  })

  test('each replica compiles what is shared with its own configuration', async () => {
    const one = replica('one')
    const two = replica('two', { surroundings: () => ({ ...surroundings, applications: [] }) })
    one.fill('orders')
    two.fill('orders')
    await one.start()
    await two.start()
    expect([one.names(), two.names()]).toEqual([['orders'], []])
    expect(two.grants.standing).toEqual(standing(1))
  })

  test('a replica that does not know yet what a newer one names allows nothing by it, and tells it', async () => {
    const one = replica('one')
    const two = replica('two', { surroundings: () => ({ ...surroundings, applications: [] }) })
    await one.start()
    await two.start()
    one.fill('orders')
    await one.look()
    await two.look()
    expect([one.names(), two.names()]).toEqual([['orders'], []])
    const [loaded] = two.loaded.slice(-1)
    expect(loaded).toMatchObject({ broken: 1, grants: 0, changes: { added: [], widened: [] } })
    expect(loaded?.problems).toMatchObject([
      { rule: 'grant.unknown-application', severity: 'error' },
    ])
  })

  test('what cannot be written down is not in force, and the next look tries again', async () => {
    let isDown = true
    const two = replica('two', {
      ledger: {
        append: (entries) => (isDown ? Promise.reject(new Error('down')) : ledger.append(entries)),
      },
    })
    two.fill('a')
    await two.start()
    two.fill('b')
    await expect(two.look()).rejects.toThrow('down')
    expect([two.names(), two.grants.standing.state]).toEqual([['a'], 'behind'])
    isDown = false
    await two.look()
    expect([two.names(), two.grants.standing]).toEqual([['b'], standing(2)])
    expect(await published()).toBe(2)
  })

  test('while the database does not answer what is in force stays', async () => {
    let isAway = false
    const two = replica('two', {
      generations: {
        ...generations,
        find: (sha256) => (isAway ? Promise.reject(new Error('away')) : generations.find(sha256)),
      },
    })
    two.fill('a')
    await two.start()
    isAway = true
    two.fill('b')
    await expect(two.look()).rejects.toThrow('away')
    expect([two.names(), two.grants.standing]).toEqual([['a'], standing(1, { folder: 'differs' })])
  })

  test('of several who publish at once all have the same in the end', async () => {
    const [one, two] = await pair('a')
    one.fill('b')
    two.fill('c')
    await Promise.all([one.look(), two.look()])
    await Promise.all([one.look(), two.look()])
    expect(one.names()).toEqual(two.names())
    clock.advance(lagMaxMs / 1000)
    one.fill('d')
    two.fill('d')
    await Promise.all([one.look(), two.look()])
    await Promise.all([one.look(), two.look()])
    expect([one.names(), two.names()]).toEqual([['d'], ['d']])
  })
})

describe('a table that somebody has written into', () => {
  const forged = {
    'texts that do not match their hash': { sha256: 'other', files: '[["a.yaml",""]]' },
    'a text that is no list of files': { sha256: sha256Base64url('none'), files: 'none' },
    'a list that we would have written otherwise': {
      sha256: sha256Base64url('[ ["a.yaml", ""] ]'),
      files: '[ ["a.yaml", ""] ]',
    },
  }

  test.each(Object.entries(forged))(
    'with %s is not taken: what is in force stays, until there is a sound one',
    async (_name, { sha256, files }) => {
      const [one, two] = await pair('orders')
      await generations.publish({ generation: 2, sha256, files })
      await expect(one.look()).rejects.toMatchObject({ code: 'POLICY_DAMAGED', generation: 2 })
      await expect(one.look()).rejects.toMatchObject({ code: 'POLICY_DAMAGED' })
      expect(one.names()).toEqual(['orders'])
      expect(one.grants.standing).toEqual(standing(1, { state: 'behind' }))
      const late = replica('late')
      late.fill('orders')
      await expect(late.start()).rejects.toMatchObject({ code: 'POLICY_DAMAGED' })
      expect(late.names()).toEqual([])
      clock.advance(lagMaxMs / 1000)
      two.fill('meters')
      await two.look().catch(() => undefined)
      clock.advance(lagMaxMs / 1000)
      await two.look()
      await one.look()
      expect([one.names(), two.names()]).toEqual([['meters'], ['meters']])
    },
  )

  test.each([
    ['lost it', undefined],
    ['another one there', { generation: 1, sha256: 'other' }],
  ])('and has %s is not followed: what is in force stays', async (_name, newest) => {
    const one = replica('one', {
      generations: {
        ...generations,
        find: async (sha256) => {
          const found = await generations.find(sha256)
          return isWritten ? { newest, same: [] } : found
        },
      },
    })
    let isWritten = false
    one.fill('orders')
    await one.start()
    isWritten = true
    one.fill('meters')
    await expect(one.look()).rejects.toMatchObject({ code: 'POLICY_REWOUND', generation: 1 })
    expect([one.names(), await published()]).toEqual([['orders'], 1])
  })
})
