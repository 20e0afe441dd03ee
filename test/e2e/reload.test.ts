import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  defaultGrants,
  type GrantFile,
  startServiceEmulator,
} from '../support/test-service.ts'
import { becomes, tokenStatus } from '../support/token-status.ts'

/** Grants that change under a service that runs, as people, deployments and clusters change them. */

const orders = required(defaultGrants.find(({ grant }) => grant === 'fabrikam-orders'))

let emulator: TestEmulator
let served: Served
let folder: string
beforeAll(async () => {
  emulator = await startServiceEmulator()
})
afterEach(() => served.remove())
afterAll(() => emulator.stop())

async function serve(): Promise<string> {
  served = serveFrom(emulator)
  folder = join(dirname(served.ledgerFile), 'grants')
  await served.said('ready')
  return served.origin()
}

const write = (grant: GrantFile, text = stringify(grant)) => {
  writeFileSync(join(folder, `${grant.grant}.yaml`), text)
}

const status = (origin: string, scope: string = cast.orders) =>
  tokenStatus(emulator, origin, { scope })

const loads = () => served.entries().filter(({ kind }) => kind === 'policy.loaded')

describe('grants of a service that runs', () => {
  test('are in force soon after they were removed, written and broken; others do not notice', async () => {
    const origin = await serve()
    expect(await status(origin)).toBe(200)
    rmSync(join(folder, 'fabrikam-orders.yaml'))
    await becomes(() => status(origin), 403)
    write(orders)
    await becomes(() => status(origin), 200)
    write(orders, 'grant: fabrikam-orders\ncaller: {')
    await becomes(() => status(origin), 403)
    const report = await (await fetch(`${origin}/readyz`)).json()
    expect(report).toMatchObject({ ready: true, grants: 'degraded' })
    expect(await served.said('grants loaded')).toMatchObject({ removed: ['fabrikam-orders'] })
    write(orders)
    await becomes(() => status(origin), 200)
    expect(loads().map((entry) => 'removed' in entry && entry.removed)).toEqual([
      false,
      ['fabrikam-orders'],
      [],
      ['fabrikam-orders'],
      [],
    ])
  })

  test('are looked at on SIGHUP, which ends nothing', async () => {
    const origin = await serve()
    write({ ...orders, mode: 'dry-run' })
    served.signal('SIGHUP')
    await becomes(() => status(origin), 403)
    served.signal('SIGHUP')
    await delay(300)
    expect(await status(origin)).toBe(403)
  })

  test('may be the files of a ConfigMap, which are links that are swapped at once', async () => {
    const origin = await serve()
    const place = (version: string, grant: GrantFile) => {
      const at = join(folder, `..${version}`)
      mkdirSync(at)
      writeFileSync(join(at, 'fabrikam-orders.yaml'), stringify(grant))
    }
    const link = (version: string) => {
      symlinkSync(`..${version}`, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    rmSync(join(folder, 'fabrikam-orders.yaml'))
    place('1', { ...orders, caller: { issuer: 'fabrikam', claims: { oid: 'somebody else' } } })
    link('1')
    symlinkSync('..data/fabrikam-orders.yaml', join(folder, 'fabrikam-orders.yaml'))
    await becomes(() => status(origin), 403)
    place('2', orders)
    link('2')
    await becomes(() => status(origin), 200)
  })
})
